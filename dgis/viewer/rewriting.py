"""OHIF is built to lie at the root of an origin; here it lies under a path. Its bundles are not minified."""

import re
from dataclasses import dataclass

from dgis.viewer.package import ViewerError

_PUBLIC_PATH = b'__webpack_require__.p = "/";'  # where a bundle finds the others, workers and WebAssembly
_STYLE_URL = re.compile(rb"url\(([\"']?)/(?!/)")
_SCRIPT = re.compile(r'<script defer src="/(app\.bundle\.[0-9a-f]+\.js)">')
_STYLE = re.compile(r'<link href="/(app\.bundle\.css)" rel="stylesheet">')


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A file as it is served; `is_entry`: a page or a worker begins with it, and finds the others by it."""

    data: bytes
    is_entry: bool = False


def rewritten(name: str, data: bytes, prefix: str) -> Rewritten:
    """Return a file with what it names by absolute path found under a prefix, as `/viewer/x/`."""
    if name.endswith(".js"):
        path = _PUBLIC_PATH.replace(b'"/"', b'"%s"' % prefix.encode())
        return Rewritten(data.replace(_PUBLIC_PATH, path), is_entry=_PUBLIC_PATH in data)
    if name.endswith(".css"):
        return Rewritten(_STYLE_URL.sub(rb"url(\g<1>" + prefix.encode(), data))
    return Rewritten(data)


def entry_of(page: str) -> tuple[str, str]:
    """Return the script and the style sheet that the package's page begins with.

    Raises:
        ViewerError: it names none.
    """
    script, style = _SCRIPT.search(page), _STYLE.search(page)
    if script is None or style is None:
        raise ViewerError("the package's page names no script or no style: it is not built as expected")
    return script[1], style[1]
