"""What comes out is as conformant as what went in: dciodvfy finds no error that the original did not have."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain

import pytest
from pydicom.datadict import keyword_for_tag

from deid.engine import Deidentifier, Published
from deid.profile import Option, Profile
from deid.tables.loader import attribute_types, coded_terms, records, table
from deid.verdict import Shown, standard_rules, verdict
from deid.vr import standard_vr
from tests.corpus import corpus_files
from tests.needs import needs
from tests.tools import dciodvfy
from tests.tools.part10 import opened, whole
from tests.unit.deid.engine.build import EXPLICIT, INSTANCE, SECRETS, dataset, el, pixels

pytestmark = needs("dciodvfy", "dicom3tools")

SCIENCE = [one.column for one in Option if one not in {Option.FULL_DATES, Option.RETAIN_UIDS}]
OPTIONS = {
    "modified dates": ["modified-dates"],
    "full dates": ["full-dates"],
    "no dates": [],
    "all that science asks for": SCIENCE,
    "clean descriptors": ["modified-dates", "clean-descriptors"],
    "clean structured content": ["modified-dates", "clean-structured-content"],
    "devices and institutions, no dates": ["device-identity", "institution"],
    "original UIDs": ["modified-dates", "retain-uids"],
}
FILES = corpus_files("series", "odd", "malformed")
AT_ONCE = os.cpu_count() or 1
DEEPEST = 3
CODE = (0x00080100, 0x00080102, 0x00080104)  # the entry of a code sequence (PS3.3 8.8)


def engine_of(options):
    return Deidentifier(Profile.named("basic", options), SECRETS, "Demo Hospital")


@cache
def originals():
    """The errors of every file of the corpus, each asked for once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(FILES, pool.map(dciodvfy.complaints, FILES), strict=True))


@pytest.mark.corpus
@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_no_file_of_the_corpus_gets_an_error_it_did_not_have(options, tmp_path, record_property):
    engine = engine_of(options)

    def published():
        for number, path in enumerate(FILES):
            data, syntax = opened(path)
            form = engine.deidentify(data, syntax, INSTANCE)
            if isinstance(form, Published):
                target = tmp_path / f"{number}.dcm"
                target.write_bytes(whole(data, form))
                yield path, target

    def errors(pair):
        path, target = pair
        found = dciodvfy.added(originals()[path], dciodvfy.complaints(target))
        target.unlink()
        return path.name, found

    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(errors, published()))
    record_property("dciodvfy", f"{len(told)} files published, {len(FILES)} looked at")
    assert len(told) > 950
    assert [one for one in told if one[1]] == []


def publishable():
    """The SOP classes whose instances the rules let out, each with a modality that they do."""
    modalities = sorted({line[2] for line in records("pixel_rules.tsv")} - {"*"})
    for uid in sorted(chain.from_iterable(uids.split() for _iod, uids in records("iods.tsv"))):
        for modality in ("CT", *modalities):
            if verdict(Shown(uid, modality, (), "", "1"), standard_rules()) is None:
                yield uid, modality
                break


def value_of(tag, vr):
    """A value such as a sender might write, valid for its VR, and nothing that a list of words has."""
    terms = sorted(coded_terms().get(tag, ())) if vr == "CS" else []
    if terms:
        return terms[0]
    texts = dict.fromkeys(("LO", "LT", "SH", "ST", "UC", "UT"), "Kanarie") | {
        "AE": "KANARIE",
        "AS": "041Y",
        "CS": "KANARIE",
        "DA": "20190203",
        "DS": "1.5",
        "DT": "20190203040506",
        "IS": "1",
        "PN": "Kanarie^Anna",
        "TM": "040506",
        "UI": "1.2.276.111.9",
        "UR": "http://kanarie.example",
    }
    sizes = {"FD": 8, "FL": 4, "SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8, "AT": 4}
    return texts.get(vr) or b"\1".ljust(sizes.get(vr, 2), b"\0")


@cache
def inside():
    """The attributes that must not be missing in the items of a sequence."""
    found = {}
    for (tag, where), kind in attribute_types().items():
        if where.startswith(">") and kind != "3":
            found.setdefault(int(where[1:], 16), []).append(tag)
    return found


def grown(tag, depth):
    """One element with a value; sequences have an item with all that must be in one."""
    vr = standard_vr(tag).split(" or ")[-1]
    if vr != "SQ":
        return el(tag, vr, value_of(tag, vr))
    coded = CODE if keyword_for_tag(tag).endswith("CodeSequence") else ()
    nested = sorted({*coded, *inside().get(tag, ())}) if depth < DEEPEST else ()
    return el(tag, vr, [[grown(one, depth + 1) for one in nested]])


def full(sop_class, modality):
    """An instance with every attribute that its IOD must have, and every one that PS3.15 names."""
    types = attribute_types()
    wanted = {tag for (tag, where), kind in types.items() if where in {sop_class, "*"} and kind != "3"}
    wanted = {tag for tag in wanted if types.get((tag, sop_class), types.get((tag, "*"))) not in {"3", "-"}}
    wanted |= {tag for tag in table("2026c").rows if tag >> 16 != 2}
    decided = {0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080060, 0x00280301, 0x00280303}
    public = (
        tag
        for tag in sorted(wanted - decided)
        if 0x0008 <= tag >> 16 < 0x7FE0 and tag >> 16 != 0x0028 and standard_vr(tag) not in {None, "NONE"}
    )
    made = [grown(tag, 0) for tag in public]
    image = pixels([1, 2, 3, 4])
    return dataset(el(0x00080060, "CS", modality), *made, *image, sop_class=sop_class)


def errors_of(name, raw, folder):
    path = folder / name
    path.write_bytes(raw)
    try:
        return dciodvfy.complaints(path)
    finally:
        path.unlink()


@pytest.mark.slow
def test_an_instance_of_every_class_with_all_that_its_iod_wants_stays_conformant(tmp_path, record_property):
    engines = {name: engine_of(OPTIONS[name]) for name in ("modified dates", "no dates")}

    def new_errors(one):
        sop_class, data, forms = one
        before = errors_of(f"{sop_class}.0", original_file(data, sop_class), tmp_path)
        after = {
            name: errors_of(f"{sop_class}.1", whole(data, form), tmp_path) for name, form in forms.items()
        }
        return {(sop_class, name): dciodvfy.added(before, found) for name, found in after.items()}

    def answered():
        for sop_class, modality in publishable():
            data = full(sop_class, modality)
            yield (
                sop_class,
                data,
                {name: e.deidentify(data, EXPLICIT, INSTANCE) for name, e in engines.items()},
            )

    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = {key: found for one in pool.map(new_errors, answered()) for key, found in one.items()}
    record_property("dciodvfy", f"{len(told)} instances of {len(told) // len(engines)} classes")
    assert len(told) > 150
    assert {key: found for key, found in told.items() if found} == {}


def original_file(data, sop_class):
    meta = b"".join((
        el(0x00020001, "OB", b"\0\1"),
        el(0x00020002, "UI", sop_class),
        el(0x00020003, "UI", INSTANCE),
        el(0x00020010, "UI", EXPLICIT),
        el(0x00020012, "UI", "2.25.1"),
    ))  # fmt: skip
    return bytes(128) + b"DICM" + el(0x00020000, "UL", len(meta).to_bytes(4, "little")) + meta + data
