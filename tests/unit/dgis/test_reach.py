"""What lies unpublished in another gateway's cache alone is neither found nor counted here, nor retrieved."""

import pytest

from catalog.find import find
from catalog.query import Key, Level, Query, Root
from catalog.retrieve import instances
from dgis.cache.reach import reach_of
from tests.unit.dgis.site import CLEARED, Site, phantom

LEVELS = (Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE)
COUNT = {
    Level.PATIENT: "NumberOfPatientRelatedInstances",
    Level.STUDY: "NumberOfStudyRelatedInstances",
    Level.SERIES: "NumberOfSeriesRelatedInstances",
    Level.IMAGE: "SOPInstanceUID",
}


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


def found(site, level):
    """What a cleared caller finds through a gateway: originals' counts, or how many images."""
    query = Query(Root.PATIENT, level, (Key(COUNT[level]),), relational=True)
    with site.engine.connect() as connection:
        matches = [
            match
            for match in find(connection, query, CLEARED, site.clock(), reach_of(site.name))
            if match.original
        ]
    return len(matches) if level is Level.IMAGE else [match.values[COUNT[level]] for match in matches]


def everywhere(site):
    return [found(site, level) for level in LEVELS]


def sent(site, images):
    uids = tuple(image.sop_instance_uid for image in images)
    query = Query(Root.STUDY, Level.IMAGE, (Key("SOPInstanceUID", uids),), relational=True)
    with site.engine.connect() as connection:
        refs = instances(connection, query, CLEARED, None, site.clock(), reach=reach_of(site.name))
        return {ref.sop_instance_uid for ref in refs if ref.original}


def test_what_waits_in_the_other_cache_is_not_there(site, second):
    images = phantom(3)
    site.receive(images)
    assert everywhere(site) == [[3], [3], [3], 3]
    assert everywhere(second) == [[], [], [], 0]
    assert (len(sent(site, images)), sent(second, images)) == (3, set())
    site.publish()
    assert everywhere(site) == everywhere(second) == [[3], [3], [3], 3]
    assert len(sent(second, images)) == 3


def test_of_one_series_each_gateway_counts_what_it_can_give_out(site, second):
    images = phantom(6)
    site.publish(images[:2])
    site.receive(images[2:5])
    second.receive(images[5:])
    assert everywhere(site) == [[5], [5], [5], 5]
    assert everywhere(second) == [[3], [3], [3], 3]
    assert sent(second, images) == {image.sop_instance_uid for image in (*images[:2], images[5])}


def test_what_both_have_received_both_give_out(site, second):
    images = phantom(2)
    site.receive(images)
    second.receive(images)
    assert everywhere(site) == everywhere(second) == [[2], [2], [2], 2]
    assert sent(second, images) == sent(site, images) != set()
