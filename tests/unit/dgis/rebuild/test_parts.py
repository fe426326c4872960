"""Parts that are not alone: of several gateways, replaced, superseded, or from before rows told as much."""

import hashlib
import json
from dataclasses import replace

import pytest
import sqlalchemy as sa

from catalog.remove import remove_instance
from catalog.tables import DEID, PHI
from deid.keys.generations import current_key
from dgis.departed import notes
from dgis.departed.notes import Teller
from dgis.departed.values import Why
from dgis.publisher import publisher as publishing
from dgis.publisher.about import SUPERSEDES
from dgis.publisher.pack import Sealing, Source, pack
from dgis.publisher.rows import sealed_rows
from dgis.publisher.sealed import WITHHELD
from dgis.publisher.tables import publish_part
from dgis.publisher.values import Original, Part, Sealed
from dgis.rebuild.values import Trouble
from replica.tables import replica_object
from storage_nodes.addresses import Address, Kind
from storage_nodes.names import RecordKey
from tests.tools import burned_in
from tests.unit.dgis.erasure.erasing import patient_key
from tests.unit.dgis.rebuild.building import rebuild
from tests.unit.dgis.rebuild.databases import catalog, put_back, saved
from tests.unit.dgis.rebuild.test_rebuild import assert_same, originals
from tests.unit.dgis.site import Site, phantom


@pytest.fixture
def second(site, tmp_path):
    """Another gateway on the same database, keys and nodes."""
    url = str(site.engine.url.render_as_string(hide_password=False))
    other = Site(tmp_path, url, name="gateway-2", grid=site.grid)
    other.clock = site.clock
    yield other
    other.log.close()
    other.log.backlog.close()
    other.restorer._threads.shutdown()
    other.engine.dispose()


def test_each_gateway_has_its_parts_again(site, second):
    site.publish(phantom(2))
    second.publish(phantom(2, person=1, seed=2))
    before = catalog(site.engine)
    parts = sorted(
        (row.record_key, row.gateway_id, row.instances, row.raw_bytes) for row in site.rows(publish_part)
    )
    put_back(site.engine, {})
    assert rebuild(site).complete
    assert_same(before, site)
    again = sorted(
        (row.record_key, row.gateway_id, row.instances, row.raw_bytes) for row in site.rows(publish_part)
    )
    assert again == parts
    assert len({gateway for _key, gateway, *_rest in again}) == 2


def replaced(site, image):
    """What `dgis conflicts keep ID other` does: other bytes take an instance's place."""
    with site.engine.begin() as connection:
        row = connection.execute(
            sa.select(PHI.instance.c.id).where(PHI.instance.c.sop_instance_uid == image.sop_instance_uid)
        ).scalar_one()
        notes.add_instances(connection, [row], Why.REPLACED, site.clock())
        remove_instance(connection, row)
    other = replace(image, dataset=image.dataset[:-2] + b"\7\7")
    site.clock.pass_seconds(5)
    site.publish([other])
    return other


@pytest.mark.parametrize("database", ["empty", "from before"])
def test_an_instance_that_was_replaced_is_the_other_one(site, database):
    images = phantom(3)
    site.publish(images)
    old = saved(site.engine)
    other = replaced(site, images[1])
    Teller(site.engine, site.grid.fleet, site.clock).run_once()
    before = catalog(site.engine)
    put_back(site.engine, {} if database == "empty" else old)
    assert rebuild(site).complete
    assert_same(before, site)
    assert originals(site, [images[0], images[1]]) == [images[0].dataset, other.dataset]


