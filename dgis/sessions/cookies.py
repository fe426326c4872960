"""The cookies of the web door (RFC 6265bis): a random secret each, nothing that can be read."""

from starlette.requests import Request
from starlette.responses import Response

SESSION, LOGIN = "dgis-session", "dgis-login"


def name_of(cookie: str, *, secure: bool) -> str:
    """Return the name a cookie has: with its prefix a browser takes it from this very host over TLS alone."""
    return f"__Host-{cookie}" if secure else cookie


def read(request: Request, cookie: str, *, secure: bool) -> str | None:
    """Return the secret that a request brings."""
    return request.cookies.get(name_of(cookie, secure=secure))


def give(response: Response, cookie: str, secret: str, *, secure: bool) -> None:
    """Have the browser keep a secret until it is closed; the row behind it ends earlier."""
    response.set_cookie(
        name_of(cookie, secure=secure), secret, path="/", secure=secure, httponly=True, samesite="lax"
    )


def drop(response: Response, cookie: str, *, secure: bool) -> None:
    """Have the browser forget a secret."""
    response.delete_cookie(
        name_of(cookie, secure=secure), path="/", secure=secure, httponly=True, samesite="lax"
    )
