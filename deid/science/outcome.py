from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deid.outcome import Published, Withheld, WithheldReason


@dataclass(frozen=True, slots=True)
class Kept:
    """The published form says the same as the original; `removed` is what the options took, in words."""

    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The published form does not say what the original does; `what` names attributes, never values."""

    what: str

    @property
    def reason(self) -> str:
        """Why the instance is sealed whole, in words."""
        return f"{WithheldReason.NUMBERS.value}: {self.what}"


def removed_words(outcomes: Iterable[Kept | Failed]) -> Mapping[str, int]:
    """Count in how many instances each thing was removed; what failed is published nowhere and left out."""
    said = (words for outcome in outcomes if isinstance(outcome, Kept) for words in outcome.removed)
    return dict(sorted(Counter(said).items()))


def withheld_instead(form: Published) -> Withheld:
    """Return what takes the place of a published form that failed its check."""
    return Withheld(
        reason=WithheldReason.NUMBERS,
        patient_key=form.patient_key,
        sop_class_uid=form.sop_class_uid,
        sop_instance_uid=form.sop_instance_uid,
        study_uid=form.study_uid,
        series_uid=form.series_uid,
    )
