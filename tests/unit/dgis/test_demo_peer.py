from dgis.demo import kinds, phantoms
from dgis.demo.peer import Peer, workstation
from dgis.demo.people import PEOPLE


def test_an_image_arrives_byte_for_byte_as_it_was_made():
    instances = list(phantoms.series(kinds.PET, PEOPLE[1], 3))
    ticks = []
    with workstation("SCREEN") as (port, images):
        stored = Peer("SENDER", ("127.0.0.1", port)).store(instances, lambda: ticks.append(1))
    assert stored == len(ticks) == 3
    assert [image.dataset for image in images] == [instance.dataset for instance in instances]
    assert [image.pixels for image in images] == [instance.pixels for instance in instances]
