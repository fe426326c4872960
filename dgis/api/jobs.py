"""`/api/jobs`: what the grid does for a caller, beyond one request."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import JSONResponse, Response

from catalog.audit import trail
from catalog.audit.values import Event, Happening
from catalog.callers import Caller, Right
from catalog.credentials.values import Verified
from catalog.release import Asker, named
from dgis.api.access import Access
from dgis.api.paging import MOST
from dgis.api.problems import problems
from dgis.dimse.services import Destination
from dgis.jobs import queue
from dgis.jobs.subjects import subject_of
from dgis.jobs.values import Kind, Order, owner_of
from dgis.web.logins import Logins, address_of, caller_of
from dgis.web.problems import Problem

_MOST_UNFINISHED = 100
_JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
_Uid = Annotated[
    str, Field(max_length=64, pattern=r"^[0-9]+(\.[0-9]+)*$", description="original, or pseudonym")
]
_NO_JOB = Problem(404, "no_such_job", "no job of that id is yours")


class JobWanted(BaseModel):
    """A study, or a series of it, is to be sent to one of `[dicom.destinations]`, as C-MOVE does.

    Or its records are to be brought near this gateway (`prefetch`), for those who read it later.
    """

    model_config = ConfigDict(extra="forbid")

    study: _Uid
    series: _Uid | None = None
    kind: Kind = Kind.SEND
    destination: Annotated[
        str | None, Field(min_length=1, max_length=16, description="AE title; of `send` only")
    ] = None

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if (self.destination is None) is (self.kind is Kind.SEND):
            raise ValueError("a destination belongs to sending, and to nothing else")
        return self


class JobDocument(BaseModel):
    """A job: where it is, how far in instances, and its last error in words."""

    id: str
    kind: str
    state: str
    destination: str
    study_key: str = Field(description="the study's pseudonym")
    series_key: str | None
    total: int
    completed: int
    warning: int
    failed: int
    cancelled: bool
    version: int = Field(description="one more with every change")
    asked_ms: int
    started_ms: int | None
    ended_ms: int | None
    last_error: str | None


class Jobs:
    """Takes jobs and tells of them: of one's own, to administrators of all."""

    def __init__(
        self, access: Access, gateway_id: str, writer: str, destinations: Mapping[str, Destination]
    ) -> None:
        self._access = access
        self._gateway_id = gateway_id
        self._writer = writer
        self._destinations = destinations

    def ask(self, caller: Caller, address: str, wanted: JobWanted) -> dict[str, Any]:
        """Write a job down and return it.

        Raises:
            Problem: 403 who may not retrieve; 404 no such destination, or nothing there that both may have;
                409 too many of one's own are not over.
        """
        if Right.RETRIEVE not in caller.may:
            raise Problem(403, "may_not_retrieve", "this caller may not retrieve")
        destination = None
        if wanted.destination is not None:
            destination = self._destinations.get(wanted.destination)
            if destination is None:
                raise Problem(404, "no_such_destination", "not in [dicom.destinations]")
        receiver = None if destination is None else destination.caller
        now_ms = self._access.clock_ms()
        with self._access.engine.begin() as connection:
            if queue.unfinished(connection, owner_of(caller)) >= _MOST_UNFINISHED:
                raise Problem(409, "too_many", f"{_MOST_UNFINISHED} jobs of this caller are not over yet")
            asker = Asker(caller, address, receiver)
            subject = subject_of(connection, (wanted.study, wanted.series), asker, now_ms)
            if subject is None:
                words = "nothing by these UIDs that the requester, and the destination, may have"
                raise Problem(404, "nothing_there", words)
            order = Order(caller, address, wanted.destination or "", subject, wanted.kind)
            job_id = queue.ask(connection, self._gateway_id, order, now_ms)
            detail = {"door": "http", "job": job_id}
            detail |= {"what": "prefetch"} if receiver is None else {"receiver": named(receiver)}
            asked = Happening(Event.RETRIEVE, named(caller), address=address, detail=dict(detail))
            trail.append(connection, self._writer, [asked], now_ms)
            found = queue.one(connection, job_id, None)
        assert found is not None, "it was written"
        return found

    def listed(self, caller: Caller) -> list[dict[str, Any]]:
        """Return the newest jobs that are the caller's; all, for administrators."""
        owner = self._owner(caller)
        with self._access.reading() as connection:
            return queue.listed(connection, owner, MOST)

    def one(self, caller: Caller, job_id: str) -> dict[str, Any]:
        """Return a job.

        Raises:
            Problem: 404.
        """
        owner = self._owner(caller)
        with self._access.reading() as connection:
            found = queue.one(connection, job_id, owner)
        if found is None:
            raise _NO_JOB
        return found

    def cancel(self, caller: Caller, address: str, job_id: str) -> None:
        """Ask for the end of a job.

        Raises:
            Problem: 404; 409 it is over.
        """
        self.one(caller, job_id)
        now_ms = self._access.clock_ms()
        with self._access.engine.begin() as connection:
            if not queue.cancel(connection, job_id, now_ms):
                raise Problem(409, "over", "the job is over")
            detail = {"door": "http", "job": job_id, "what": "cancel"}
            asked = Happening(Event.RETRIEVE, named(caller), address=address, detail=dict(detail))
            trail.append(connection, self._writer, [asked], now_ms)

    def _owner(self, caller: Caller) -> str | None:
        return None if self._access.administers(caller) else owner_of(caller)


def routes(jobs: Jobs, logins: Logins) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/jobs", tags=["jobs"])
    admitted = Annotated[Verified, Depends(logins.admit)]

    @router.post("", status_code=202, responses=problems(403, 404, 409))
    def ask(request: Request, who: admitted, wanted: JobWanted) -> JobDocument:
        """Have a study or a series sent to a destination, or its records brought near."""
        return JobDocument.model_validate(jobs.ask(caller_of(who), address_of(request), wanted))

    @router.get("", responses=problems())
    def list_jobs(who: admitted) -> list[JobDocument]:
        """List one's jobs, newest first; an administrator lists all."""
        return [JobDocument.model_validate(each) for each in jobs.listed(caller_of(who))]

    @router.get("/{job_id}", response_model=JobDocument, responses={304: {}, **problems(404)})
    def show(request: Request, who: admitted, job_id: _JobId) -> Response:
        """Show a job; with `If-None-Match` 304 while nothing has changed."""
        found = JobDocument.model_validate(jobs.one(caller_of(who), job_id))
        tag = f'"{found.version}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return JSONResponse(found.model_dump(), headers={"ETag": tag})

    @router.delete("/{job_id}", status_code=204, responses=problems(404, 409))
    def cancel(request: Request, who: admitted, job_id: _JobId) -> None:
        """End a job before its next instance; what was sent is sent."""
        jobs.cancel(caller_of(who), address_of(request), job_id)

    return router
