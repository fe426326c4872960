"""What a browser brings with a request: the cookie of a session, and where the page it comes from lies."""

from dataclasses import dataclass

from starlette.requests import Request

from dgis.sessions import cookies
from dgis.sessions.judging import Sessions
from dgis.sessions.origin import SAFE_METHODS, is_ours, origin_of
from dgis.web.problems import Problem

_ACROSS = "with a cookie alone only a page of this gateway may do that"


@dataclass(frozen=True, slots=True)
class Browsers:
    """The sessions of a door, and how the outside calls it (`web.url`), where that is known."""

    sessions: Sessions
    url: str | None = None

    def base(self, request: Request) -> str:
        """Return what addresses of this door begin with, as the browser knows them."""
        return origin_of(self.url or str(request.url))

    def secure(self, request: Request) -> bool:
        """Whether the browser speaks TLS, to this door or to a proxy before it."""
        return self.base(request).startswith("https:")

    def secret(self, request: Request) -> str | None:
        """Return the secret of the session that a request brings.

        Raises:
            Problem: 403 where it would change something and does not come from a page of this door.
        """
        found = cookies.read(request, cookies.SESSION, secure=self.secure(request))
        if found is not None:
            self.check_origin(request)
        return found

    def check_origin(self, request: Request) -> None:
        """Refuse what changes something and comes from elsewhere.

        Raises:
            Problem: 403.
        """
        origins = {self.base(request), origin_of(str(request.url))}
        if request.method not in SAFE_METHODS and not is_ours(request.headers, origins):
            raise Problem(403, "cross_site", _ACROSS)
