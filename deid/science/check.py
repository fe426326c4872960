from collections.abc import Mapping

from deid.elements import Buffer, Encoding, WalkError, detect_encoding, encoding_of
from deid.outcome import Published
from deid.profile import Profile
from deid.science.compare import Comparison, Fact, Found
from deid.science.keys import Key
from deid.science.losses import told, words_of
from deid.science.mapped import KnownMapping
from deid.science.outcome import Failed, Kept
from deid.science.pixels import DESCRIPTION, Description, described, disagreement
from deid.science.reading import Reading
from deid.science.seen import Seen, creators_of, level_of
from deid.vr import is_private_creator

_LOSSY_COMPRESSION = 0x00282110


class ScienceCheck:
    """Holds published instances against their originals: what science needs is there, and says the same.

    It reads both sides anew and believes nothing of how the one was made from the other, but for where the
    pixels lie. Instances of one series, one after another, cost little: what equals the instance before on
    both sides is not compared again. Remembers values of the last original until it is let go; one thread
    uses it at a time.
    """

    def __init__(self, profile: Profile) -> None:
        """Bind the options, which decide what may be gone."""
        self._profile = profile
        self._comparison = Comparison(profile)
        self._patient_key = ""
        self._mapping = KnownMapping(profile)
        self._read_anew(Encoding.EXPLICIT_LE)

    def check(self, dataset: Buffer, transfer_syntax: str, form: Published) -> Kept | Failed:
        """Compare one instance with what is to be published of it.

        `dataset` and `transfer_syntax` are those of the original; where the form was made from other bytes
        (inflated, decoded), it brings them.
        """
        source = dataset if form.inflated is None else form.inflated
        encoding = detect_encoding(source, encoding_of(transfer_syntax))
        if form.patient_key != self._patient_key:
            self._patient_key, self._mapping = form.patient_key, KnownMapping(self._profile)
            self._read_anew(encoding)
        elif encoding is not self._before.encoding:
            self._read_anew(encoding)
        try:
            wrong = self._wrong(source, form)
        except WalkError:
            wrong = "it cannot be read back"
        if wrong is None:
            return Kept(self._removed)
        self._read_anew(encoding)  # what failed is nothing to compare the next one with
        return Failed(wrong)

    def forget(self) -> None:
        """Forget the values of the last original and how UIDs and dates were mapped."""
        self._patient_key, self._mapping = "", KnownMapping(self._profile)
        self._read_anew(Encoding.EXPLICIT_LE)

    def _read_anew(self, encoding: Encoding) -> None:
        self._before, self._after = Reading(encoding), Reading(Encoding.EXPLICIT_LE)
        self._facts: dict[int, dict[Key, Fact]] = {}
        self._removed: tuple[str, ...] = ()
        self._creators: Mapping[int, str] = {}  # of the original header, as last seen to differ
        self._said: tuple[tuple[Seen | None, ...], Description] = ((), Description({}, None))

    def _wrong(self, source: Buffer, form: Published) -> str | None:
        """Return what is wrong with a published form, None if nothing is; notes what was removed."""
        split, before, after = form.split, self._before, self._after
        tags = before.read(source, split.head_end) | after.read(form.before, len(form.before))
        if any(map(is_private_creator, tags)):
            tags |= before.seen.keys() | after.seen.keys()  # beside those that are gone
            self._creators = creators_of(before.seen)
        if any(edit.blank is not None for edit in form.payload_edits.values()):
            tags.discard(_LOSSY_COMPRESSION)  # set anew where decoding forgets that something was lost
        found = self._compared(tags, self._creators, before.seen, after.seen)
        if split.tail_start < split.length or form.after:
            behind = level_of(source, before.encoding, split.tail_start, split.length)
            published = level_of(form.after, Encoding.EXPLICIT_LE, 0, len(form.after))
            found |= self._compared(behind.keys() | published.keys(), creators_of(behind), behind, published)
        failed = next((words for one in found.values() for words in one.failures), None)
        if failed is not None:
            return failed
        self._note(found)
        return disagreement(self._description(), form) or self._mapping.contradiction(
            [days for one in found.values() for days in one.mapped.days],
            [pair for one in found.values() for pair in one.mapped.uids],
        )

    def _compared(
        self,
        tags: set[int],
        creators: Mapping[int, str],
        before: Mapping[int, Seen],
        after: Mapping[int, Seen],
    ) -> dict[int, Found]:
        element = self._comparison.element
        return {tag: element(tag, creators, before.get(tag), after.get(tag)) for tag in tags}

    def _note(self, found: Mapping[int, Found]) -> None:
        """Note what happened to the attributes that tell of losses, and put it into words where it is new."""
        new = False
        for tag, one in found.items():
            facts = {key: fact for key, fact in one.facts.items() if key in told()}
            if facts != self._facts.get(tag, {}):
                self._facts[tag], new = facts, True
        if new:
            together: dict[Key, Fact] = {}
            for noted in self._facts.values():
                for key, fact in noted.items():
                    together[key] = together.get(key, 0) | fact
            self._removed = words_of(together, self._profile)

    def _description(self) -> Description:
        seen = tuple(map(self._after.seen.get, DESCRIPTION))
        if seen != self._said[0]:
            self._said = (seen, described(self._after.seen))
        return self._said[1]
