"""The modalities the demo imitates."""

import uuid
from dataclasses import dataclass

from pydicom.uid import CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage

from dgis.demo import anatomy

_NAMESPACE = uuid.UUID("6f0f2d0a-44f1-5c55-9d5b-3b1a7e6b0d61")  # random, once: keeps the demo's UIDs its own


@dataclass(frozen=True, slots=True)
class Kind:
    """A modality with what its headers say beyond the patient."""

    modality: str
    sop_class_uid: str
    scanner: anatomy.Scanner
    study_description: str
    series_description: str
    bits_stored: int
    signed: bool
    spacing_mm: tuple[float, float]  # between pixels, between slices


CT = Kind("CT", CTImageStorage, anatomy.CT, "CT CHEST DEMO", "Thorax 2.0 B30f", 12, True, (0.78, 2.0))
MR = Kind("MR", MRImageStorage, anatomy.MR, "MR CHEST DEMO", "t2_tse_tra", 12, False, (1.56, 4.0))
PET = Kind(
    "PT", PositronEmissionTomographyImageStorage, anatomy.PET, "PET DEMO", "PET AC", 16, False, (4.1, 4.0)
)


def uid(*path: object) -> str:
    """Return a UID under 2.25 (PS3.5 B.2) that the same path always gives."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(map(str, path))).int}"
