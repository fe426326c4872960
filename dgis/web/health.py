"""`/healthz` and `/readyz`: open to everybody, so they tell whether, and nothing else."""

import threading
import time
from collections.abc import Callable, Mapping

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

_KEPT_SECONDS = 1.0  # whoever asks without end does not make the gateway ask its database without end

Probe = Callable[[], bool]


class Readiness:
    """What a door needs to be of use, looked at once a second at most."""

    def __init__(self, probes: Mapping[str, Probe], clock: Callable[[], float] = time.monotonic) -> None:
        self._probes = probes
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._missing: list[str] = []

    def missing(self) -> list[str]:
        """Return the names of what does not answer."""
        with self._lock:
            if self._clock() - self._looked_at >= _KEPT_SECONDS:
                self._missing = [name for name, answers in self._probes.items() if not answers()]
                self._looked_at = self._clock()
            return self._missing


def routes(readiness: Readiness) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Answer while the process does."""
        return {"status": "alive"}

    @router.get("/readyz")
    def readyz(_request: Request) -> JSONResponse:
        """Answer 200 where everything behind this door answers, else 503 and what does not."""
        missing = readiness.missing()
        status = "not ready" if missing else "ready"
        return JSONResponse({"status": status, "missing": missing}, 503 if missing else 200)

    return router
