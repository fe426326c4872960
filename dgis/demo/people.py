"""The demo's patients: invented, and obviously so to whoever reads their names."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Person:
    """One invented patient with what a hospital would write about a visit."""

    name: str = field(
        repr=False
    )  # PS3.5 6.2.1.1: up to three component groups, alphabetic=ideographic=phonetic
    patient_id: str = field(repr=False)
    birth_date: str = field(repr=False)
    sex: str
    character_set: str  # PS3.3 C.12.1.1.2 defined term, and
    codec: str  # the Python codec of the same repertoire
    accession_number: str = field(repr=False)
    study_date: str = field(repr=False)
    study_time: str = field(repr=False)
    weight_kg: float = 70.0


PEOPLE = (
    Person(
        name="Phantomová^Žofie^^Dr.",
        patient_id="DEMO-7301946",
        birth_date="19310417",
        sex="F",
        character_set="ISO_IR 101",
        codec="iso8859_2",
        accession_number="ACC7301946A",
        study_date="20190823",
        study_time="071653",
        weight_kg=61.5,
    ),
    Person(
        name="Maboroshi^Taro=幻^太郎=まぼろし^たろう",
        patient_id="DEMO-8820517",
        birth_date="19471129",
        sex="M",
        character_set="ISO_IR 192",
        codec="utf_8",
        accession_number="ACC8820517B",
        study_date="20200214",
        study_time="134907",
        weight_kg=72.0,
    ),
    Person(
        name="Wassermann-Prüfkörper^Jörg",
        patient_id="DEMO-5519083",
        birth_date="19680605",
        sex="O",
        character_set="ISO_IR 100",
        codec="latin_1",
        accession_number="ACC5519083C",
        study_date="20210930",
        study_time="092238",
        weight_kg=88.2,
    ),
)
