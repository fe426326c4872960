"""How problems are described in OpenAPI: every one is a problem document (RFC 9457)."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field

from dgis.web.problems import MEDIA_TYPE


class ProblemDocument(BaseModel):
    """What went wrong: `reason` for programs, `detail` for people."""

    type: str = Field(examples=["about:blank"])
    title: str
    status: int
    reason: str | None = None
    detail: str | None = None


_SCHEMA = ProblemDocument.model_json_schema()
_USUAL = (401, 422, 503)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems of a route: these, and those that any route may answer with."""
    content = {MEDIA_TYPE: {"schema": _SCHEMA}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({*_USUAL, *statuses})
    }
