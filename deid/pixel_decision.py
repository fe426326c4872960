from dataclasses import dataclass
from enum import Enum

from deid.rectangles import Rectangle

_BLANKED = "rectangles of the pixels blanked"


class DecidedBy(Enum):
    """Who says that no identity is left in the pixels; the value is how DeidentificationMethod names him."""

    REVIEWER = "a reviewer"
    RULE = "a rule of the site"


@dataclass(frozen=True, slots=True)
class PixelDecision:
    """Leave to publish an instance whose pixels may show identity, and what of them is blanked before.

    `frames` are ranges of frame numbers from 1, both ends meant; none: all frames. With `regions_only`
    everything outside the regions of an ultrasound image is blanked, too.
    """

    by: DecidedBy
    rectangles: tuple[Rectangle, ...] = ()
    frames: tuple[tuple[int, int], ...] = ()
    regions_only: bool = False

    @property
    def blanks(self) -> bool:
        """Whether pixels are changed."""
        return bool(self.rectangles) or self.regions_only

    @property
    def words(self) -> str:
        """What the published instance says of it (PS3.3 C.7.1.1, DeidentificationMethod)."""
        return f"{self.by.value}: {_BLANKED if self.blanks else 'pixels shown, nothing blanked'}"
