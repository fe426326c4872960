import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cache

from deid.outcome import WithheldReason
from deid.pixel_decision import DecidedBy, PixelDecision
from deid.rectangles import Rectangle
from deid.tables.loader import records

_ANY = "*"
_PUBLISH, _BLANK, _KEEP_REGIONS = "publish", "blank", "keep-regions"
_FEWEST_FIELDS, _MOST_FIELDS = 6, 10
_UIDS = re.compile(r"[0-9.]{1,64}\*?|\*", re.ASCII)
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)
_NUMBER = re.compile(r"\d{1,5}|\*|", re.ASCII)

# What a rule says: a reason to withhold, None to publish as it is, or what is blanked before.
Outcome = WithheldReason | PixelDecision | None


class RuleError(ValueError):
    """A line of a rule file that states no rule; the words name the line and what would be right."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is known of an instance without looking at its pixels: the values that rules match against."""

    sop_class: str
    modality: str
    image_type: tuple[str, ...]
    burned_in: str
    samples: str
    manufacturer: str = ""
    model: str = ""
    software: tuple[str, ...] = ()
    size: str = ""  # ROWSxCOLUMNS


@dataclass(frozen=True, slots=True)
class PixelRule:
    """One line of a rule file: what is done, and patterns, `*` for anything.

    The device is matched by shell patterns, whatever the case; software by one of its versions.
    """

    outcome: Outcome
    sop_class: str
    modality: str
    image_type: str
    burned_in: str
    samples: str
    manufacturer: str = _ANY
    model: str = _ANY
    software: str = _ANY
    size: str = _ANY

    def matches(self, shown: Shown) -> bool:
        """Whether every pattern of the rule fits."""
        return (
            _fits(self.sop_class, shown.sop_class)
            and self.modality in {_ANY, shown.modality}
            and (self.image_type == _ANY or self.image_type in shown.image_type)
            and self.burned_in in {_ANY, shown.burned_in}
            and self.samples in {_ANY, shown.samples}
            and self.size in {_ANY, shown.size}
            and _is_like(self.manufacturer, (shown.manufacturer,))
            and _is_like(self.model, (shown.model,))
            and _is_like(self.software, shown.software)
        )


def parse_rules(lines: Iterable[str]) -> Iterator[PixelRule]:
    """Yield the rules of a file: a line each, fields divided by tabs, `#` before a comment.

    Raises:
        RuleError: a line states none.
    """
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            try:
                yield parse_rule(line.rstrip("\r\n").split("\t"))
            except ValueError as error:
                raise RuleError(f"line {number}: {error}") from None


def parse_rule(line: Sequence[str]) -> PixelRule:
    """Return the rule that the fields of a line state.

    Raises:
        ValueError: they state none; in words.
    """
    if not _FEWEST_FIELDS <= len(line) <= _MOST_FIELDS:
        raise ValueError(f"a pixel rule has six to ten fields, divided by tabs; here are {len(line)}")
    said, sop_class, modality, image_type, burned_in, samples, *device = line
    if not _UIDS.fullmatch(sop_class):
        raise ValueError(f"{sop_class!r} is no SOP class UID, no beginning of UIDs before *, and not *")
    if not _NUMBER.fullmatch(samples):
        raise ValueError(f"{samples!r} is no number of samples a pixel, and not *")
    size = device[3] if len(device) == _MOST_FIELDS - _FEWEST_FIELDS else _ANY
    return PixelRule(
        _outcome(said, _parsed_size(size)), sop_class, modality, image_type, burned_in, samples, *device
    )


@cache
def standard_rules() -> tuple[PixelRule, ...]:
    """Return the rules that come with the gateway; a site puts its own before them."""
    return tuple(parse_rule(line) for line in records("pixel_rules.tsv"))


def verdict(shown: Shown, rules: Sequence[PixelRule]) -> Outcome:
    """Return what the first rule that fits says; what no rule names is withheld."""
    for rule in rules:
        if rule.matches(shown):
            return rule.outcome
    return WithheldReason.UNKNOWN_SOP_CLASS


def _outcome(said: str, size: tuple[int, int] | None) -> Outcome:
    word, *rectangles = said.split(" ")
    if word == _BLANK:
        if size is None or not rectangles:
            raise ValueError(
                "`blank` is followed by rectangles X,Y,WIDTHxHEIGHT, and the tenth field says ROWSxCOLUMNS"
            )
        parsed = tuple(Rectangle.parse(each) for each in rectangles)
        if beside := next((each for each in parsed if each.clipped(*size) is None), None):
            raise ValueError(f"the rectangle {beside} lies beside an image of {size[0]}x{size[1]}")
        return PixelDecision(DecidedBy.RULE, parsed)
    if said == _KEEP_REGIONS:
        return PixelDecision(DecidedBy.RULE, regions_only=True)
    if said == _PUBLISH:
        return None
    if said not in WithheldReason.__members__:
        known = ", ".join((_PUBLISH, _BLANK, _KEEP_REGIONS, *WithheldReason.__members__))
        raise ValueError(f"{said!r} is no verdict on pixels; there are {known}")
    return WithheldReason[said]


def _parsed_size(size: str) -> tuple[int, int] | None:
    if size == _ANY:
        return None
    found = _SIZE.fullmatch(size)
    if found is None:
        raise ValueError(f"{size!r} is no size of an image, ROWSxCOLUMNS, and not *")
    return int(found[1]), int(found[2])


def _fits(pattern: str, value: str) -> bool:
    if pattern.endswith(_ANY):
        return value.startswith(pattern[:-1])
    return pattern == value


def _is_like(pattern: str, values: Sequence[str]) -> bool:
    return pattern == _ANY or any(_shell(pattern).fullmatch(value) for value in values)


@cache
def _shell(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern.strip()), re.IGNORECASE)
