"""What a storage commitment names, read from the action and written into the report (PS3.4 J.3.2, J.3.3)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from pydicom.dataset import Dataset

from deid.deflate import InflateError, inflate_bounded, is_deflated
from deid.elements import Encoding, WalkError, detect_encoding, elements, encoding_of, items
from dgis.dimse.status import Refusal, Status
from dgis.dimse.uids import is_uid

_TRANSACTION_UID = 0x00081195
_REFERENCED_SOP_SEQUENCE = 0x00081199
_REFERENCED_CLASS = 0x00081150
_REFERENCED_INSTANCE = 0x00081155
_MOST_ELEMENTS = 1024  # of the action information; the standard has five
_UNREADABLE = Refusal(Status.INVALID_ARGUMENT, "the action information cannot be read")
_NO_TRANSACTION = Refusal(
    Status.INVALID_ARGUMENT, "Transaction UID missing or not a UID", (_TRANSACTION_UID,)
)
_NOTHING = Refusal(Status.INVALID_ARGUMENT, "no instance is referenced", (_REFERENCED_SOP_SEQUENCE,))
_NOT_A_UID = Refusal(
    Status.INVALID_ARGUMENT,
    "a class or instance is referenced by what is no UID",
    (_REFERENCED_SOP_SEQUENCE,),
)


class Reference(NamedTuple):
    """One instance that is asked about."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Commitment:
    """A storage commitment that is asked for: a transaction and its instances, in the order they came."""

    transaction_uid: str = field(repr=False)
    references: tuple[Reference, ...] = field(repr=False)


class Failed(NamedTuple):
    """One instance that is not committed, and the Failure Reason (0008,1197)."""

    reference: Reference
    reason: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a transaction; every instance that was asked about is in one of the two lists."""

    transaction_uid: str = field(repr=False)
    retrieve_ae: str
    committed: Sequence[Reference] = field(repr=False)
    failed: Sequence[Failed] = field(repr=False)

    @property
    def event_type(self) -> int:
        """1: all are committed; 2: some failed (PS3.4 table J.3-2)."""
        return 2 if self.failed else 1


def read_commitment(
    data: bytes, transfer_syntax: str, most_bytes: int, most_references: int
) -> Commitment | Refusal:
    """Read action information in the transfer syntax of its context; too many references are refused.

    An instance that is referenced twice is asked about once.
    """
    try:
        plain = inflate_bounded(data, most_bytes) if is_deflated(transfer_syntax) else data
        return _read(plain, detect_encoding(plain, encoding_of(transfer_syntax)), most_references)
    except (WalkError, InflateError):
        return _UNREADABLE


def _read(plain: bytes, encoding: Encoding, most_references: int) -> Commitment | Refusal:
    found = {each.tag: each for each in islice(elements(plain, encoding), _MOST_ELEMENTS)}
    named = found.get(_TRANSACTION_UID)
    transaction_uid = "" if named is None else _uid(plain[named.value : named.value_end])
    if not is_uid(transaction_uid):
        return _NO_TRANSACTION
    sequence = found.get(_REFERENCED_SOP_SEQUENCE)
    if sequence is None:
        return _NOTHING
    references: dict[Reference, None] = {}
    for number, item in enumerate(items(plain, sequence, encoding)):
        if number >= most_references:
            return Refusal(
                Status.RESOURCE_LIMITATION, f"more than {most_references} instances in one transaction"
            )
        uids = {
            each.tag: _uid(plain[each.value : each.value_end])
            for each in islice(elements(plain, item.encoding, item.start, item.stop), _MOST_ELEMENTS)
        }
        reference = Reference(uids.get(_REFERENCED_CLASS, ""), uids.get(_REFERENCED_INSTANCE, ""))
        if not all(map(is_uid, reference)):
            return _NOT_A_UID
        references[reference] = None
    return Commitment(transaction_uid, tuple(references)) if references else _NOTHING


def write_outcome(outcome: Outcome, transfer_syntax: str) -> bytes:
    """Return event information (PS3.4 table J.3-2) in the transfer syntax of a context."""
    data = Dataset()
    data.TransactionUID = outcome.transaction_uid
    if outcome.committed:
        data.RetrieveAETitle = outcome.retrieve_ae
        data.ReferencedSOPSequence = [_item(each) for each in outcome.committed]
    if outcome.failed:
        data.FailedSOPSequence = [_failed_item(each) for each in outcome.failed]
    return encoded(data, transfer_syntax)


def encoded(data: Dataset, transfer_syntax: str) -> bytes:
    """Return a data set as bytes in one of the transfer syntaxes that messages have."""
    from pynetdicom.dsutils import encode  # noqa: PLC0415 - a third of a second, for the first report

    encoding = encoding_of(transfer_syntax)
    written = encode(data, encoding.implicit, encoding.order == "<", is_deflated(transfer_syntax))
    assert isinstance(written, bytes), "every element is ours, and of a form that can be written"
    return written


def references_of(references: Iterable[Reference]) -> list[Dataset]:
    """Return the items of a Referenced SOP Sequence (PS3.3 table 10-11)."""
    return [_item(each) for each in references]


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return item


def _failed_item(failed: Failed) -> Dataset:
    item = _item(failed.reference)
    item.FailureReason = failed.reason
    return item


def _uid(raw: bytes) -> str:
    return raw.strip(b"\0 ").decode("ascii", "replace")
