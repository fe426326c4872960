"""What every DICOMweb resource is made with: who asks, where the outside finds this, threads to wait in."""

import re
from dataclasses import dataclass

from starlette.requests import Request

from catalog.release import Asker
from dgis.dicomweb.feeding import Threads
from dgis.dicomweb.images import Images, asker_of
from dgis.dicomweb.pages import Pages
from dgis.web.logins import Logins, address_of

ROOT = "/dicom-web"
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class WebDoor:
    """The parts that the resources share; `url` is how the outside calls the door, where configured."""

    images: Images
    logins: Logins
    threads: Threads
    pages: Pages
    url: str | None = None

    async def asker(self, request: Request) -> Asker:
        """Return who makes a request, as the catalog decides about it.

        Raises:
            Problem: 401 where it does not prove who it is; 503 where that cannot be judged now.
        """
        return asker_of(await self.logins.admit(request), address_of(request))

    def base(self, request: Request) -> str:
        """Return the URL that resources are named under; of a Host field only what can be one is repeated."""
        if self.url is not None:
            return self.url.rstrip("/") + ROOT
        host = next((value for name, value in request.scope["headers"] if name == b"host"), b"")
        said = host.decode("latin-1")
        address, port = request.scope.get("server") or ("127.0.0.1", None)
        # Some clients leave the port out of the field; whoever names the very address came by its port.
        if port is not None and (not _HOST.fullmatch(said) or said == address):
            said = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        return f"{request.scope['scheme']}://{said}{ROOT}"
