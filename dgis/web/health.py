"""`/healthz` and `/readyz`: open to everybody, so they tell whether, in fixed words, and nothing else."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

_KEPT_SECONDS = 1.0  # whoever asks without end does not make the gateway ask its database without end


@dataclass(frozen=True, slots=True)
class Probe:
    """Something a gateway stands on; `needed` is what this door cannot answer without."""

    name: str
    is_well: Callable[[], bool]
    words: str  # what it means where it is not
    needed: bool


class Readiness:
    """What a door needs to be of use, looked at once a second at most."""

    def __init__(self, probes: Sequence[Probe], clock: Callable[[], float] = time.monotonic) -> None:
        self._probes = probes
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._ill: list[Probe] = []

    def ill(self) -> list[Probe]:
        """Return what is not well."""
        with self._lock:
            if self._clock() - self._looked_at >= _KEPT_SECONDS:
                self._ill = [probe for probe in self._probes if not probe.is_well()]
                self._looked_at = self._clock()
            return self._ill


def routes(readiness: Readiness) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Answer while the process does."""
        return {"status": "alive"}

    @router.get("/readyz")
    def readyz(_request: Request) -> JSONResponse:
        """Answer 200 where what this door needs answers, else 503; and in words what is not well."""
        ill = readiness.ill()
        missing = [probe.name for probe in ill if probe.needed]
        status = "not ready" if missing else "ready"
        said = {"status": status, "missing": missing, "words": [probe.words for probe in ill]}
        return JSONResponse(said, 503 if missing else 200)

    return router
