"""Whom and what an operator means: patients, studies and series by pseudonym or by original identifier."""

from collections.abc import Callable

from sqlalchemy import Connection, Table, or_, select

from catalog.erase import issuers_of
from catalog.grants import What
from catalog.tables import DEID, FAMILIES, PHI, contributor, grants, linked_patient
from catalog.text import clean
from dgis.erasure.held import Names
from dgis.erasure.subject import NobodyMeant, by_identity, by_pseudonym

_ORIGINAL = "^^^"


class Directory:
    """Looks up keys by what was typed; the site secret is opened only where an original ID is."""

    def __init__(self, connection: Connection, open_names: Callable[[], Names]) -> None:
        self._connection = connection
        self._open_names = open_names

    def patient(self, named: str, *, unseen: bool = False) -> str:
        """Return a patient's key.

        Args:
            named: the published Patient ID or the key; or an original ID of this gateway's facility with its
                issuer as in HL7 (v2 CX): `ID^^^ISSUER`, `ID^^^` where the facility issued it.
            unseen: take an original ID of whom nothing has come yet.

        Raises:
            NobodyMeant: nobody, or not one patient, is meant; the text holds nothing of an original.
            StartError: the site secret cannot be opened.
        """
        patient_id, original, issuer = named.rpartition(_ORIGINAL)
        if not original:
            return by_pseudonym(self._connection, named)
        if not clean(patient_id):
            raise NobodyMeant("an empty ID names nobody: such a study is a patient with a pseudonym")
        key = by_identity(self._connection, self._open_names(), patient_id, issuer)
        if self._is_known(key):
            return key
        others = set(issuers_of(self._connection, clean(patient_id)).values())
        if others and not issuer:
            raise NobodyMeant(f"images of that ID came with an issuer: ID^^^{', ID^^^'.join(sorted(others))}")
        if not unseen:
            raise NobodyMeant("nothing of that patient is here (--unseen: nothing of them has come yet)")
        return key

    def study(self, uid: str, patient_key: str | None = None) -> What:
        """Return the study of that UID, original or pseudonym.

        Raises:
            NobodyMeant: none, or several patients have one.
        """
        keys = ("patient_key", "study_key")
        return self._one([family.study for family in FAMILIES], keys, "study_instance_uid", uid, patient_key)

    def series(self, uid: str, patient_key: str | None = None) -> What:
        """Return the series of that UID; else as `study`."""
        keys = ("patient_key", "study_key", "series_key")
        return self._one(
            [family.series for family in FAMILIES], keys, "series_instance_uid", uid, patient_key
        )

    def contributor(self, contributor_id: int) -> int:
        """Return the id of a contributor who is there.

        Raises:
            NobodyMeant: there is none of that id.
        """
        found = select(contributor.c.id).where(contributor.c.id == contributor_id)
        if self._connection.execute(found).first() is None:
            raise NobodyMeant("there is no such contributor (dgis grant contributors)")
        return contributor_id

    def facility(self, name: str) -> str:
        """Return the name of a facility that contributed.

        Raises:
            NobodyMeant: there is none of that name.
        """
        found = select(contributor.c.facility).where(contributor.c.facility == name).limit(1)
        if self._connection.execute(found).first() is None:
            raise NobodyMeant("nothing has come from a facility of that name (dgis grant contributors)")
        return name

    def _one(
        self, tables: list[Table], names: tuple[str, ...], column: str, uid: str, patient_key: str | None
    ) -> What:
        found: set[tuple[str, ...]] = set()
        for table in tables:
            keys = [table.c[name] for name in names]
            rows = select(*keys).where(or_(table.c[column] == uid, keys[-1] == uid)).distinct()
            if patient_key is not None:
                rows = rows.where(table.c.patient_key == patient_key)
            found.update(tuple(row) for row in self._connection.execute(rows))
        if len(found) != 1:
            hint = (
                "several patients have that UID: say which by --patient" if found else "nothing has that UID"
            )
            raise NobodyMeant(hint)
        patient, study, *series = found.pop()
        return What(patient_key=patient, study_key=study, series_key=series[0] if series else None)

    def _is_known(self, patient_key: str) -> bool:
        columns = [table.c.patient_key for table in (PHI.patient, DEID.patient, grants, linked_patient)]
        found = (select(column).where(column == patient_key).limit(1) for column in columns)
        return any(self._connection.execute(one).first() for one in found)
