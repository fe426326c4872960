"""The size of what lies sealed on a node tells next to nothing of what is in it."""

from dataclasses import replace

from dgis.demo import kinds, phantoms
from dgis.demo.people import PEOPLE
from storage_nodes.addresses import Kind

NAMES = ("A^B", "Doe^Jane", "Smith-Featherstonehaugh^Alexander", "O" * 31 + "^" + "P" * 31)


def sealed_sizes(site):
    objects = site.grid.memory["a"].objects
    return {name: len(data) for name, data in objects.items() if name.startswith(f"{Kind.SEALED}/")}


def test_long_names_and_short_ones_make_companions_of_few_sizes(site):
    by_name = {}
    for number, name in enumerate(NAMES):
        person = replace(PEOPLE[0], name=name, patient_id=f"DEMO-{number}", character_set="ISO_IR 100")
        before = sealed_sizes(site)
        site.publish(phantoms.series(kinds.PET, replace(person, codec="latin_1"), 1, 1))
        (new,) = set(sealed_sizes(site)) - set(before)
        by_name[name] = sealed_sizes(site)[new]
    longest, shortest = max(map(len, NAMES)), min(map(len, NAMES))
    assert longest - shortest > 50  # bytes, which show only where they cross a step of the padding
    assert len(set(by_name.values())) <= 2
