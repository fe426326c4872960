from io import StringIO

import pytest
from rich.console import Console

from dgis.demo import leaks, story
from dgis.demo.checks import Checks
from dgis.demo.gateway import DemoError
from dgis.demo.people import PEOPLE


def test_one_broken_claim_is_a_broken_demo():
    checks = Checks(Console(file=StringIO()))
    assert not checks.all_held  # nothing claimed, nothing shown
    checks.that("one [bold]claim[/bold]", held=True, seen="[1/2]")
    assert checks.all_held
    checks.that("another", held=False)
    assert not checks.all_held
    printed = checks.console.file.getvalue()
    assert "✓ one [bold]claim[/bold]  [1/2]" in printed
    assert "✗ another" in printed


def test_a_folder_with_other_things_in_it_is_refused(tmp_path):
    (tmp_path / "catalog.sqlite").touch()
    with pytest.raises(DemoError, match="new or empty"):
        story.run_demo(tmp_path, Console(file=StringIO()))
    assert (tmp_path / "catalog.sqlite").exists()


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.character_set)
def test_a_patient_is_known_in_each_form(person):
    for text in (person.name, person.patient_id, person.accession_number):
        for form in (text.encode(), text.encode("utf_16_le"), text.encode().hex().encode()):
            assert leaks.known(b"some bytes " + form + b" and more")
    assert not leaks.known(b"2.25.1234 PSEUDONYM^OF SOMEBODY")
