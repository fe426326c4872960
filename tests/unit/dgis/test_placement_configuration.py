"""Rules as the configuration writes them, and the words for those that no fleet can keep."""

import pytest

from dgis import fleet, settings
from replica.placement import Rule
from replica.rules import Labels
from storage_nodes.addresses import Kind

S3 = """
[[nodes]]
name = "bucket"
kind = "s3"
site = "west"
endpoint = "http://127.0.0.1:9"
bucket = "b"
sealed_bucket = "s"
access_key = "k"
secret_key = "x"
"""
FOLDERS = "".join(
    f'\n[[nodes]]\nkind = "folder"\nname = "f{number}"\npath = "/n/f{number}"\nsite = "east"\n'
    for number in range(3)
)
RULES = """
[[placement.rules]]
facility = "North *"
modality = ["CT", "MR"]
kind = "record"
copies = 3
write_quorum = 2
sites = 2
node_kinds = { s3 = 1 }

[[placement.rules]]
modality = ["US"]
copies = 1
write_quorum = 1
"""


@pytest.fixture
def load(tmp_path):
    def read(text):
        path = tmp_path / "dgis.toml"
        path.write_text(text)
        return settings.load(path, tmp_path)

    return read


def test_the_first_rule_that_matches_decides(load):
    rules = fleet.rules(load(RULES + FOLDERS + S3))
    strict, single, usual = Rule(3, 2, 2, (("s3", 1),)), Rule(1, 1), Rule(3, 2)
    assert rules.of(Kind.RECORD, Labels("North Clinic", "CT")) == strict
    assert rules.of(Kind.SEALED, Labels("North Clinic", "CT")) == usual
    assert rules.of(Kind.RECORD, Labels("South Clinic", "CT")) == usual
    assert rules.of(Kind.SEALED, Labels("North Clinic", "US")) == single
    assert rules.of(Kind.RECORD, Labels()) == usual
    assert list(rules) == [strict, single, usual]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[placement]\ncopies = 4\n", "placement: copies is 4 but there are 3 nodes"),
        ("[placement]\nsites = 3\n", "placement: sites is 3 but the nodes stand on 2"),
        ("[placement]\nnode_kinds = { s3 = 1 }\n", "asks for 1 of kind s3 but there are 0"),
        (RULES + FOLDERS, "placement.rules.0: sites is 2 but the nodes stand on 1"),
        (
            "[[placement.rules]]\ncopies = 2\nwrite_quorum = 1\nsites = 2\nnode_kinds = { folder = 2 }\n"
            + FOLDERS
            + S3,
            "placement.rules.0: sites and node_kinds together take 3 copies and copies is 2",
        ),
        ("[[placement.rules]]\ncopies = 2\nwrite_quorum = 3\n", "write_quorum cannot exceed copies"),
        ("[[placement.rules]]\ncopies = 2\nwrite_quorum = 1\nsites = 3\n", "sites cannot exceed copies"),
        ("[placement]\nnode_kinds = { tape = 1 }\n", "folder"),
        ("[[placement.rules]]\ncopys = 2\n", "did you mean copies"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused_in_words(load, text, words):
    with pytest.raises(settings.ConfigurationError) as caught:
        load(text)
    assert words in str(caught.value)
