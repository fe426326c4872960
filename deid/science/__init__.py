"""Whether published instances say what their originals say, and what the options removed of them."""

from deid.science.check import ScienceCheck
from deid.science.outcome import Failed, Kept, removed_words, withheld_instead

__all__ = ["Failed", "Kept", "ScienceCheck", "removed_words", "withheld_instead"]
