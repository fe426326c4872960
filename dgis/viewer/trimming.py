"""What of OHIF's package is served: what the viewer needs to show images, and its licence.

Left behind: the ONNX runtime (136 MB) and what asks for models, the microscopy viewer, source maps, start-up
pictures for telephones, and everything that would speak to other hosts: the stock configurations, the service
worker (it loads its library from elsewhere and keeps answers), the pages of an OpenID login.
"""

import re

PAGE = "dist/index.html"
"""Read for the names of script and style; it is not served."""
LICENCE = "LICENSE"

_DIST = "dist/"
_SERVED = re.compile(
    r"dist/(?:[A-Za-z0-9-]+\.bundle\.[0-9a-f]+\.js|[A-Za-z0-9.-]+\.css|[0-9a-f]+\.(?:wasm|woff2)"
    r"|ohif-logo(?:-light)?\.svg|assets/favicon\.ico|assets/images/[A-Za-z0-9-]+\.png)"
)


def served_name(name: str) -> str | None:
    """Return under which name a file of the package is served; None where it is not."""
    if name == LICENCE:
        return name
    return name.removeprefix(_DIST) if _SERVED.fullmatch(name) else None
