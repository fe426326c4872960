"""What a record says of itself beyond its profile, so that its rows can be made anew without the database.

Whose it is stands there as the patient's key, a keyed pseudonym; the sealed companion bears it as well, but
goes when the patient is erased, while the record stays. Who contributed it is sealed with a key of the site:
it names people and departments.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from catalog.callers import Assertions
from deid.pseudonyms import SiteSecrets
from dgis.identity.wire import from_json, to_json
from dgis.publisher.values import Part
from storage_nodes.names import RecordKey
from storage_nodes.record.manifest import JSON

PATIENT, CONTRIBUTOR, PLANNED, SUPERSEDES = "patient", "contributor", "planned_ms", "supersedes"
_PAD_BYTES = 128  # lengths of names tell something: what is sealed has one of few lengths


@dataclass(frozen=True, slots=True)
class Contribution:
    """Under which facts something was sent, and to which facility it belongs."""

    facility: str
    assertions: Assertions


class Contributions:
    """Seals who contributed a part: equal for equal input, so that every attempt packs the same record.

    AES-SIV (RFC 5297) with the record's key as associated data: the same contributor looks different on
    every record.
    """

    def __init__(self, secrets: SiteSecrets) -> None:
        self._cipher = AESSIV(secrets.key("contributor"))

    def seal(self, record: RecordKey, what: Contribution) -> str:
        """Return it as text."""
        said = json.dumps([what.facility, to_json(what.assertions)], sort_keys=True, separators=(",", ":"))
        plain = said.encode("utf-8", "surrogateescape")
        padded = plain + b" " * (-len(plain) % _PAD_BYTES)
        return base64.b64encode(self._cipher.encrypt(padded, [record.encode()])).decode("ascii")

    def open(self, record: RecordKey, sealed: str) -> Contribution | None:
        """Return what was sealed; None where it was not sealed here for this record."""
        try:
            plain = self._cipher.decrypt(base64.b64decode(sealed, validate=True), [record.encode()])
            facility, assertions = json.loads(plain.decode("utf-8", "surrogateescape"))
            return Contribution(str(facility), from_json(assertions))
        except (InvalidTag, ValueError, TypeError, AttributeError):
            return None


def about_part(
    part: Part, patient_key: str, by: Contribution, contributions: Contributions | None
) -> Mapping[str, JSON]:
    """Return what the record of a part says of it."""
    said: dict[str, JSON] = {PATIENT: patient_key, PLANNED: part.planned_ms}
    if contributions is not None:
        said[CONTRIBUTOR] = contributions.seal(part.record_key, by)
    return said
