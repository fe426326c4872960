"""Whose originals an operator means, and what there is of them before anything is destroyed."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from catalog import text
from catalog.erase import Originals, count_originals, issuers_of, patients_named
from catalog.tables import DEID, PHI, grants
from deid.keys.generations import current_name
from deid.keys.standing import State
from deid.keys.store import KeyStore
from dgis.erasure import intents
from dgis.erasure.held import Names
from dgis.keyholder.protocol import Identifiers
from dgis.tables import cache_instance, cache_segment, publish_job


class NobodyMeant(Exception):  # noqa: N818 (a refusal, in the words of this project)
    """The words do not lead to one patient; the text says what would, and holds no original."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A patient: the catalog's key, the name of the key that seals what comes in of them now."""

    patient_key: str
    key_name: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What there is of a patient, in numbers; caches by gateway."""

    originals: Originals
    cached: dict[str, int]
    grants: int
    deidentified: int
    gateways: tuple[str, ...]  # all that this database has heard of


def by_identity(connection: sa.Connection, names: Names, patient_id: str, issuer: str | None) -> str:
    """Return the key of a patient of this gateway's facility, by the original ID and its issuer.

    An ID that several issuers gave out means several people. "" is the facility itself; so is None, which is
    not said, unless images of that ID came with an issuer.

    Raises:
        NobodyMeant: no ID, or it must be said who issued it.
    """
    wanted = text.clean(patient_id)
    if not wanted:
        raise NobodyMeant("an empty ID names nobody: such a study is a patient by itself; use --pseudonym")
    key = names(Identifiers(text.clean(issuer or ""), wanted, "", "", "")).patient
    others = issuers_of(connection, wanted)
    others.pop(key, None)
    if others and issuer is None:
        known = ", ".join(sorted(set(others.values())))
        raise NobodyMeant(
            f"images of that ID came with an issuer ({known}): say which is meant by --issuer; "
            '--issuer "" is the facility itself'
        )
    return key


def by_pseudonym(connection: sa.Connection, pseudonym: str) -> str:
    """Return the key of the patient whom others know by this Patient ID.

    Raises:
        NobodyMeant: nobody, or several.
    """
    found = patients_named(connection, pseudonym.strip())
    if len(found) != 1:
        raise NobodyMeant(f"{len(found) or 'no'} patients are published by that pseudonym")
    return found.pop()


def subject(connection: sa.Connection, keys: KeyStore, patient_key: str) -> Subject:
    """Return which key is meant.

    Raises:
        NobodyMeant: neither database nor key store has heard of the patient.
        deid.keys.values.KeysError: the key stores do not tell.
    """
    earlier = intents.of_patient(connection, patient_key)
    name = current_name(keys, patient_key, barred={each.key_name for each in earlier})
    known = earlier or _has_rows(connection, patient_key) or keys.standing(name).state is not State.MISSING
    if not known:
        raise NobodyMeant("neither the database nor the key stores know that patient; nothing was changed")
    return Subject(patient_key, name)


def is_back(connection: sa.Connection, patient_key: str) -> bool:
    """Whether there is anything to take away: originals that came since the last erasure, or ever."""
    return count_originals(connection, patient_key).instances > 0


def inventory(connection: sa.Connection, patient_key: str) -> Inventory:
    """Count what there is."""
    instances = sa.select(PHI.instance.c.id).join(PHI.series, PHI.series.c.id == PHI.instance.c.series_row)
    mine = instances.where(PHI.series.c.patient_key == patient_key)
    cached = (
        sa.select(cache_instance.c.gateway_id, sa.func.count())
        .where(cache_instance.c.phi_instance_id.in_(mine))
        .group_by(cache_instance.c.gateway_id)
    )
    giving = sa.select(sa.func.count()).where(
        grants.c.patient_key == patient_key, grants.c.allow.is_(True), grants.c.may_phi.is_(True)
    )
    published = sa.select(sa.func.coalesce(sa.func.sum(DEID.series.c.instance_count), 0)).where(
        DEID.series.c.patient_key == patient_key
    )
    return Inventory(
        originals=count_originals(connection, patient_key),
        cached={row[0]: row[1] for row in connection.execute(cached)},
        grants=int(connection.execute(giving).scalar_one()),
        deidentified=int(connection.execute(published).scalar_one()),
        gateways=tuple(known_gateways(connection)),
    )


def known_gateways(connection: sa.Connection) -> Iterable[str]:
    """Return every gateway that has anything in this database, in order."""
    columns = (cache_segment.c.gateway_id, cache_instance.c.gateway_id, publish_job.c.gateway_id)
    every = sa.union(*(sa.select(column) for column in columns))
    return sorted(connection.scalars(every))


def _has_rows(connection: sa.Connection, patient_key: str) -> bool:
    return any(
        connection.execute(
            sa.select(family.patient.c.id).where(family.patient.c.patient_key == patient_key).limit(1)
        ).first()
        for family in (PHI, DEID)
    )