def superseding(site, images):
    """Put a record on the nodes that takes the place of all parts of a series."""
    whose = patient_key(site, images[0])
    with site.engine.connect() as connection:
        rows = connection.execute(sa.select(PHI.instance).order_by(PHI.instance.c.id)).all()
        by_uid = {image.sop_instance_uid: image for image in images}
        sealed = [
            Original(
                row.id,
                row.sop_instance_uid,
                row.transfer_syntax,
                Sealed(RecordKey(row.record_key), row.position, row.size_bytes, bytes(row.sha256)),
            )
            for row in rows
        ]
        key = RecordKey("2.25.77.whole")
        part = Part(0, rows[0].series_row, key, 1, tuple(sealed), planned_ms=site.clock() + 1000)
        by = publishing.contribution(connection, rows[0].series_row)
        old = sorted({row.record_key for row in rows})
        about = {**publishing.about_part(part, whose, by, site.packer.contributions), SUPERSEDES: old}
        make_rows = sealed_rows(connection, part, site.name)
    sources = [
        Source(
            each.phi_instance_id,
            each.sop_instance_uid,
            each.transfer_syntax,
            each.location.sha256,
            by_uid[each.sop_instance_uid].dataset,
        )
        for each in sealed
    ]
    packed = pack(
        key,
        sources,
        site.packer,
        Sealing(site.keys.site, current_key(site.keys, whose), make_rows, about=about),
    )
    for kind, body in ((Kind.RECORD, packed.record.body), (Kind.SEALED, packed.companion.body)):
        data = b"".join(map(bytes, body))
        name = Address(kind, key, hashlib.sha256(data).digest()).name
        for node in site.grid.memory.values():
            node.objects[name] = data
    return key, old


@pytest.mark.parametrize("database", ["empty", "from before"])
def test_a_record_that_supersedes_others_takes_their_place(site, database):
    images = phantom(4)
    site.publish(images[:2])
    site.clock.pass_seconds(5)
    site.publish(images[2:])
    key, old = superseding(site, images)
    assert len(old) == 2
    if database == "empty":
        put_back(site.engine, {})
    assert rebuild(site).complete
    for table in (PHI.instance, DEID.instance):
        assert {row.record_key for row in site.rows(table)} == {key}
        assert sorted(row.position for row in site.rows(table)) == [0, 1, 2, 3]
    retired = {row.record_key for row in site.rows(replica_object) if row.superseded_ms is not None}
    assert retired == set(old)
    assert originals(site, images) == [image.dataset for image in images]
    assert rebuild(site).complete
    assert {row.record_key for row in site.rows(PHI.instance)} == {key}


def first_version(connection, part, _gateway_id):
    """Sealed rows as they were written before this version."""
    made = sealed_rows(connection, part, _gateway_id)

    def rows(order, reasons):
        said = json.loads(made(order, reasons))
        kept = ("patient_key", "study_key", "series_key", "facility", "assertions", "received_ms")
        return json.dumps({"version": 1, **{name: said[name] for name in kept}}).encode()

    return rows


def test_parts_from_before_come_back_as_far_as_they_tell(site, monkeypatch):
    monkeypatch.setattr(publishing, "sealed_rows", first_version)
    monkeypatch.setattr(publishing, "about_part", lambda *_arguments: {})
    images = [*phantom(2), *burned_in.series(1)]
    site.publish(images)
    before = catalog(site.engine)
    put_back(site.engine, {})
    assert rebuild(site).complete
    after = catalog(site.engine)
    assert {name: after[name] for name in after if name.startswith("deid_") or name == "contributor"} == {
        name: before[name] for name in before if name.startswith("deid_") or name == "contributor"
    }
    assert after["phi_series"] == before["phi_series"]
    assert {row.withheld_reason for row in site.rows(PHI.instance)} == {None, WITHHELD}
    assert originals(site, images) == [image.dataset for image in images]


def test_rows_of_a_later_version_are_left_alone(site, monkeypatch):
    def later(connection, part, gateway_id):
        made = sealed_rows(connection, part, gateway_id)
        return lambda order, reasons: made(order, reasons).replace(b'"version":2', b'"version":9', 1)

    monkeypatch.setattr(publishing, "sealed_rows", later)
    site.publish(phantom(2))
    put_back(site.engine, {})
    report = rebuild(site)
    assert report.as_json()["troubles"] == {Trouble.UNKNOWN_ROWS: 1}
    assert (len(site.rows(DEID.instance)), site.rows(PHI.instance)) == (2, [])


def test_reads_are_few_and_no_image_is_among_them(site):
    images = phantom(3)
    site.publish(images)
    put_back(site.engine, {})
    for node in site.grid.flaky.values():
        node.script("")
    rebuild(site)
    reads = sum(node.calls("get_range") for node in site.grid.flaky.values())
    assert sum(node.calls("get") for node in site.grid.flaky.values()) == 0
    assert reads <= 12  # opening twice, headers, directory, a block and the rows; frames would be more
