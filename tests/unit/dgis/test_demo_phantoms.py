import hashlib
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread

from dgis.demo import kinds, phantoms
from dgis.demo.people import PEOPLE


def _decode(instance):
    dataset = dcmread(BytesIO(instance.dataset), force=True)
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = instance.transfer_syntax
    return dataset


@pytest.mark.parametrize("kind", [kinds.CT, kinds.MR, kinds.PET], ids=lambda kind: kind.modality)
def test_a_seed_gives_the_same_bytes_for_ever_and_another_seed_others(kind):
    first, again, other = (
        [hashlib.sha256(one.dataset).digest() for one in phantoms.series(kind, PEOPLE[0], 2, seed)]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert not set(first) & set(other)


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.character_set)
def test_names_of_every_character_set_are_read_back(person):
    (instance,) = phantoms.series(kinds.PET, person, 1)
    assert str(_decode(instance).PatientName) == person.name


def test_ct_values_are_sign_extended_within_bits_stored():
    for instance in phantoms.series(kinds.CT, PEOPLE[0], 3):
        dataset = _decode(instance)
        stored = np.frombuffer(instance.pixels, "<i2")
        assert (dataset.BitsStored, dataset.PixelRepresentation) == (12, 1)
        assert stored.min() >= -2048
        assert stored.max() <= 2047
        assert stored.min() < -900  # air
        assert stored.max() > 500  # bone


def test_identity_of_an_instance_is_what_its_data_set_says():
    instances = list(phantoms.series(kinds.MR, PEOPLE[1], 3))
    read = [_decode(one) for one in instances]
    assert [one.sop_instance_uid for one in instances] == [ds.SOPInstanceUID for ds in read]
    assert len({one.sop_instance_uid for one in instances}) == 3
    assert {(one.study_uid, one.series_uid) for one in instances} == {
        (ds.StudyInstanceUID, ds.SeriesInstanceUID) for ds in read
    }
    assert [ds.InstanceNumber for ds in read] == [1, 2, 3]
    assert all(one.pixels == ds.PixelData for one, ds in zip(instances, read, strict=True))
