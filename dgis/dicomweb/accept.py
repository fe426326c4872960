"""What a client takes (PS3.18 8.7.5 to 8.7.8): the `accept` query parameter first, then the Accept field."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import Request

from dgis.dicomweb.parameters import Parameters
from dgis.web.problems import Problem

MULTIPART = "multipart/related"
ANY = "*/*"
_MOST_CHARACTERS = 4096
_MOST_RANGES = 64
_SEPARATED = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
_PARAMETER = re.compile(r';\s*([A-Za-z-]+)\s*=\s*("[^"]*"|[^;,\s]*)')
_NAME = re.compile(r"[a-z0-9!#$&^_.+*-]{1,64}/[a-z0-9!#$&^_.+*-]{1,64}")
_SYNTAX = re.compile(r"\*|[0-9.]{1,64}")


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One media range; `name` is that of the parts where it is multipart, `syntax` "" where it names none."""

    name: str
    multipart: bool
    syntax: str
    quality: float

    @property
    def wild(self) -> bool:
        """Whether it leaves the media type open."""
        return "*" in self.name

    def takes(self, name: str) -> bool:
        """Whether it takes a media type."""
        return self.name in {ANY, name} or (self.wild and self.name == f"{name.partition('/')[0]}/*")


@dataclass(frozen=True, slots=True)
class Offer:
    """What could be answered: `syntax` "" where a media type has none; `as_stored`: nothing is converted."""

    name: str
    multipart: bool
    syntax: str = ""
    as_stored: bool = False


Offered = TypeVar("Offered", bound=Offer)


@dataclass(frozen=True, slots=True)
class Acceptable:
    """The media ranges of a request: those of the query parameter, then those of the field; best first."""

    asked: tuple[MediaRange, ...]
    field: tuple[MediaRange, ...]

    @property
    def ranges(self) -> tuple[MediaRange, ...]:
        """All of them in turn."""
        return (*self.asked, *self.field)

    def choose(self, offers: Sequence[Offered]) -> Offered:
        """Return the offer that is taken, the earlier one where two are as good.

        Raises:
            Problem: 406 where none is.
        """
        for each in self.ranges:
            found = _first(each, offers)
            if found is not None:
                return found
        raise not_acceptable()


def not_acceptable(words: str = "none of the media types that are asked for can be had of this") -> Problem:
    """Return the answer where nothing fits."""
    return Problem(406, "not_acceptable", words)


def acceptable(request: Request, parameters: Parameters) -> Acceptable:
    """Read what a request takes; a client that says nothing takes anything.

    Raises:
        Problem: 400 where it cannot be read.
    """
    field = ",".join(value.decode("latin-1") for name, value in request.scope["headers"] if name == b"accept")
    # "+" is a blank in the form most clients write queries in; in a media type it can only be meant.
    asked = ",".join(each.replace(" ", "+") for each in parameters.several("accept"))
    if not asked and field.strip() in {"", ANY}:
        return _ANYTHING
    return Acceptable(_ranges(asked), _ranges(field))


_ANYTHING = Acceptable((), (MediaRange(ANY, multipart=False, syntax="", quality=1.0),))


def _first(asked: MediaRange, offers: Iterable[Offered]) -> Offered | None:
    fitting = [
        offer
        for offer in offers
        if asked.takes(offer.name) and (asked.name == ANY or asked.multipart == offer.multipart)
    ]
    if asked.multipart:
        fitting = [offer for offer in fitting if offer.multipart]
    if asked.syntax == "*":
        return next((offer for offer in fitting if offer.as_stored), next(iter(fitting), None))
    if asked.syntax:
        return next((offer for offer in fitting if offer.syntax == asked.syntax), None)
    return next(iter(fitting), None)


def _ranges(text: str) -> tuple[MediaRange, ...]:
    if not text.strip():
        return ()
    if len(text) > _MOST_CHARACTERS:
        raise _unreadable()
    found = [_range(each.strip()) for each in _SEPARATED.split(text) if each.strip()]
    if len(found) > _MOST_RANGES:
        raise _unreadable()
    return tuple(sorted((each for each in found if each.quality > 0), key=lambda each: -each.quality))


def _range(text: str) -> MediaRange:
    name, _, _rest = text.partition(";")
    name = name.strip().lower()
    parameters = {key.lower(): value.strip('"').strip() for key, value in _PARAMETER.findall(text)}
    multipart = name == MULTIPART
    if multipart:
        name = parameters.get("type", ANY).lower()
    syntax = parameters.get("transfer-syntax", "")
    if not _NAME.fullmatch(name) or (syntax and not _SYNTAX.fullmatch(syntax)):
        raise _unreadable()
    return MediaRange(name, multipart, syntax, _quality(parameters.get("q", "1")))


def _quality(text: str) -> float:
    return min(float(text), 1.0) if re.fullmatch(r"[01](\.[0-9]{0,3})?", text) else 1.0


def _unreadable() -> Problem:
    return Problem(400, "accept", "what is acceptable cannot be read (RFC 9110 12.5.1)")
