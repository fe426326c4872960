"""What stands behind a store request: the receive log, as behind an association that stores."""

from collections import Counter
from dataclasses import dataclass
from itertools import count

from catalog.callers import Caller
from catalog.release import named
from dgis.accounting import Accounts
from dgis.cache.log import AssociationWriter, ReceiveLog
from dgis.dimse.budget import Budget
from dgis.dimse.identify import Identity
from dgis.dimse.limits import Limits
from dgis.dimse.services import Event, Incoming, Note, Session, Sink
from dgis.dimse.status import Refusal
from dgis.keeping import Keeper
from dgis.multipart.media import MediaType
from dgis.stow.body import open_body
from dgis.stow.instance import Terms
from dgis.stow.outcomes import Failed, Outcome
from dgis.stow.slots import Slots
from dgis.trail.recorder import Recorder, happening_of, stored_by
from dgis.watch import door as figures

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """Bounds of store requests; the length of a whole body is bounded around the application."""

    instance_bytes: int = 8 << 30
    at_once: int = 32


class Storing:
    """Opens store requests; one for all of a door."""

    def __init__(
        self, log: ReceiveLog, keeper: Keeper, recorder: Recorder, accounts: Accounts, limits: StoreLimits
    ) -> None:
        self.log = log
        self.keeper = keeper
        self.recorder = recorder
        self.accounts = accounts
        self.limits = limits
        self.slots = Slots(limits.at_once)
        self.budget = Budget(Limits().kept_bytes)

    def open(self, caller: Caller, address: str, study_uid: str, kind: MediaType) -> "StoreRequest":
        """Open a request; `study_uid` is empty where its path names none.

        Raises:
            Unsupported: its media type brings no files.
            MultipartError: its media type names no boundary.
        """
        name = named(caller)
        session = Session(next(_numbers), caller, called_ae="", calling_ae=name, address=address)
        return StoreRequest(self, session, study_uid, kind)


class StoreRequest:
    """One request as it is received; `close` ends it, whatever happened. For one thread at a time."""

    def __init__(self, storing: Storing, session: Session, study_uid: str, kind: MediaType) -> None:
        self.outcomes: list[Outcome] = []
        self._storing = storing
        self._session = session
        self._stored: Counter[str] = Counter()
        self._writer: AssociationWriter | None = None
        self._complete = False
        terms = Terms(self._begin, storing.budget, storing.limits.instance_bytes, study_uid)
        self._body = open_body(kind, terms, self._told)

    def take(self, piece: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            MultipartError: it is not what its media type says; what was kept before it stays kept.
        """
        self._body.take(piece)

    def finish(self) -> None:
        """Take note that the body is complete; raises as `take`."""
        self._body.finish()
        self._complete = True

    def close(self) -> None:
        """Give back what the request holds, and tell the trail what it brought."""
        self._body.abandon()
        if self._writer is not None:
            self._writer.finish(released=self._complete)
        if self._stored:
            self._storing.recorder.add(stored_by(self._session, self._stored))

    def _begin(self, incoming: Incoming) -> Sink | Refusal:
        return self._storing.keeper.begin(self._session, incoming, self._association, self._took)

    def _association(self) -> AssociationWriter:
        if self._writer is None:
            self._writer = self._storing.log.association()
        return self._writer

    def _took(self, _session: Session, identity: Identity) -> None:
        self._stored[identity.sop_class_uid] += 1

    def _told(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        if not isinstance(outcome, Failed):
            return
        status, words = int(outcome.refusal.status), outcome.refusal.comment
        event = Event(Note.STORE_REFUSED, self._session.address, self._session, status, words)
        self._storing.accounts.add(event.note.value, f"0x{status:04X}")
        figures.noted(event)
        happening = happening_of(event)
        if happening is not None:
            self._storing.recorder.add(happening)
