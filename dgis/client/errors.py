"""What goes wrong for a client, as exceptions whose words say what to do."""

from collections.abc import Mapping

import httpx

_LONGEST_DETAIL = 500


class GridError(Exception):
    """Something asked of a gateway did not work; the words say why and what to do."""


class LoginError(GridError):
    """The gateway does not know who asks, or no longer."""


class RefusedError(GridError):
    """The gateway knows who asks, and does not allow it."""


class NotFoundError(GridError):
    """There is nothing by that name for this caller."""


class BadQueryError(GridError):
    """The question was not understood."""


class UnavailableError(GridError):
    """The gateway, or something that it needs, does not answer now; asking again later may help."""


class AnswerError(GridError):
    """The answer is not what DICOMweb says it should be."""


class IncompleteError(GridError):
    """Not everything could be fetched; running the same again fetches what is missing.

    `failed` has for each series why, `files` is how many files of the selection are there.
    """

    def __init__(self, words: str, failed: Mapping[str, str], files: int) -> None:
        super().__init__(words)
        self.failed = failed
        self.files = files


_QUERY = "the gateway did not understand the question; check the names and values of keys"
_LOGIN = (
    "the gateway does not know this login: give a token, an account, or a credential file that has not "
    "expired (dgis credential issue makes one)"
)

# Status to what it means for the caller, and what to do (RFC 9110 15.5; PS3.18 8.5).
_MEANINGS: dict[int, tuple[type[GridError], str]] = {
    400: (BadQueryError, _QUERY),
    401: (LoginError, _LOGIN),
    403: (
        RefusedError,
        "this login may not do that; whoever grants rights there can say why (dgis explain)",
    ),
    404: (NotFoundError, "there is nothing by that name that this login may see"),
    406: (AnswerError, "the gateway has no form of answer that this client reads; is it of this version?"),
    413: (BadQueryError, "that is more than the gateway gives at once; ask for less"),
    422: (BadQueryError, _QUERY),
    429: (UnavailableError, "the gateway wants fewer questions; ask again later, or with fewer workers"),
}


def of_answer(status: int, body: bytes, kind: str) -> GridError:
    """Return the exception for a refusal; a problem document's detail (RFC 9457) is part of its words."""
    meaning, words = _MEANINGS.get(
        status,
        (UnavailableError, "the gateway failed; ask again later, or look into its log")
        if status >= httpx.codes.INTERNAL_SERVER_ERROR
        else (AnswerError, "an answer that this client does not expect; is this the URL of a gateway?"),
    )
    return meaning(f"{words} ({status}{_detail(body, kind)})")


def _detail(body: bytes, kind: str) -> str:
    if not kind.startswith("application/problem+json"):
        return ""
    try:
        said = httpx.Response(200, content=body).json()
        text = str(said.get("detail") or said.get("title") or "")
    except (ValueError, AttributeError):
        return ""
    shown = "".join(each for each in text if each.isprintable())[:_LONGEST_DETAIL]
    return f": {shown}" if shown else ""
