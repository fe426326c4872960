"""Pseudonyms of catalog rows, in the process that holds the site secret."""

from collections.abc import Callable

from deid.pseudonyms import PatientIdentity, Pseudonyms
from dgis.keyholder.protocol import Identifiers, Keys


def pseudonymiser(pseudonyms: Pseudonyms) -> Callable[[Identifiers], Keys]:
    """Return the function that names the keys of an instance: what de-identification gives it, too."""

    def keys_of(who: Identifiers) -> Keys:
        patient = PatientIdentity(who.issuer, who.patient_id, who.study_uid, who.sop_instance_uid)
        return Keys(
            patient=pseudonyms.patient(patient).key_name,
            study=pseudonyms.uid(who.study_uid),
            series=pseudonyms.uid(who.series_uid),
            instance=pseudonyms.uid(who.sop_instance_uid),
        )

    return keys_of
