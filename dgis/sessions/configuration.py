"""Sessions of browsers: `[web.sessions]`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class SessionsSection(BaseModel):
    """How long a session lives without a request, and at all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    idle_minutes: Annotated[int, Field(gt=0, le=24 * 60)] = 30
    hours: Annotated[int, Field(gt=0, le=24)] = 12  # from the login on: a working day
