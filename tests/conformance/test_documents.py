"""What the documents list is what the code has: nothing is left out, nothing is there that is not."""

import json

import pytest
from typer.main import get_command

from catalog.attributes import ATTRIBUTES, Kind
from catalog.query import Level
from deid.profile import COARSE_TIMES, Option
from dgis import configuration
from dgis.cli.main import app
from dgis.configuration import AssertionSet, Configuration
from dgis.identity.configuration import IssuerEntry
from dgis.retention.configuration import Quota, RetentionRule
from dgis.sessions.configuration import SessionsSection
from dgis.web.configuration import RatesSection
from tests.gateway import PROJECT
from tests.tools.markdown import DOCUMENTS, links, tables

OPERATIONS = PROJECT / "docs" / "operations.md"
CONFORMANCE = PROJECT / "docs" / "conformance.md"

SECTIONS = {
    "[dicom.destinations]": configuration.Destination,
    "[[dicom.peers]]": configuration.Peer,
    "assertions": AssertionSet,
    "[[identity.issuers]]": IssuerEntry,
    '[[nodes]], kind = "folder"': configuration.FolderNode,
    '[[nodes]], kind = "s3"': configuration.S3Node,
    "[[grants]]": configuration.GrantEntry,
    "[[placement.rules]]": configuration.PlacementRule,
    "[[retention.rules]]": RetentionRule,
    "[[quotas]]": Quota,
    "[web.sessions]": SessionsSection,
    "[web.rates]": RatesSection,
    **{
        f"[{name}]": field.annotation
        for name, field in Configuration.model_fields.items()
        if name not in {"nodes", "grants", "quotas", "failpoints"}
    },
}
MATCHING = {
    Kind.UID: "list of UIDs",
    Kind.TEXT: "value, wildcard",
    Kind.NAME: "name",
    Kind.DATE: "date, range",
    Kind.TIME: "time, range",
    Kind.NUMBER: "number",
    Kind.SERIES: "in any series",
    Kind.RETURNED: "returned only",
}
SAMPLES = {"peers", "destinations"}  # too long for a cell; told in words


def default_of(key, field) -> str:
    """A default as the tables write it: as TOML does."""
    if key in SAMPLES:
        return "*sample*"
    if field.is_required():
        return "*required*"
    value = field.default
    if isinstance(value, SessionsSection | RatesSection):
        return "*below*"
    if value is None or value == AssertionSet():
        return "*none*"
    if isinstance(value, frozenset):
        return json.dumps(sorted(value))
    if isinstance(value, tuple):
        return json.dumps(list(value))
    if value == {}:
        return "{}"
    return json.dumps(value if isinstance(value, bool | int | float) else str(value))


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_of_the_configuration_is_documented_with_its_default(heading):
    documented = {key: default for key, default, _meaning in tables(OPERATIONS)[heading]}
    fields = SECTIONS[heading].model_fields
    assert documented == {key: default_of(key, field) for key, field in fields.items()}


def test_every_section_of_the_configuration_is_documented():
    written = {name for name in tables(OPERATIONS) if name.startswith("[")}
    assert written == {name for name in SECTIONS if name != "assertions"}
    assert {row[0] for row in tables(OPERATIONS)["Other"]} == {"failpoints"}


def test_every_command_is_documented():
    """Groups stand there with their commands: `record inspect`, `verify`, ..."""
    rows = [row[0] for row in tables(OPERATIONS)["Commands"]]
    text = " ".join(rows)
    group = get_command(app)
    context = group.make_context("dgis", ["doctor"])
    names = group.list_commands(context)
    assert "serve" in names
    assert not [name for name in names if f"dgis {name}" not in text]
    below = [
        f"{name} {each}"
        for name in names
        for each in getattr(group.get_command(context, name), "commands", ())
    ]
    assert "record inspect" in below
    assert not [name for name in below if name.split()[1] not in text]


@pytest.mark.parametrize("level", Level)
def test_the_query_attributes_of_each_level_are_those_of_the_catalog(level):
    documented = {name: (tag, matching) for name, tag, matching in tables(CONFORMANCE)[level.value]}
    known = {
        each.keyword: (f"({each.tag >> 16:04X},{each.tag & 0xFFFF:04X})", MATCHING[each.kind])
        for each in ATTRIBUTES.values()
        if each.level is level
    }
    assert documented == known


def test_every_option_of_the_profile_is_documented_with_its_code():
    text = CONFORMANCE.read_text()
    assert not [option for option in Option if f"| `{option.column}` | {option.code} |" not in text]
    assert f"| `{COARSE_TIMES}` | none |" in text


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_lead_somewhere(document):
    assert not [target for target in links(document) if not (document.parent / target).exists()]
