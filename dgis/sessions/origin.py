"""Whether a request comes from a page of this door: what a cookie alone must not say (CSRF)."""

import re
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Of RFC 9110 9.2.1: they change nothing here."""

_LONGEST_PATH = 256
_PATH = re.compile(r"/(?:[A-Za-z0-9._~-][A-Za-z0-9._~/-]*)?")


def is_ours(fields: Mapping[str, str], origins: Collection[str]) -> bool:
    """Whether a page of this door sent a request; where nothing says so, it did not.

    Args:
        fields: header fields of the request. A browser sets these two, and no script can: Sec-Fetch-Site
            (Fetch Metadata Request Headers 2.4), and where that is missing, Origin (RFC 6454 7).
        origins: our own, as `https://grid.example`.
    """
    site = fields.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return fields.get("origin") in origins


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL (RFC 6454 4)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def local_path(path: str, otherwise: str) -> str:
    """Return where to go on after a login: a path of this door, never another site's address."""
    fits = len(path) <= _LONGEST_PATH and _PATH.fullmatch(path) and "//" not in path
    return path if fits else otherwise
