"""What an erasure came to, in words: what was destroyed, what is pending, who still holds what until when."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dgis.erasure.subject import Inventory
from dgis.erasure.values import Erasure, Round


@dataclass(frozen=True, slots=True)
class Report:
    """The state of one erasure as this gateway sees it.

    `gateways_pending` are others on the same database; `server` says that the database is one, not a file;
    `keep_days` is how long backups of the database are kept, where the configuration says so.
    """

    erasure: Erasure
    last: Round
    gateways_pending: tuple[str, ...]
    done_here: bool
    server: bool
    keep_days: int | None
    now_ms: int

    @property
    def complete(self) -> bool:
        """Whether nothing of the patient is left in what the gateways hold."""
        return self.done_here and not self.gateways_pending and not self.last.stores_pending

    def as_json(self) -> dict[str, Any]:
        """The same for scripts; holds no original."""
        return {
            "complete": self.complete,
            "erasure": asdict(self.erasure),
            "key_stores_pending": list(self.last.stores_pending),
            "gateways_pending": list(self.gateways_pending),
            "done_here": self.done_here,
            "bytes_being_read": self.last.in_use_bytes,
            "held_apart_unread": self.last.held_unread,
            "backups_until": self._backups_until(),
            "still": list(self.still()),
        }

    def destroyed(self) -> Iterator[str]:
        """Yield what is gone."""
        gone = self.erasure
        yield f"the patient's key, generation {gone.generation}: what was sealed under it opens no more"
        yield (
            f"original rows of {gone.instances} instances in {gone.series} series, {gone.studies} studies; "
            f"{gone.cached} cached originals; {gone.held} held apart"
        )
        if gone.grants:
            yield f"originals taken out of {gone.grants} grants that name the patient"

    def pending(self) -> Iterator[str]:
        """Yield what is not done yet; the gateways go on with it by themselves."""
        for store in self.last.stores_pending:
            yield f"key store {store} does not answer: it holds the wrapped key until it does"
        for gateway in self.gateways_pending:
            yield f"{gateway} has not written over its cache yet: its worker does, when it runs"
        if self.done_here:
            return
        if self.last.in_use_bytes:
            yield f"{self.last.in_use_bytes} bytes of the cache are being read just now"
        if self.last.unclean:
            yield "the database's file could not be cleaned: somebody reads an old state of it"
        if self.last.unsettled:
            yield "images that came before are not indexed yet, or still being written: dgis serve does that"

    def still(self) -> Iterator[str]:
        """Yield who else holds identity, and until when."""
        until = self._backups_until()
        yield (
            f"backups of the database from before now hold the patient's rows until {until}"
            if until
            else "backups of the database from before now hold the patient's rows; how long is not known "
            "(backup.keep_days says)"
        )
        yield (
            "backups of the key stores hold the wrapped key: it opens with the key-encryption key of their "
            "time until that is rotated (dgis keys rotate) and every copy of the old one destroyed"
        )
        if self.server:
            yield (
                "the database server keeps deleted rows until it vacuums (VACUUM FULL leaves none) and its "
                "log of changes as long as you archive it"
            )
        if self.last.held_unread:
            yield (
                f"{self.last.held_unread} instances held apart name no patient that could be read: "
                "dgis conflicts list"
            )
        yield (
            "blocks that a file system gave free before are out of reach: an encrypted disk is the answer "
            "to them"
        )
        yield "the audit trail and its repository, where a caller asked by name or ID: they are never changed"
        yield "whoever sent the images or fetched originals; what they send again is taken as new"

    def _backups_until(self) -> str | None:
        if self.keep_days is None:
            return None
        begun = datetime.fromtimestamp(self.now_ms / 1000, UTC)
        return (begun + timedelta(days=self.keep_days)).date().isoformat()


def plan_words(found: Inventory, generation: int, stores: int) -> Iterator[str]:
    """Yield what an erasure would take away."""
    rows = found.originals
    yield f"destroys the patient's key, generation {generation}, in {stores} key stores"
    yield f"deletes original rows of {rows.instances} instances, {rows.series} series, {rows.studies} studies"
    for gateway, count in sorted(found.cached.items()):
        yield f"writes over {count} originals in the cache of {gateway}"
    yield "looks through what is held apart, and writes over what of it is the patient's"
    if found.grants:
        yield f"takes originals out of {found.grants} grants that name the patient"
    yield f"leaves {found.deidentified} de-identified instances as they are"
