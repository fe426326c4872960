"""A gateway as a researcher sees it: ask, look, fetch."""

from pathlib import Path
from typing import Any, Self

from dgis.client import environment
from dgis.client.cohort import read_cohort
from dgis.client.errors import LoginError
from dgis.client.gathering import GatheredCohort
from dgis.client.login import login
from dgis.client.selection import Level, Selection, text
from dgis.client.transport import Transport


class Grid:
    """One gateway and one login. Use it in a `with` statement, or close it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def studies(self, **keys: object) -> Selection:
        """Select studies by DICOM keywords: `StudyDate="20200101-20201231"`, `ModalitiesInStudy="CT"`."""
        return self._selected(Level.STUDIES, keys)

    def series(self, **keys: object) -> Selection:
        """Select series by DICOM keywords: `Modality="CT", BodyPartExamined="CHEST"`."""
        return self._selected(Level.SERIES, keys)

    def instances(self, **keys: object) -> Selection:
        """Select instances by DICOM keywords: `SeriesInstanceUID="2.25...."`."""
        return self._selected(Level.INSTANCES, keys)

    def cohort(self, file: Path | str) -> GatheredCohort:
        """Open a cohort that was saved: to verify it, or to download it.

        Raises:
            CohortError: the file is none, or was altered.
            OSError: it cannot be read.
        """
        return GatheredCohort(self._transport, read_cohort(file))

    def whoami(self) -> dict[str, Any]:
        """Return who the gateway takes this login for, and what it may do at most.

        Raises:
            GridError: it does not know this login, or does not answer.
        """
        said = self._transport.json("/api/caller")
        return said if isinstance(said, dict) else {}

    def close(self) -> None:
        """Close connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    def _selected(self, level: Level, keys: dict[str, object]) -> Selection:
        return Selection(
            self._transport, level, tuple((name, text(name, value)) for name, value in keys.items())
        )


def connect(
    url: str | None = None,
    *,
    token: str | None = None,
    account: tuple[str, str] | None = None,
    credential: Path | str | None = None,
    verify: Any = True,  # noqa: ANN401 (True, or an ssl.SSLContext, as httpx takes it)
) -> Grid:
    """Connect to a gateway; nothing is asked of it yet.

    Without arguments: DGIS_CLIENT_URL, and one of DGIS_CLIENT_TOKEN, DGIS_CLIENT_CREDENTIAL (a file), or
    DGIS_CLIENT_ACCOUNT with DGIS_CLIENT_PASSCODE.

    Args:
        url: of its web door, `https://grid.example.org`.
        token: a bearer token.
        account: name and passcode.
        credential: a file that `dgis credential issue --out` or `/api/credential` gave.
        verify: an `ssl.SSLContext` for a private authority.

    Raises:
        LoginError: no URL, several logins, or a login that would cross a network in clear.
    """
    address = url or environment.said(environment.URL)
    if not address:
        raise LoginError(f"name the URL of a gateway, or set {environment.URL}")
    return Grid(Transport(address, login(token, account, credential), verify=verify))
