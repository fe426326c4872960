from collections.abc import Sequence
from functools import cache

from deid import encode
from deid.actions import Actions
from deid.codes import is_known_scheme, known_code
from deid.elements import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    UNDEFINED,
    Buffer,
    Element,
    Encoding,
    WalkError,
    elements,
    items,
)
from deid.memo import Done, Memo
from deid.private import SafePrivate
from deid.profile import Option, Profile
from deid.pseudonyms import Pseudonyms
from deid.subject import Subject, decoded
from deid.values import little_endian
from deid.vr import agreed_vr, block_of, is_private, is_private_creator, is_retired, standard_vr

# Curves and overlays (PS3.3 C.9.2): drawings may write a name, so all of their attributes go. Pixels are
# not the walker's: those of the instance are taken over by the split, others (icons) show the same without
# its verdict.
_NEVER_GROUPS = frozenset({*range(0x5000, 0x5100, 2), *range(0x6000, 0x6100, 2), 0x7FE0})
# What PS3.6 has retired goes, but for the numbers of acquisition, image and radiotherapy groups: old files
# are science, too.
_TECHNICAL_GROUPS = frozenset({0x0018, 0x0028, 0x3004, 0x3006, 0x300A, 0x300C})
_OLD_POSITIONS = frozenset({0x00200030, 0x00200035, 0x00200050})  # where and how an ACR-NEMA image lies
_NUMBERS = frozenset({"DS", "IS", "FD", "FL", "SL", "SS", "UL", "US"})
_PATIENT_GROUP = 0x0010
_CHARACTER_SET = 0x00080005  # all text that is published is ASCII, at every depth
_FIRST_GROUP = 0x0008  # below: command set, file meta information, directories

# The coded entry (PS3.3 8.8) is judged as a whole.
_CODE_VALUE, _SCHEME, _MEANING = 0x00080100, 0x00080102, 0x00080104
_LONG_CODE_VALUE, _URN_CODE_VALUE = 0x00080119, 0x00080120
_CODE_VALUES = (_CODE_VALUE, _LONG_CODE_VALUE, _URN_CODE_VALUE)
_CONTEXT, _MAPPING_RESOURCE = 0x0008010F, 0x00080105
CODED_TAGS = frozenset({_SCHEME, _MEANING, *_CODE_VALUES})
_SCHEMES = 0x00080110  # the list of coding schemes (PS3.3 C.12.1.1.7): an entry is nothing without its name
_OWN_SCHEME = "99DGIS"
_REMOVED_MEANING = "Removed"

_REMOVED = "X"
_NOTHING = Done(b"")


