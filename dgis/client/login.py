"""Who the client says it is: a token, an account, or a file with a credential of the grid."""

import json
from collections.abc import Generator
from pathlib import Path

import httpx

from dgis.client import environment
from dgis.client.errors import LoginError

_LONGEST_FILE = 1 << 20


class Bearer(httpx.Auth):
    """A token in the Authorization field (RFC 6750 2.1)."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the field."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def login(
    token: str | None, account: tuple[str, str] | None, credential: Path | str | None
) -> httpx.Auth | None:
    """Return what goes with each request: what is given, else what the environment says, else nothing.

    Args:
        token: a bearer token.
        account: name and passcode.
        credential: a file that holds a token, or the answer of `/api/credential` or `dgis credential issue`.

    Raises:
        LoginError: more than one is given, or the file holds none.
    """
    given = [each for each in (token, account, credential) if each]
    if len(given) > 1:
        raise LoginError("give one of token, account and credential")
    if not given:
        token = environment.said(environment.TOKEN)
        credential = environment.said(environment.CREDENTIAL)
        name, passcode = environment.said(environment.ACCOUNT), environment.said(environment.PASSCODE)
        account = (name, passcode) if name and passcode else None
    if token:
        return Bearer(token)
    if credential:
        return Bearer(_token_of(Path(credential)))
    return httpx.BasicAuth(*account) if account else None


def _token_of(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_LONGEST_FILE).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LoginError(f"the credential file {path} cannot be read: {type(error).__name__}") from error
    if text.startswith("{"):
        try:
            text = str(json.loads(text).get("access_token", ""))
        except ValueError:
            text = ""
    if not text or any(each.isspace() for each in text):
        raise LoginError(f"{path} holds no token (dgis credential issue --out FILE writes one)")
    return text
