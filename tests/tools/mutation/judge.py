"""What is asked of the engine about one mutated file, whatever it makes of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256

from deid.elements import Buffer, Encoding, elements
from deid.engine import Deidentifier, Published, Withheld
from deid.files.instance import CleanFile, LeftOut, WithheldFile, deidentify_file, restored_pieces
from deid.files.part10 import read_part10
from deid.keys.values import PatientKey
from deid.pixel_decision import DecidedBy, PixelDecision
from deid.profile import Profile
from deid.rectangles import Rectangle
from deid.restore import RestoreRefused
from deid.science.check import ScienceCheck
from deid.seal.reader import open_companion
from deid.seal.values import Sealable, SealNames
from deid.seal.writer import seal_part
from deid.splice import published_payload
from deid.vr import is_private
from tests.tools.mutation import sources
from tests.tools.mutation.cases import Case
from tests.unit.deid.engine.build import SECRETS
from tests.unit.deid.seal.build import BodySource

_WINDOW = 8  # bytes in a row of any canary are a leak
OPTIONS = (
    ("modified-dates",),
    (
        "modified-dates",
        "safe-private",
        "patient-characteristics",
        "clean-descriptors",
        "clean-structured-content",
    ),
    ("full-dates", "safe-private", "retain-uids"),
)
_DECISIONS = (PixelDecision(DecidedBy.REVIEWER, (Rectangle(0, 0, 2, 2),)), PixelDecision(DecidedBy.REVIEWER))
_NAMES = SealNames("0" * 32, "patient", "part")
_KEY = PatientKey("patient", bytes(32))


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a file in a word, and what is wrong with that, None where nothing is."""

    outcome: str
    wrong: str | None = None


def judge(case: Case, next_call: Callable[[], None] = lambda: None) -> Judged:
    """De-identify a mutated file in every way, seal it and take it back; what is raised goes through.

    `next_call` is called before each call of the engine: none of them may take long.
    """
    file = case.file()
    profile = _profile(case.options)
    next_call()
    told = deidentify_file(Deidentifier(profile, SECRETS, "Demo Hospital"), file)
    next_call()
    outcome, wrong = _outcome(told), _wrong(told, file, case, profile)
    answer = _answer(told)
    del told  # an engine need not hold two of them
    next_call()
    if wrong is None and _answer(_again(file, case, profile)) != answer:
        wrong = "the answer depends on what came before"
    return Judged(outcome, wrong or _decided(file, case, profile, next_call))


@cache
def _profile(options: int) -> Profile:
    return Profile.named("basic", OPTIONS[options % len(OPTIONS)])


def _outcome(told: CleanFile | WithheldFile | LeftOut) -> str:
    if isinstance(told, LeftOut):
        return f"left out: {told.value}"
    return f"withheld: {told.form.reason.value}" if isinstance(told, WithheldFile) else "published"


def _wrong(told: CleanFile | WithheldFile | LeftOut, file: bytes, case: Case, profile: Profile) -> str | None:
    if isinstance(told, LeftOut):
        return None
    if isinstance(told, WithheldFile):
        if _leaks([repr(told.form).encode()], case.canaries()):
            return "a canary in what is said of a withheld file"
        return _kept(told.sealable(), file, b"", 0)
    if _leaks(_looked_at(told), case.canaries()):
        return "a canary is published"
    return (
        _malformed(told.form)
        or _not_compared(told.form, file, profile)
        or _kept(told.sealable(), file, b"" if told.form.inflated else told.data, told.native_bytes)
        or _kept(told.sealable(whole=True), file, b"", 0)
    )


def _looked_at(told: CleanFile) -> Iterable[Buffer]:
    """Return the parts of a published file that may not hold a canary: all but native pixels.

    What a mutation wrote over numbers of an image is an image, and no engine can know better.
    """
    split = told.form.split
    if split.encapsulated or split.pixel_tag is None:
        return told.pieces
    return (*told.pieces[:2], told.form.after)


def _leaks(parts: Iterable[Buffer], canaries: Sequence[bytes]) -> bool:
    whole = b"\0\0".join(parts)
    return any(window in whole for canary in canaries for window in _windows(canary))


@cache
def _windows(canary: bytes) -> tuple[bytes, ...]:
    text = canary.decode("latin_1")
    parts = [text[at : at + _WINDOW] for at in range(max(1, len(text) - _WINDOW + 1))]
    codecs = ("latin_1", "utf_16_le", "utf_16_be")
    return tuple(part.encode(codec) for part in parts for codec in codecs)


def _malformed(form: Published) -> str | None:
    tags = [one.tag for part in (form.before, form.after) for one in elements(part, Encoding.EXPLICIT_LE)]
    if tags != sorted(set(tags)):
        return "what is published is out of order"
    if any(is_private(tag) for tag in tags) and "safe-private" not in form.report.profile and not _safe(form):
        return "a private attribute is published"
    return None


def _safe(form: Published) -> bool:
    return b"113111" in form.before  # the code of the option, in DeidentificationMethodCodeSequence


def _not_compared(form: Published, file: bytes, profile: Profile) -> str | None:
    """Hold it against the original as a gateway does: an answer of either kind, nothing raised."""
    found = read_part10(file)
    assert found is not None
    ScienceCheck(profile).check(file[found.start :], found.transfer_syntax, form)
    return None


def _kept(sealable: Sealable, file: bytes, published: bytes, native_bytes: int) -> str | None:
    """Seal an original and take it back."""
    body = b"".join(seal_part([sealable], _NAMES, _KEY, b"[]").body)
    sealed = open_companion(BodySource((body,)), _KEY, _NAMES).instance(0)
    try:
        back = b"".join(restored_pieces(sealed, published, native_bytes))
    except RestoreRefused as refused:
        return f"the original does not come back: {refused.reason.value}"
    return None if back == file else "other bytes come back"


def _again(file: bytes, case: Case, profile: Profile) -> CleanFile | WithheldFile | LeftOut:
    """De-identify a file with an engine that saw it before the mutation."""
    engine = Deidentifier(profile, SECRETS, "Demo Hospital")
    deidentify_file(engine, sources.source(case.source).file)
    return deidentify_file(engine, file)


def _answer(told: CleanFile | WithheldFile | LeftOut) -> str:
    if not isinstance(told, CleanFile):
        return _outcome(told)
    digest = sha256()
    for piece in told.pieces:
        digest.update(piece)
    return digest.hexdigest()


def _decided(file: bytes, case: Case, profile: Profile, next_call: Callable[[], None]) -> str | None:
    """Publish it by a reviewer's word, with a corner blanked, and without."""
    found = read_part10(file)
    if found is None or found.directory:
        return None
    dataset = file[found.start :]
    engine = Deidentifier(profile, SECRETS, "Demo Hospital")
    for decision in _DECISIONS:
        next_call()
        form = engine.deidentify(dataset, found.transfer_syntax, found.sop_instance_uid, decision)
        wrong = None if isinstance(form, Withheld) else _wrong_by_decision(form, dataset, case)
        del form
        if wrong is not None:
            return wrong
    return None


def _wrong_by_decision(form: Published, dataset: bytes, case: Case) -> str | None:
    if _leaks([form.before, form.after], case.canaries()):
        return "a canary is published by decision"
    source = dataset if form.inflated is None else form.inflated
    for index in range(len(form.split.holes)):
        payload = published_payload(source, form.split, index, form.payload_edits)
        if form.split.encapsulated and _leaks([payload], case.canaries()):
            return "a canary is left in decided pixels"
    return None
