"""What the storage nodes do and how they are, as this process sees them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dgis.watch.figures import NODE_ERRORS, NODE_SECONDS
from replica.fleet import Fleet
from storage_nodes.addresses import Kind
from storage_nodes.errors import NodeError
from storage_nodes.names import ObjectName
from storage_nodes.node import Body, Node, ObjectStat
from storage_nodes.wrappers.through import Through


class Timed(Through):
    """A node whose calls are timed and whose errors are counted; outermost: what the gateway waited for."""

    def __init__(self, inner: Node, kind: Kind) -> None:
        super().__init__(inner)
        self._kind = kind.value

    def put(self, name: ObjectName, body: Body, sha256: bytes) -> None:
        """Time the call."""
        with self._call("put"):
            self._inner.put(name, body, sha256)

    def get(self, name: ObjectName) -> bytes:
        """Time the call."""
        with self._call("get"):
            return self._inner.get(name)

    def get_range(self, name: ObjectName, start: int, length: int) -> bytes:
        """Time the call."""
        with self._call("get_range"):
            return self._inner.get_range(name, start, length)

    def stat(self, name: ObjectName) -> ObjectStat:
        """Time the call; that there is no such object is an answer, and what a probe hopes for."""
        with self._call("stat"):
            return self._inner.stat(name)

    def delete(self, name: ObjectName) -> None:
        """Time the call."""
        with self._call("delete"):
            self._inner.delete(name)

    @contextmanager
    def _call(self, call: str) -> Iterator[None]:
        began = perf_counter()
        try:
            yield
        except NodeError as error:
            if call != "stat" or type(error).__name__ != "ObjectMissing":
                NODE_ERRORS.labels(self.name, self._kind, type(error).__name__).inc()
            raise
        finally:
            NODE_SECONDS.labels(self.name, self._kind, call).observe(perf_counter() - began)


class NodeHealth(Collector):
    """How each node does: gauges that are read when they are written down."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges of all nodes."""
        health, labels = self._fleet.health, ["node", "kind"]
        up = GaugeMetricFamily("dgis_node_up", "1 where the node answered last", labels=labels)
        rests = GaugeMetricFamily(
            "dgis_node_breaker_open", "1 where others are asked first, after failures", labels=labels
        )
        full = GaugeMetricFamily(
            "dgis_node_full", "1 where the node took no more bytes lately", labels=labels
        )
        for kind in Kind:
            for name in self._fleet.names(kind):
                which, well = [name, kind.value], health.is_well(kind, name)
                up.add_metric(which, health.condition(kind, name).down_since_ms is None)
                rests.add_metric(which, not well)
                full.add_metric(which, well and not health.takes_objects(kind, name))
        return [up, rests, full]
