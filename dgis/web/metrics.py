"""`/metrics`: what is going on, in counts and seconds, for Prometheus; open, and free of PHI."""

from collections.abc import Iterable

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from dgis.watch.files import merged
from dgis.web.probes import Texts


class Processes(Collector):
    """The figures of all processes of a gateway, each with its role."""

    def __init__(self, own: CollectorRegistry, others: Texts) -> None:
        self._own = own
        self._others = others

    def collect(self) -> Iterable[Metric]:
        """Yield them."""
        mine = ("web", generate_latest(self._own).decode())
        return merged([mine, *self._others()])


def routes(collectors: Iterable[Collector]) -> APIRouter:
    """Return the route."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    router = APIRouter(tags=["health"])

    @router.get("/metrics", response_class=Response)
    def metrics() -> Response:
        """Tell the figures of this gateway in the text form of Prometheus."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router
