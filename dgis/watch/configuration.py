"""Where traces go: `[traces]`."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Traces(BaseModel):
    """OpenTelemetry spans, sent over OTLP/HTTP; off unless an endpoint is named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: str | None = None  # as http://127.0.0.1:4318/v1/traces
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0  # of associations and of published parts
    ca_file: Path | None = None
