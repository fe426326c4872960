"""What may appear nowhere outside the gateway's own keeping: the invented patients' values."""

from collections.abc import Iterator

from dgis.demo.people import PEOPLE, Person


def known(data: bytes) -> bool:
    """Whether any patient's name, ID or accession number occurs, as text, as UTF-16 or in hexadecimal."""
    return any(form in data for form in _FORMS)


def _values(person: Person) -> Iterator[str]:
    yield person.name
    yield from (group.split("^")[0] for group in person.name.split("="))
    yield person.patient_id
    yield person.accession_number


def _forms() -> Iterator[bytes]:
    for person in PEOPLE:
        for value in _values(person):
            for codec in ("utf_8", "utf_16_le", "utf_16_be", person.codec):
                yield value.encode(codec)
            yield value.encode().hex().encode()


_SHORTEST_BYTES = 6  # a two-character ideographic family name stands in pixels by chance
_FORMS = tuple({form for form in _forms() if len(form) >= _SHORTEST_BYTES})
