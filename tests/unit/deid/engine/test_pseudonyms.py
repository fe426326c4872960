import re
import uuid

import pytest

from deid.pseudonyms import PatientIdentity, Pseudonyms, SiteSecrets
from tests.unit.deid.engine.build import OTHER_SECRETS, SECRETS

UID = "1.3.12.2.1107.5.2.19.45152.2013030808110258929186035.0.0.0"


def test_a_secret_is_32_bytes_and_never_shown():
    with pytest.raises(ValueError, match="32 bytes"):
        SiteSecrets(b"short")
    assert "site_secret" not in repr(SECRETS)
    assert SECRETS.key("uid") != SECRETS.key("pid")


def test_uids_are_version_8_uuids_under_2_25():
    pseudonym = Pseudonyms(SECRETS, "A").uid(UID)
    assert re.fullmatch(r"2\.25\.[1-9][0-9]{0,38}", pseudonym)
    assert len(pseudonym) <= 64
    number = uuid.UUID(int=int(pseudonym[5:]))
    assert (number.version, number.variant) == (8, uuid.RFC_4122)


def test_uids_are_the_same_on_every_gateway_of_a_site_and_nowhere_else():
    mine = Pseudonyms(SECRETS, "A").uid(UID)
    assert mine == Pseudonyms(SiteSecrets(bytes(range(32))), "B").uid(UID)
    assert mine != Pseudonyms(OTHER_SECRETS, "A").uid(UID)


def test_only_uids_the_standard_registers_stay():
    pseudonyms = Pseudonyms(SECRETS, "A")
    assert pseudonyms.uid("1.2.840.10008.1.2.1") == "1.2.840.10008.1.2.1"
    assert pseudonyms.uid("1.2.840.10008.9999.1").startswith("2.25.")


def test_patients_are_facility_issuer_and_id():
    here, there = Pseudonyms(SECRETS, "A"), Pseudonyms(SECRETS, "B")
    known = here.patient(PatientIdentity(patient_id="1"))
    assert known == here.patient(PatientIdentity(issuer="A", patient_id="1"))  # the facility is the issuer
    others = [
        here.patient(PatientIdentity(patient_id="2")),
        here.patient(PatientIdentity(issuer="C", patient_id="1")),
        there.patient(PatientIdentity(patient_id="1")),
        here.patient(PatientIdentity(study_uid="1")),
        here.patient(PatientIdentity(sop_instance_uid="1")),
    ]
    assert len({one.identifier for one in [known, *others]}) == 6
    assert len({one.key_name for one in [known, *others]}) == 6


def test_stand_ins_fit_their_attributes_and_say_nothing_of_each_other():
    pseudonyms = Pseudonyms(SECRETS, "A")
    patient = pseudonyms.patient(PatientIdentity(patient_id="1"))
    assert re.fullmatch(r"[A-Z2-7]{16}", patient.identifier)
    assert re.fullmatch(r"[a-z2-7]{32}", patient.key_name)
    assert not patient.key_name.startswith(patient.identifier.lower())
    assert len(pseudonyms.text("accession", "1")) == 16
    assert pseudonyms.text("accession", "1") != pseudonyms.text("study-id", "1")
    assert pseudonyms.text("study-id", "1", "23") != pseudonyms.text("study-id", "12", "3")


def test_dates_move_by_one_day_to_ten_years():
    pseudonyms = Pseudonyms(SECRETS, "A")
    shifts = {pseudonyms.patient(PatientIdentity(patient_id=str(n))).shift_days for n in range(500)}
    assert min(shifts) >= 1
    assert max(shifts) <= 3650
    assert len(shifts) > 400
