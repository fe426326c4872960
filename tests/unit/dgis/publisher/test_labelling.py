from dgis.publisher.labelling import code_of, label
from replica.tables import replica_object
from tests.unit.dgis.site import FACILITY, phantom


def test_what_is_published_says_where_it_is_from(site):
    site.publish(phantom(2))
    assert {(row.facility, row.modality) for row in site.rows(replica_object)} == {(FACILITY, "PT")}


def test_what_an_older_gateway_put_is_labelled_once(site):
    site.publish(phantom(2))
    with site.engine.begin() as connection:
        connection.execute(replica_object.update().values(facility=None, modality=None))
    assert label(site.engine, "another", "Elsewhere") == 0
    assert label(site.engine, site.name, FACILITY) == 2
    assert {(row.facility, row.modality) for row in site.rows(replica_object)} == {(FACILITY, "PT")}
    assert label(site.engine, site.name, FACILITY) == 0


def test_only_code_strings_are_kept():
    assert code_of("CT") == "CT"
    assert code_of(None) == code_of("Doe^Jane") == code_of("CT\\MR") == code_of("A" * 17) == ""
