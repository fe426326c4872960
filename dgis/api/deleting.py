"""`DELETE /dicom-web/studies/...`: a study or a series is deleted for ever, by who administers the grid.

No transaction of the standard; what other archives offer under these paths. A legal hold wins, and what waits
to be published stays.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from catalog.callers import Caller
from catalog.credentials.values import Verified
from catalog.release import named as named_caller
from dgis.api.access import Access
from dgis.api.problems import problems
from dgis.retention.due import named
from dgis.retention.removal import Removing, remove_asked
from dgis.web.logins import Logins, address_of, caller_of
from dgis.web.problems import Problem

_Uid = Annotated[
    str, Path(max_length=64, pattern=r"^[0-9]+(\.[0-9]+)*$", description="original, or pseudonym")
]


class Deleting:
    """Deletes series one after another, each in one transaction with its entry in the trail."""

    def __init__(self, access: Access, writer: str) -> None:
        self._access = access
        self._writer = writer

    def delete(self, caller: Caller, address: str, study_uid: str, series_uid: str | None = None) -> None:
        """Delete a study, or a series of it, of everybody who contributed to it.

        Raises:
            Problem: 403; 404 where there is none; 409 where something of it stays, and how much went.
        """
        self._access.demand(caller)
        with self._access.reading() as connection:
            found = named(connection, study_uid, series_uid)
        if not found:
            raise Problem(404, "nothing_there", "nothing by these UIDs is here")
        by = Removing((), self._writer, named_caller(caller), address)
        now_ms = self._access.clock_ms()
        gone = sum(remove_asked(self._access.engine, each, by, now_ms) is not None for each in found)
        if gone < len(found):
            words = f"{gone} of {len(found)} series went; the others are on hold, or wait to be published"
            raise Problem(409, "held", words)

    def refuse(self, caller: Caller) -> None:
        """Say that a single instance is not deleted.

        Raises:
            Problem: 403, 501.
        """
        self._access.demand(caller)
        words = "records are written once: a series is the least that can be deleted"
        raise Problem(501, "not_a_series", words)


def routes(deleting: Deleting, logins: Logins) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/dicom-web/studies/{study}", tags=["dicom-web"])
    admitted = Annotated[Verified, Depends(logins.admit)]

    @router.delete("", status_code=204, responses=problems(403, 404, 409))
    def delete_study(request: Request, who: admitted, study: _Uid) -> None:
        """Delete a study for ever, for who administers the grid."""
        deleting.delete(caller_of(who), address_of(request), study)

    @router.delete("/series/{series}", status_code=204, responses=problems(403, 404, 409))
    def delete_series(request: Request, who: admitted, study: _Uid, series: _Uid) -> None:
        """Delete a series for ever, for who administers the grid."""
        deleting.delete(caller_of(who), address_of(request), study, series)

    @router.delete("/series/{series}/instances/{instance}", status_code=204, responses=problems(403, 501))
    def delete_instance(who: admitted, study: _Uid, series: _Uid, instance: _Uid) -> None:
        """Refuse: records are written once, so that a series is the least that can be deleted."""
        del study, series, instance
        deleting.refuse(caller_of(who))

    return router
