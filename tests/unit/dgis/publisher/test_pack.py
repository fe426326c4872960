from dataclasses import replace

import pytest

from deid.keys.values import PatientKey
from deid.outcome import Published
from deid.profile import Profile
from deid.science.check import ScienceCheck
from dgis.publisher import pack as packing
from dgis.publisher.pack import Packer, PackError, Sealing, Source, pack
from dgis.publisher.pieces import PiecesSource
from storage_nodes.names import RecordKey
from storage_nodes.record.errors import RecordRefusedError
from storage_nodes.record.reader import RecordReader
from tests.unit.dgis.site import Site, digest, phantom

KEY = RecordKey("2.25.1.part")
SEALING = Sealing("site", PatientKey("patient", bytes(32)), lambda order, _reasons: repr(order).encode())


def sources(images):
    return [
        Source(number, image.sop_instance_uid, image.transfer_syntax, digest(image.dataset), image.dataset)
        for number, image in enumerate(images, start=10)
    ]


def bytes_of(packed):
    return b"".join(map(bytes, packed.record.body))


class Refusing:
    """De-identifies, and gives some instances a header that no record takes."""

    def __init__(self, refused=(), withheld=()):
        self._own = Site.new_packer().deidentifier
        self._refused = refused
        self._withheld = withheld

    def deidentify(self, dataset, syntax, uid, decision):
        form = self._own.deidentify(dataset, "1.2.3" if uid in self._withheld else syntax, uid, decision)
        if uid in self._refused:
            assert isinstance(form, Published)
            return replace(form, sop_class_uid="no UID at all \N{SNOWMAN}" * 20)
        return form


def test_the_same_originals_give_the_same_record_on_every_attempt():
    given = sources(phantom(3))
    first, second = (pack(KEY, given, Site.new_packer(), SEALING) for _ in range(2))
    assert bytes_of(first) == bytes_of(second)
    assert first.record.sha256 == second.record.sha256


def test_published_instances_come_first_and_the_others_behind_them():
    images = phantom(5)
    uids = [image.sop_instance_uid for image in images]
    packer = Packer(Refusing(refused=[uids[1]], withheld=[uids[3]]), ScienceCheck(Profile()), {})
    orders = []
    sealing = replace(SEALING, rows=lambda order, _reasons: orders.append(list(order)) or b"")
    packed = pack(KEY, sources(images), packer, sealing)
    assert [each.phi_instance_id for each in packed.published] == [10, 12, 14]
    assert [each.phi_instance_id for each in packed.withheld] == [13, 11]
    assert orders == [[10, 12, 14, 13, 11]]
    assert packed.withheld[1].reason.startswith("it has no place in a record: ")
    assert len(RecordReader(PiecesSource(packed.record.body)).instances) == 3


def test_a_part_of_which_a_record_takes_nothing_is_sealed_whole():
    images = phantom(2)
    packer = Packer(
        Refusing(refused=[image.sop_instance_uid for image in images]), ScienceCheck(Profile()), {}
    )
    packed = pack(KEY, sources(images), packer, SEALING)
    assert packed.record is None
    assert packed.published == ()
    assert [each.phi_instance_id for each in packed.withheld] == [10, 11]


def test_a_refusal_of_no_instance_in_particular_is_no_reason_to_seal(monkeypatch):
    def refuse(*_arguments, **_options):
        raise RecordRefusedError("too many of them")

    monkeypatch.setattr(packing, "write_record", refuse)
    with pytest.raises(PackError, match="too many of them"):
        pack(KEY, sources(phantom(2)), Site.new_packer(), SEALING)


def test_bytes_that_are_not_those_received_are_never_packed():
    (first, second) = sources(phantom(2))
    with pytest.raises(PackError, match="digest they were received with"):
        pack(KEY, [first, replace(second, sha256=bytes(32))], Site.new_packer(), SEALING)
