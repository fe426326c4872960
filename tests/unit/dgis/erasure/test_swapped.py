"""Companions that a node gives out under another's name: whose images they are is part of the seal."""

from dataclasses import replace

import pytest
from pydicom.uid import SecondaryCaptureImageStorage

from dgis.demo import kinds
from dgis.keyholder.client import NotRestored
from dgis.keyholder.protocol import RestoreRequest
from storage_nodes.names import RecordKey
from tests.unit.dgis.site import CLEARED, phantom

CAPTURES = replace(kinds.PET, sop_class_uid=SecondaryCaptureImageStorage)  # sealed whole: no record vouches


def answer(site, ref):
    (said,) = site.restorer(RestoreRequest(RecordKey(ref.record_key), (ref.position,)))
    return said if isinstance(said, NotRestored) else b"".join(said.chunks)


def swap(site, one, other):
    """Exchange the sealed companions of two parts on every node; their length is the same."""
    for node in site.grid.memory.values():
        names = [
            next(name for name in node.objects if name.startswith("sealed/") and ref.record_key in name)
            for ref in (one, other)
        ]
        assert len({len(node.objects[name]) for name in names}) == 1
        node.objects[names[0]], node.objects[names[1]] = (node.objects[name] for name in reversed(names))


@pytest.mark.parametrize(
    ("kind", "person"),
    [(kinds.PET, 0), (CAPTURES, 0), (CAPTURES, 1)],
    ids=["spliced", "whole", "whole, of another patient"],
)
def test_a_swapped_companion_is_no_companion_of_that_part(site, kind, person):
    images = [phantom(2, kind=kind), phantom(2, kind=kind, person=person, seed=2)]
    site.publish([one for series in images for one in series])
    first, second = (site.refs(CLEARED, series[0])[0] for series in images)
    assert answer(site, first) == images[0][0].dataset
    site.restorer.forget()
    swap(site, first, second)
    for ref in (first, second):
        assert isinstance(answer(site, ref), NotRestored)