class Walker:
    """De-identifies elements and items: default-deny, at every depth, over bytes.

    One walker serves one subject and one thread; what it returns for an element depends on the element's
    bytes, the sequence it stands in, the encoding, and for private elements on the creator of their block.
    """

    def __init__(
        self, profile: Profile, pseudonyms: Pseudonyms, subject: Subject, shared: Memo | None = None
    ) -> None:
        """Bind the rules to a subject; `shared` remembers what is the same for every patient."""
        self.actions = Actions(profile, pseudonyms, subject)
        self._private = SafePrivate(self.actions.cleaning) if profile.has(Option.SAFE_PRIVATE) else None
        self._memo = Memo()
        self._shared = Memo() if shared is None else shared
        self._kind = (subject.charset, subject.sop_class, subject.signed)
        self._budget = MAX_ELEMENTS
        self._pseudonyms = pseudonyms
        self._subject = subject
        self._signed = subject.signed

    def dataset(
        self, buffer: Buffer, found: Sequence[Element], encoding: Encoding, parent: int | None, depth: int
    ) -> dict[int, Done]:
        """De-identify the elements of one level; returns what stays, by tag in ascending order.

        Of elements with one tag the first counts. `parent` is the sequence the elements stand in, None at
        the top.

        Raises:
            WalkError: nested deeper than MAX_DEPTH, more than MAX_ELEMENTS, or a sequence holds no items.
        """
        if depth == 0:
            self.begin()
        # An element was stepped over once on each level above it; a level costs something without any, too.
        self._budget -= (len(found) + 1) * (depth + 1)
        if depth > MAX_DEPTH or self._budget < 0:
            raise WalkError(f"nested deeper than {MAX_DEPTH}, or more than {MAX_ELEMENTS} elements")
        done: dict[int, Done] = {}
        coded: dict[int, bytes] = {}
        creators: dict[int, str] = {}
        shared = self._shared.at((parent, encoding, self._kind))
        for element in found:
            tag = element.tag
            if is_private(tag):
                self._private_element(buffer, element, encoding, creators, done)
            elif tag in CODED_TAGS:
                coded.setdefault(tag, bytes(buffer[element.value : element.value_end]))
            elif tag not in done:
                if element.end - element.start > Memo.LONGEST_BYTES:
                    done[tag] = self._element(buffer, element, encoding, parent, depth)
                    continue
                raw = bytes(buffer[element.start : element.end])
                finished = shared.get(raw)
                if finished is None:
                    finished = self._own(buffer, element, encoding, parent, depth)
                done[tag] = finished
        if coded:
            done |= self._code(coded)
            _drop_lone_resource(done)
        return dict(sorted(done.items()))

    def begin(self) -> None:
        """Begin another data set: the bound of its elements counts anew."""
        self._budget = MAX_ELEMENTS

    def top_level(self, buffer: Buffer, element: Element, encoding: Encoding) -> Done:
        """De-identify one public element of the top level."""
        if element.end - element.start > Memo.LONGEST_BYTES:
            return self._element(buffer, element, encoding, None, 0)
        raw = bytes(buffer[element.start : element.end])
        finished = self._shared.at((None, encoding, self._kind)).get(raw)
        return self._own(buffer, element, encoding, None, 0) if finished is None else finished

    def _own(
        self, buffer: Buffer, element: Element, encoding: Encoding, parent: int | None, depth: int
    ) -> Done:
        """De-identify an element that no patient had so far; remember it for this one, or for all of them."""
        cleaning = self.actions.cleaning
        raw = bytes(buffer[element.start : element.end])
        own = self._memo.at((parent, encoding))
        finished = own.get(raw)
        if finished is not None:
            cleaning.personal = True
            return finished
        outside, cleaning.personal = cleaning.personal, element.tag >> 16 == _PATIENT_GROUP
        finished = self._element(buffer, element, encoding, parent, depth)
        if cleaning.personal:
            self._memo.keep(own, raw, finished)
        else:
            self._shared.keep(self._shared.at((parent, encoding, self._kind)), raw, finished)
        cleaning.personal |= outside
        return finished

    def _element(
        self, buffer: Buffer, element: Element, encoding: Encoding, parent: int | None, depth: int
    ) -> Done:
        tag = element.tag
        vr = _published_vr(tag, element.vr, encoding.implicit, self._signed)
        if vr is None:
            return Done(b"", ((tag, _REMOVED),))
        if vr == "SQ":
            return self._sequence(buffer, element, encoding, parent, depth)
        if element.length == UNDEFINED:
            return Done(b"", ((tag, _REMOVED),))
        raw = bytes(buffer[element.value : element.end])
        if encoding is Encoding.EXPLICIT_BE and element.vr != "UN":
            raw = little_endian(vr, raw)
        value, action = self.actions.value(tag, vr, raw, parent)
        data = b"" if value is None else encode.element(tag, vr, value)
        return Done(data, () if action == "K" else ((tag, action),))

    def _sequence(
        self, buffer: Buffer, element: Element, encoding: Encoding, parent: int | None, depth: int
    ) -> Done:
        """Clean a sequence that stays item by item: that is its dummy, too, for nothing is left of it."""
        tag = element.tag
        rule = self.actions.rule(tag)
        letter = self.actions.letter(tag, "K" if rule is None else rule.code, parent)
        if letter == _REMOVED:
            return Done(b"", ((tag, letter),))
        if letter == "Z":
            return Done(encode.sequence(tag, ()), ((tag, letter),))
        notes: list[tuple[int, str]] = [] if rule is None else [(tag, letter)]
        cleaned: list[bytes] = []
        for item in items(buffer, element, encoding):
            inside = list(elements(buffer, item.encoding, item.start, item.stop))
            kept = self.dataset(buffer, inside, item.encoding, tag, depth + 1)
            if tag == _SCHEMES and not kept.get(_SCHEME, _NOTHING).data:
                continue
            notes.extend(note for done in kept.values() for note in done.notes)
            cleaned.append(b"".join(done.data for done in kept.values()))
        if not any(cleaned) and element.value != element.value_end:
            # Nothing is left in it: as good as removed, unless the IOD wants it there, or items in it.
            emptied = self.actions.letter(tag, "X/Z", parent)
            if emptied == _REMOVED:
                return Done(b"", (*notes, (tag, _REMOVED)))
            if emptied == "Z":
                cleaned = []
        return Done(encode.sequence(tag, cleaned), tuple(notes))

    def private(self, buffer: Buffer, element: Element, encoding: Encoding, creator: str) -> Done:
        """De-identify a private element of a creator's block, the element that names the creator apart."""
        tag = element.tag
        if self._private is None or element.length == UNDEFINED:
            return Done(b"", ((tag, _REMOVED),))
        raw = bytes(buffer[element.value : element.end])
        kept = self._private.kept(creator, tag, element.vr, raw, swapped=encoding is Encoding.EXPLICIT_BE)
        if kept is None:
            return Done(b"", ((tag, _REMOVED),))
        return Done(encode.element(tag, *kept))

    def _private_element(
        self,
        buffer: Buffer,
        element: Element,
        encoding: Encoding,
        creators: dict[int, str],
        done: dict[int, Done],
    ) -> None:
        tag = element.tag
        if is_private_creator(tag):
            creators.setdefault(tag, private_creator(buffer, element))
            return
        if tag in done:
            return
        block = block_of(tag)
        creator = creators.get(block, "")
        done[tag] = finished = self.private(buffer, element, encoding, creator)
        if finished.data:
            done[block] = Done(encode.element(block, "LO", creator.encode("ascii")))

    def _code(self, coded: dict[int, bytes]) -> dict[int, Done]:
        """Publish a coded entry in the dictionary's words, or as a code of our own that names nothing.

        Equal unknown codes stay equal, so that what is measured can still be told apart.
        """
        texts = {tag: decoded(raw, self._subject.charset) for tag, raw in coded.items()}
        scheme = texts.get(_SCHEME, "")
        value = next((texts[tag] for tag in _CODE_VALUES if texts.get(tag)), "")
        if not any(texts.values()):
            return {tag: Done(encode.element(tag, _code_vr(tag), b"")) for tag in coded}
        if not value and _MEANING not in coded:
            named = is_known_scheme(scheme)
            return {_SCHEME: Done(encode.element(_SCHEME, "SH", scheme.encode("ascii")) if named else b"")}
        found = known_code(scheme, value)
        if found is not None:
            action = "C"
            texts = {_CODE_VALUE: found.value, _SCHEME: found.scheme, _MEANING: found.meaning}
        else:
            action = "D"
            stand_in = self._pseudonyms.text("code", scheme, value or texts.get(_MEANING, ""))
            texts = {_CODE_VALUE: stand_in, _SCHEME: _OWN_SCHEME, _MEANING: _REMOVED_MEANING}
        return {
            tag: Done(encode.element(tag, _code_vr(tag), text.encode("ascii")), ((tag, action),))
            for tag, text in texts.items()
        }


