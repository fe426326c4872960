import zlib
from dataclasses import replace

import pytest

from catalog.tables import PHI
from dgis.dimse.uids import DEFLATED_LE
from dgis.keyholder.protocol import KeyholderGone
from dgis.tables import cache_conflict
from tests.unit.dgis.site import Site, phantom


def deflated(image):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = packer.compress(image.dataset) + packer.flush()
    return replace(image, dataset=data + b"\0" * (len(data) % 2), transfer_syntax=DEFLATED_LE)


def reasons(site):
    return [row.reason for row in site.rows(cache_conflict)]


def test_new_again_and_other_bytes(site):
    (image,) = phantom(1)
    site.receive([image, image])
    site.receive([image, replace(image, dataset=image.dataset[:-2] + b"\1\1")])
    assert len(site.rows(PHI.instance)) == 1
    assert reasons(site) == ["another instance has this SOP Instance UID"]


def test_a_deflated_instance_is_read_and_published(site):
    site.publish([deflated(phantom(1)[0])])
    (row,) = site.rows(PHI.instance)
    assert row.record_key is not None
    assert row.transfer_syntax == DEFLATED_LE


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (lambda i: replace(i, sop_instance_uid="1.2.3"), "not the one it was sent under"),
        (
            lambda i: replace(i, dataset=b"\xff" * 90, transfer_syntax=DEFLATED_LE),
            "deflated bytes are damaged",
        ),
        (
            lambda i: replace(i, dataset=i.dataset.replace(b"\x20\x00\x0d\x00", b"\x20\x00\x0c\x00")),
            "no study",
        ),
    ],
)
def test_what_cannot_be_indexed_is_kept_aside_with_words(site, spoilt, reason):
    site.receive([spoilt(phantom(1)[0])])
    assert site.rows(PHI.instance) == []
    (said,) = reasons(site)
    assert reason in said


def test_a_header_longer_than_the_first_stretch_is_read(site):
    (image,) = phantom(1)
    at = image.dataset.index(b"\x10\x00\x10\x00PN")
    private = (
        b"\x09\x00\x10\x00LO\x04\x00TEST" + b"\x09\x00\x01\x10OB\x00\x00" + (700_000).to_bytes(4, "little")
    )
    site.receive([replace(image, dataset=image.dataset[:at] + private + bytes(700_000) + image.dataset[at:])])
    assert len(site.rows(PHI.instance)) == 1


def test_while_the_worker_is_away_everything_waits_and_nothing_is_lost(tmp_path):
    site = Site(tmp_path)
    site.pseudonyms = away
    try:
        site.receive(phantom(3), index=False)
        with pytest.raises(KeyholderGone):
            site.indexer.run_once()
        assert site.rows(PHI.instance) == site.rows(cache_conflict) == []
    finally:
        site.close()
    again = Site(tmp_path)
    try:
        again.index_all()
        assert len(again.rows(PHI.instance)) == 3
    finally:
        again.close()


def away(_of):
    raise KeyholderGone("no worker answers on this host; is one running?")
