"""The sections `[retention]` and `[[quotas]]`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RetentionRule(_Section):
    """How long a series is kept after its last image came; the first rule that fits it decides."""

    facility: str | None = None
    modality: str | None = None
    keep_days: Annotated[int, Field(ge=1)]


class RetentionSection(_Section):
    """Deleting what has been kept long enough; off unless `delete` says so."""

    delete: bool = False
    rules: tuple[RetentionRule, ...] = ()


class Quota(_Section):
    """The most a facility may store here, of originals as they were received."""

    facility: str
    bytes: Annotated[int, Field(gt=0)] | None = None
    instances: Annotated[int, Field(gt=0)] | None = None
