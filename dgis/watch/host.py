"""Figures of the gateway as a whole that need no database: disk, rule, certificates, roles, build."""

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dgis.configuration import Configuration
from dgis.watch.certificates import Expiry, certificates, revocation_lists
from dgis.watch.kept import Kept

_CERTIFICATE_SECONDS = 60.0
_UNREADABLE = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Roles:
    """Whether the processes beside this one are there."""

    worker_answers: Callable[[], bool]
    fresh: Callable[[], frozenset[str]]  # roles that wrote their figures down lately


class HostFigures(Collector):
    """The gauges."""

    def __init__(self, configuration: Configuration, roles: Roles) -> None:
        self._configuration = configuration
        self._roles = roles
        self._expiries = Kept(self._read_expiries, _CERTIFICATE_SECONDS)

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        shown, listed = self._expiries.get()
        return [
            *self._disk(),
            *self._rule(),
            _ends(
                "dgis_certificate_expiry_timestamp_seconds", "When a certificate of this gateway ends", shown
            ),
            _ends(
                "dgis_revocation_list_expiry_timestamp_seconds", "When a list of revoked ones ends", listed
            ),
            self._up(),
            _build(),
        ]

    def _disk(self) -> list[Metric]:
        cache = self._configuration.cache
        disk = os.statvfs(self._configuration.gateway.home)
        return [
            _gauge(
                "dgis_disk_free_bytes",
                "What the file system of the home has left",
                disk.f_bavail * disk.f_frsize,
            ),
            _gauge("dgis_disk_size_bytes", "What it has in all", disk.f_blocks * disk.f_frsize),
            _gauge("dgis_disk_floor_bytes", "Below it images are refused", cache.free_floor_bytes),
            _gauge("dgis_cache_max_bytes", "What the cache may take", cache.max_bytes),
        ]

    def _rule(self) -> list[Metric]:
        placement = self._configuration.placement
        return [
            _gauge("dgis_placement_copies", "Copies an object should have", placement.copies),
            _gauge(
                "dgis_placement_write_quorum", "Copies a part needs to be published", placement.write_quorum
            ),
        ]

    def _up(self) -> Metric:
        fresh = self._roles.fresh()
        up = GaugeMetricFamily(
            "dgis_role_up", "1 where a process of the role answers or writes", labels=["role"]
        )
        up.add_metric(["dicom"], "dicom" in fresh)
        up.add_metric(["web"], 1)
        up.add_metric(["worker"], self._roles.worker_answers())
        return up

    def _read_expiries(self) -> tuple[list[Expiry], list[Expiry]]:
        return list(certificates(self._configuration)), list(revocation_lists(self._configuration))


class CacheFigures(Collector):
    """What the receive log takes; the DICOM door's, which holds it."""

    def __init__(self, used_bytes: Callable[[], int], unindexed: Callable[[], int]) -> None:
        self._used_bytes = used_bytes
        self._unindexed = unindexed

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        return [
            _gauge("dgis_cache_used_bytes", "What received originals take", self._used_bytes()),
            _gauge("dgis_cache_unindexed_segments", "Segments with something to index", self._unindexed()),
        ]


class KeyStoreFigures(Collector):
    """Whether each key store answers; the worker's, which holds the keys."""

    def __init__(self, stores: Sequence[Path], answers: Callable[[Path], bool]) -> None:
        self._stores = stores
        self._answers = answers

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges; a store is named by its place in `keys.stores`."""
        up = GaugeMetricFamily("dgis_key_store_up", "1 where the key store answers", labels=["store"])
        for number, path in enumerate(self._stores, 1):
            up.add_metric([str(number)], self._answers(path))
        return [up]


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)


def _ends(name: str, words: str, expiries: Iterable[Expiry]) -> Metric:
    made = GaugeMetricFamily(name, words, labels=["setting"])
    for each in expiries:
        made.add_metric([each.setting], (each.ends or _UNREADABLE).timestamp())
    return made


def _build() -> Metric:
    made = GaugeMetricFamily("dgis_build_info", "Always 1; what runs here", labels=["version", "python"])
    made.add_metric([version("dgis"), platform.python_version()], 1)
    return made
