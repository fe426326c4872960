"""What became of the instances of one request."""

from dataclasses import dataclass, field

from dgis.dimse.status import Refusal


@dataclass(frozen=True, slots=True)
class Kept:
    """Durable, and found again after a crash: success may be answered."""

    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """Not kept; the UIDs are empty where they could not be read."""

    refusal: Refusal
    sop_class_uid: str = ""
    sop_instance_uid: str = field(default="", repr=False)


Outcome = Kept | Failed
