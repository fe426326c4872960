import pytest
from pydicom.uid import UID_dictionary

from deid.engine import Withheld, WithheldReason
from deid.kinds import is_kind, may_be_sop_class
from deid.verdict import parse_rule
from tests.unit.deid.engine.build import CT, EXPLICIT, INSTANCE, dataset, deidentifier, el, published

SOP_CLASS, REFERENCED_CLASS, SYNTAX = 0x00080016, 0x00081150, 0x00083002
SCHEME, CONTEXT, RESOURCE = 0x0008010C, 0x00080117, 0x00080118
PRIVATE = "1.3.12.2.1107.5.9.1"


@pytest.mark.parametrize(
    ("tag", "uid"),
    [
        (REFERENCED_CLASS, "1.2.840.10008.5.1.4.1.1.481.99"),
        (REFERENCED_CLASS, "1.2.840.10008.5.1.4.1.1.77.1.5.9"),
        (REFERENCED_CLASS, "1.2.840.10008.5.1.4.1.1.9.101.1"),
        (REFERENCED_CLASS, "1.2.840.10008.5.1.4.34.99"),
        (0x0008001A, "1.2.840.10008.5.1.4.1.1.205"),
        (SYNTAX, "1.2.840.10008.1.2.4.299"),
        (SYNTAX, "1.2.840.10008.1.2.9.1"),
        (SCHEME, "1.2.840.10008.2.16.99"),
        (SCHEME, "2.16.840.1.113883.6.1"),
        (SCHEME, "2.16.840.1.113883.6.43.1"),
        (CONTEXT, "1.2.840.10008.6.1.1499"),
        (RESOURCE, "1.2.840.10008.8.1.2"),
        (REFERENCED_CLASS, PRIVATE),
        (SOP_CLASS, PRIVATE),
    ],
)
def test_what_the_standard_may_mint_next_is_a_kind_where_it_belongs(tag, uid):
    assert is_kind(tag, uid, PRIVATE)
    assert not is_kind(0x00081155, uid, PRIVATE)  # ReferencedSOPInstanceUID says which, never what kind


PLANTED = [
    "1.2.840.10008.5.1.4.1.1.2.88205170",
    "1.2.840.10008.5.1.4.1.1.88205170",
    "1.2.840.10008.5.1.4.1.1.2.882.051.70",
    "1.2.840.10008.5.1.4.1.1.8.8.2.0.5.1.7.0",
    "1.2.840.10008.5.1.4.1.1.88.205.170",
    "1.2.840.10008.5.1.4.1.1.2.1976.5.12",
    "1.2.840.10008.5.1.4.88205170",
    "1.2.840.10008.1.2.4.88205170",
    "1.2.840.10008.1.2.88205170",
    "1.2.840.10008.1.2.19760512",
    "1.2.840.10008.2.16.88205170",
    "1.2.840.10008.6.1.88205170",
    "1.2.840.10008.6.1.88205",
    "1.2.840.10008.8.1.88205170",
    "2.16.840.1.113883.6.88205170",
    "2.16.840.1.113883.6.88.205170",
    "1.2.840.10008.88205170",
    "1.2.276.0.88205170",
    "1.2.840.10008.5.1.4.1.1.02",
    "1.2.840.10008.5.1.4.1.1.2\n",
    "1.2.840.10008.5.1.4.1.1.DOE",
]


@pytest.mark.parametrize("uid", PLANTED)
@pytest.mark.parametrize("tag", [SOP_CLASS, REFERENCED_CLASS, SYNTAX, SCHEME, CONTEXT, RESOURCE])
def test_a_root_lets_no_identifier_through(tag, uid):
    assert not is_kind(tag, uid, CT)


@pytest.mark.parametrize("uid", [uid for uid in PLANTED if "\n" not in uid])
def test_planted_kinds_are_published_as_pseudonyms(uid):
    reference = [el(REFERENCED_CLASS, "UI", uid), el(0x00081155, "UI", "1.2.3")]
    data = dataset(
        el(0x0008001A, "UI", uid),
        el(0x00081140, "SQ", [reference]),
        el(0x00082218, "SQ", [[el(0x0008010C, "UI", uid), el(0x00080117, "UI", uid)]]),
        el(0x00083002, "UI", uid),
    )
    for options in (["modified-dates"], ["modified-dates", "safe-private", "clean-structured-content"]):
        assert uid.encode() not in published(data, engine=deidentifier(*options)).before


@pytest.mark.parametrize(
    "uid", ["1.2.840.10008.5.1.4.1.1.88.88205170", "1.2.840.10008.5.1.4.1.1.11.1976.5.12"]
)
def test_an_instance_of_a_class_that_cannot_be_is_withheld_whatever_a_rule_says(uid):
    form = deidentifier().deidentify(dataset(el(SOP_CLASS, "UI", uid)), EXPLICIT, INSTANCE)
    assert isinstance(form, Withheld)
    assert form.reason is WithheldReason.UNKNOWN_SOP_CLASS
    assert uid not in repr(form)


@pytest.mark.parametrize("text", ["DOE^JANE", "MRN-4711", "é", "1", "1.2." + "3" * 61, "1.2 3"])
def test_what_is_no_uid_is_no_sop_class_and_is_told_nowhere(text):
    form = deidentifier().deidentify(dataset(el(SOP_CLASS, "UI", text)), EXPLICIT, INSTANCE)
    assert isinstance(form, Withheld)
    assert (form.reason, form.sop_class_uid) == (WithheldReason.UNKNOWN_SOP_CLASS, "")


def test_a_private_class_that_a_site_publishes_keeps_its_name_where_it_is_one():
    engine = deidentifier()
    engine._rules = (parse_rule(["publish", PRIVATE, "*", "*", "*", "*"]),)
    reference = [el(REFERENCED_CLASS, "UI", "1.3.12.2.1107.5.9.2"), el(0x00081155, "UI", PRIVATE)]
    own = [el(REFERENCED_CLASS, "UI", PRIVATE), el(0x00081155, "UI", "1.2.3")]
    form = published(
        dataset(el(SOP_CLASS, "UI", PRIVATE), el(0x00081140, "SQ", [reference, own])), engine=engine
    )
    assert form.before.count(PRIVATE.encode()) == 2
    assert b"1.3.12.2.1107.5.9.2" not in form.before


def test_every_registered_class_may_be_one_and_has_the_shape():
    classes = [uid for uid, (_name, kind, *_more) in UID_dictionary.items() if kind == "SOP Class"]
    assert len(classes) > 250
    assert all(may_be_sop_class(uid) for uid in classes)
    storage = [uid for uid in classes if uid.startswith("1.2.840.10008.5.1.4.1.1.")]
    assert [uid for uid in storage if not is_kind(SOP_CLASS, uid, "")] == []
    syntaxes = [uid for uid, (_n, kind, *_m) in UID_dictionary.items() if kind == "Transfer Syntax"]
    assert [uid for uid in syntaxes if uid.count(".") > 5 and not is_kind(SYNTAX, uid, "")] == []
