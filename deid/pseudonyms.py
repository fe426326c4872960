import hmac
from base64 import b32encode
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydicom._uid_dict import UID_dictionary

SECRET_BYTES = 32
LONGEST_SHIFT_DAYS = 3650
_SHORT_BYTES = 10  # 80 bits: 16 base-32 characters, which fit every text VR
_KEY_BYTES = 20
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class SiteSecrets:
    """The secret a site's pseudonyms hang on; the same secret gives the same pseudonyms on every gateway.

    One key per purpose (HKDF-SHA256, RFC 5869), so that a pseudonym of one kind says nothing of another.

    Raises:
        ValueError: the secret is not 32 bytes long.
    """

    site_secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.site_secret) != SECRET_BYTES:
            raise ValueError(f"a site secret has {SECRET_BYTES} bytes")

    def key(self, purpose: str) -> bytes:
        """Return the 32-byte key of one purpose."""
        info = f"dgis/v1/{purpose}".encode("ascii")
        return HKDF(algorithm=SHA256(), length=SECRET_BYTES, salt=None, info=info).derive(self.site_secret)


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """Who a data set is about: an issuer ("": the facility itself) and an ID, trimmed.

    An empty ID names nobody: then the study is the patient, and without a study the instance is.
    """

    issuer: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)
    study_uid: str = field(default="", repr=False)
    sop_instance_uid: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PatientPseudonym:
    """What stands for a patient: the published ID and name, the name of its key, and its dates' shift."""

    identifier: str
    key_name: str
    shift_days: int


class Pseudonyms:
    """Keyed stand-ins for identifying values: the same value gives the same stand-in, for ever."""

    def __init__(self, secrets: SiteSecrets, facility: str) -> None:
        """Derive the keys for a facility; patients of two facilities are never linked by their IDs."""
        self._facility = facility
        self._uid_key = secrets.key("uid")
        self._patient_key = secrets.key("pid")
        self._key_name_key = secrets.key("patient-key")
        self._date_key = secrets.key("date")
        self._text_keys = {purpose: secrets.key(purpose) for purpose in ("accession", "study-id", "code")}
        self.uid = lru_cache(maxsize=_REMEMBERED)(self._uid)
        self.patient = lru_cache(maxsize=_REMEMBERED)(self._patient)

    def forget(self) -> None:
        """Forget the originals that were remembered for speed."""
        self.uid.cache_clear()
        self.patient.cache_clear()

    def _uid(self, original: str) -> str:
        """Return the pseudonym of a UID; UIDs the standard registers (PS3.6 Annex A) name no one and stay.

        122 bits of HMAC-SHA256 in the form of a version 8 UUID (RFC 9562) under 2.25 (PS3.5 B.2).
        """
        if is_registered(original):
            return original
        digest = bytearray(hmac.digest(self._uid_key, original.encode(), "sha256")[:16])
        digest[6] = digest[6] & 0x0F | 0x80
        digest[8] = digest[8] & 0x3F | 0x80
        return f"2.25.{int.from_bytes(digest, 'big')}"

    def _patient(self, who: PatientIdentity) -> PatientPseudonym:
        scope: tuple[str, ...]
        if who.patient_id:
            scope = ("patient", self._facility, who.issuer or self._facility, who.patient_id)
        elif who.study_uid:
            scope = ("study", who.study_uid)
        else:
            scope = ("instance", who.sop_instance_uid)
        message = _unambiguous(*scope)
        shift = int.from_bytes(hmac.digest(self._date_key, message, "sha256"), "big")
        return PatientPseudonym(
            identifier=_letters(hmac.digest(self._patient_key, message, "sha256")[:_SHORT_BYTES]),
            key_name=_letters(hmac.digest(self._key_name_key, message, "sha256")[:_KEY_BYTES]).lower(),
            shift_days=1 + shift % LONGEST_SHIFT_DAYS,
        )

    def text(self, purpose: str, *parts: str) -> str:
        """Return 16 letters and digits that stand for a facility's value (`accession`, `study-id`)."""
        message = _unambiguous(self._facility, *parts)
        return _letters(hmac.digest(self._text_keys[purpose], message, "sha256")[:_SHORT_BYTES])


def is_registered(uid: str) -> bool:
    """Whether PS3.6 Annex A registers the UID itself; sharing its root is not enough."""
    return uid in UID_dictionary


def _unambiguous(*parts: str) -> bytes:
    """Join parts so that no two lists of parts give the same bytes: each behind its length."""
    raw = [part.encode("utf-8", "surrogateescape") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in raw)


def _letters(raw: bytes) -> str:
    return b32encode(raw).decode("ascii")