def _drop_lone_resource(done: dict[int, Done]) -> None:
    """Take out of a coded entry where its context is defined, if the context itself went (PS3.3 8.8)."""
    if not done.get(_CONTEXT, _NOTHING).data:
        done.pop(_MAPPING_RESOURCE, None)


def private_creator(buffer: Buffer, element: Element) -> str:
    """Return the private creator an element names (PS3.5 7.8.1)."""
    if element.length == UNDEFINED:
        return ""
    return bytes(buffer[element.value : element.end]).strip(b" \0").decode("latin_1")


def _code_vr(tag: int) -> str:
    return standard_vr(tag) or "SH"


@cache
def _published_vr(tag: int, written: str, implicit: bool, signed: bool) -> str | None:  # noqa: FBT001 - a cache key
    """Return the VR an element is published with; None where it goes whatever it holds."""
    group = tag >> 16
    vr = agreed_vr(tag, written, implicit, signed)
    if vr is None or group < _FIRST_GROUP or group in _NEVER_GROUPS or not tag & 0xFFFF:
        return None
    technical = vr in _NUMBERS and (group in _TECHNICAL_GROUPS or tag in _OLD_POSITIONS)
    retired = is_retired(tag) and not technical
    return None if retired or tag == _CHARACTER_SET else vr
