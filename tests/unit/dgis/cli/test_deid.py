import json

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from dgis import settings
from dgis.cli import deid as command
from dgis.cli.main import app
from tests.tools import burned_in
from tests.unit.deid.engine.build import deidentifier, el
from tests.unit.deid.files.build import native, part10, ultrasound
from tests.unit.deid.files.site import Ward, contents

NAMES = ("DOE", "JANE", "Müller", "MRN-4711", "1.2.276")


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch):
    for name in list(settings.os.environ):
        if name.startswith("DGIS__"):
            monkeypatch.delenv(name)


@pytest.fixture
def ward(tmp_path):
    made = Ward(tmp_path)
    return made.put(
        {
            "DOE^JANE/Müller.dcm": part10(native(instance="1.2.276.1")),
            "DOE^JANE/two.dcm": part10(native(instance="1.2.276.2")),
            "us.dcm": ultrasound(),
            "JANE.txt": b"no image",
        }
    )


def run(*arguments):
    return CliRunner().invoke(app, ["deid", *map(str, arguments)])


def clean(ward, *more):
    """De-identify with a secret and a sealed folder."""
    secret = ward.folder / "secret"
    return run(
        ward.source,
        "--out",
        ward.out,
        "--sealed",
        ward.sealed,
        "--secret-file",
        secret,
        "--init-secret",
        *more,
    )


def bring_back(ward, *more):
    return run(
        ward.out, "--out", ward.back, "--restore", "--sealed", ward.sealed,
        "--secret-file", ward.folder / "secret", *more,
    )  # fmt: skip


def test_there_and_back(ward):
    told = clean(ward)
    assert told.exit_code == 0, told.output
    assert len(contents(ward.out)) == 2
    assert (ward.folder / "secret").stat().st_mode & 0o777 == 0o600
    back = bring_back(ward)
    assert back.exit_code == 0, back.output
    assert "3 originals given back" in back.output
    originals = contents(ward.source)
    del originals["JANE.txt"]
    assert contents(ward.back) == originals


def test_neither_people_nor_scripts_nor_folders_are_told_a_name(ward):
    report = ward.folder / "report.json"
    told = clean(ward, "--report", report)
    shown = told.output + report.read_text() + clean(ward, "--json").output + bring_back(ward).output
    shown += "".join(contents(ward.out)) + "".join(contents(ward.sealed))
    assert not [name for name in NAMES if name in shown]
    assert "what may show identity" not in shown
    assert "images of this modality usually show text" in shown


def test_files_are_named_for_those_who_ask(ward):
    told = clean(ward, "--name-files", "--json")
    notes = json.loads(told.stdout)["not_published"]
    assert [(note["file"], note["path"]) for note in notes] == [(1, "JANE.txt"), (2, "us.dcm")]
    assert "left out: JANE.txt: no DICOM file" in clean(ward, "--name-files").output


def test_the_report_has_counts_reasons_tags_and_actions(ward):
    report = ward.folder / "report.json"
    told = clean(ward, "--json", "--report", report)
    document = json.loads(told.stdout)
    assert json.loads(report.read_text()) == document
    counted = {name: document[name] for name in ("files", "published", "withheld", "left_out", "sealed")}
    assert counted == {"files": 4, "published": 2, "withheld": 1, "left_out": 1, "sealed": 3}
    assert {reason["reason"] for reason in document["reasons"]} == {
        "images of this modality usually show text",
        "no DICOM file",
    }
    (series,) = document["series"]
    assert (series["published"], sum(series["withheld"].values())) == (2, 1)
    name = next(element for element in series["elements"] if element["keyword"] == "PatientName")
    assert name == {"tag": "(0010,0010)", "keyword": "PatientName", "action": "D", "count": 2}


def test_what_the_options_removed_of_a_series_is_said_in_words(tmp_path):
    weight = el(0x00101030, "DS", "71.5")
    private = [el(0x00090010, "LO", "ACME 1"), el(0x00091001, "LO", "x")]
    ward = Ward(tmp_path).put({
        "1.dcm": part10(native(instance="1.2.276.1", extra=(weight, *private))),
        "2.dcm": part10(native(instance="1.2.276.2")),
    })  # fmt: skip
    told = clean(ward, "--json", "--options", "modified-dates,safe-private")
    (series,) = json.loads(told.stdout)["series"]
    assert series["removed"] == {
        "no body size or weight (patient-characteristics keeps it)": 1,
        "private attributes removed"
        " (safe-private keeps those alone that its list names, in the form it names)": 1,
    }
    words = run(ward.source, "--out", tmp_path / "again").output
    assert "What the options removed from series 2.25." in words
    assert "  no body size or weight (patient-characteristics keeps it), in 1 of 2\n" in words
    assert "  private attributes removed (safe-private keeps it), in 1 of 2\n" in words


def test_nothing_sealed_is_said_loudly(ward):
    told = run(ward.source, "--out", ward.out)
    assert told.exit_code == 0
    words = " ".join(told.output.split())
    assert "there is no way back" in words
    assert "never made again" in words


def test_without_a_secret_every_run_has_pseudonyms_of_its_own(ward):
    run(ward.source, "--out", ward.out)
    run(ward.source, "--out", ward.folder / "again")
    assert not contents(ward.out).keys() & contents(ward.folder / "again").keys()


def test_a_secret_makes_the_same_again(ward):
    clean(ward)
    run(ward.source, "--out", ward.folder / "again", "--secret-file", ward.folder / "secret", "--jobs", "1")
    assert contents(ward.out) == contents(ward.folder / "again")


def test_a_conflict_is_exit_code_1_and_says_how_to_know_more(ward):
    ward.put({"z.dcm": part10(native(instance="1.2.276.1", values=(9, 9, 9, 9)))})
    told = clean(ward)
    assert told.exit_code == 1
    assert "--name-files" in told.output
    assert len(contents(ward.out)) == 2


def test_no_dicom_at_all_is_exit_code_1(tmp_path):
    ward = Ward(tmp_path).put({"a.txt": b"text"})
    told = run(ward.source, "--out", ward.out)
    assert told.exit_code == 1
    assert "no DICOM file was found" in told.output


def test_a_secret_is_never_made_without_being_told_so(ward):
    told = run(ward.source, "--out", ward.out, "--secret-file", ward.folder / "new")
    assert told.exit_code == 1
    assert "--init-secret" in told.output
    assert not (ward.folder / "new").exists()
    assert not ward.out.exists()


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("ab", 0o600, "64 hex digits"),
        ("ab" * 32 + "\n" + "cd" * 32, 0o600, "no site secret"),
        ("ab" * 32, 0o644, "600"),
    ],
)
def test_a_bad_secret_is_refused_and_not_shown(ward, content, mode, words):
    secret = ward.folder / "secret"
    secret.write_text(content)
    secret.chmod(mode)
    told = run(ward.source, "--out", ward.out, "--secret-file", secret)
    assert told.exit_code == 1
    assert words in " ".join(told.output.split())
    assert "abab" not in told.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("{in}",),
        ("--out", "{out}"),
        ("{folder}/nothing", "--out", "{out}"),
        ("{in}", "--out", "{in}/out"),
        ("{in}", "--out", "{in}"),
        ("{in}", "--out", "{folder}"),
        ("{in}/us.dcm", "--out", "{in}"),
        ("{in}", "--out", "{out}", "--sealed", "{out}/sealed", "--secret-file", "{folder}/secret"),
        ("{in}", "--out", "{out}", "--sealed", "{in}/sealed", "--secret-file", "{folder}/secret"),
        ("{in}", "--out", "{out}", "--sealed", "{sealed}"),
        ("{in}", "--out", "{out}", "--sealed", "{sealed}", "--secret-file", "{sealed}/secret"),
        ("{in}", "--out", "{out}", "--secret-file", "{out}/secret", "--init-secret"),
        ("{in}", "--out", "{out}", "--init-secret"),
        ("{in}", "--out", "{out}", "--options", "no-such-option"),
        ("{in}", "--out", "{out}", "--options", "full-dates,modified-dates"),
        ("{in}", "--out", "{out}", "--jobs", "-1"),
        ("{in}", "--out", "{out}", "--name-files", "--report", "{out}/report.json"),
        ("{out}", "--out", "{back}", "--restore"),
        ("{out}", "--out", "{back}", "--restore", "--sealed", "{sealed}"),
        (
            "{in}",
            "--out",
            "{in}/back",
            "--restore",
            "--sealed",
            "{folder}",
            "--secret-file",
            "{folder}/secret",
        ),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2_and_touches_nothing(ward, arguments):
    places = {
        "in": ward.source,
        "out": ward.out,
        "sealed": ward.sealed,
        "back": ward.back,
        "folder": ward.folder,
    }
    before = contents(ward.folder)
    told = run(*(argument.format(**places) for argument in arguments))
    assert told.exit_code == 2, told.output
    assert contents(ward.folder) == before
    assert "DOE" not in told.output


def test_restoring_says_what_did_not_come_back(ward):
    clean(ward)
    next(ward.out.rglob("*.dcm")).unlink()
    told = bring_back(ward, "--json")
    assert told.exit_code == 1
    document = json.loads(told.stdout)
    assert (document["restored"], document["failed"]) == (2, 1)
    assert "its pixels are in the de-identified file" in " ".join(bring_back(ward).output.split())


def test_restoring_with_another_secret_is_refused(ward):
    clean(ward)
    (ward.folder / "secret").write_text("cd" * 32 + "\n")
    told = bring_back(ward)
    assert told.exit_code == 1
    assert "another secret" in told.output


def test_restoring_one_file(ward):
    clean(ward)
    one = next(ward.out.rglob("*.dcm"))
    secret = ward.folder / "secret"
    told = run(one, "--out", ward.back, "--restore", "--sealed", ward.sealed, "--secret-file", secret)
    assert told.exit_code == 0, told.output
    assert len(contents(ward.back)) == 1


def test_pixels_sealed_too_need_no_published_folder(ward):
    clean(ward, "--seal-pixels")
    told = run(
        "--out", ward.back, "--restore", "--sealed", ward.sealed, "--secret-file", ward.folder / "secret"
    )
    assert told.exit_code == 0, told.output
    assert len(contents(ward.back)) == 3


def test_options_are_those_of_the_profile(ward):
    told = clean(ward, "--options", "full-dates, device-identity", "--options", "retain-uids", "--json")
    options = json.loads(told.stdout)["profile"]["options"]
    assert options == ["device-identity", "full-dates", "retain-uids"]


def test_a_configuration_gives_facility_options_rules_and_secret(ward):
    rules = ward.folder / "rules.tsv"
    rules.write_text("publish\t*\tUS\t*\t*\t*\n")
    secret = ward.folder / "site-secret"
    secret.write_text(bytes(range(32)).hex() + "\n")
    secret.chmod(0o600)
    config = ward.folder / "dgis.toml"
    config.write_text(
        f'[gateway]\nfacility = "Ward 7"\n[keys]\nsite_secret_file = "{secret}"\n'
        f'[deid]\noptions = ["full-dates"]\nrules_file = "{rules}"\n'
    )
    told = run(ward.source, "--out", ward.out, "--config", config, "--json")
    assert told.exit_code == 0, told.output
    document = json.loads(told.stdout)
    assert document["profile"]["options"] == ["full-dates"]
    assert (document["published"], document["withheld"]) == (3, 0)
    form = deidentifier(facility="Ward 7").deidentify(native(instance="1.2.276.1"), "1.2.840.10008.1.2.1", "")
    assert any(path.endswith(f"{form.sop_instance_uid}.dcm") for path in contents(ward.out))
    plain = run(ward.source, "--out", ward.folder / "plain", "--secret-file", secret)
    assert plain.exit_code == 0
    patients = [{path.partition("/")[0] for path in contents(ward.folder / at)} for at in ("out", "plain")]
    assert not patients[0] & patients[1], "the facility is part of a pseudonym"


@pytest.mark.parametrize("jpeg", [False, True])
def test_a_rule_of_the_site_has_rectangles_blanked(tmp_path, jpeg):
    burned = burned_in.instance(jpeg=jpeg)
    raw = part10(burned.dataset, burned.transfer_syntax)
    ward = Ward(tmp_path).put({"DOE^JANE": raw})
    x, y, width, height = burned_in.TEXT
    size = f"{burned_in.ROWS}x{burned_in.COLUMNS}"
    rule = (f"blank {x},{y},{width}x{height}", "*", "US", "*", "*", "*", "acme*", "*", "*", size)
    (tmp_path / "rules.tsv").write_text("\t".join(rule) + "\n")
    (tmp_path / "dgis.toml").write_text(f'[deid]\nrules_file = "{tmp_path}/rules.tsv"\n')
    told = clean(ward, "--config", tmp_path / "dgis.toml", "--json")
    assert json.loads(told.stdout)["published"] == 1, told.output
    (published,) = ward.out.rglob("*.dcm")
    assert not burned_in.shows_name(dcmread(published).pixel_array.reshape(burned_in.ROWS, burned_in.COLUMNS))
    assert bring_back(ward).exit_code == 0
    assert contents(ward.back) == {"DOE^JANE": raw}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (command.CannotWrite("No space left on device"), "cannot write: No space left on device"),
        (command.BrokenProcessPool("x"), "a process was ended from outside"),
        (KeyboardInterrupt(), "stopped"),
        (PermissionError(13, "Permission denied", "DOE^JANE"), "a folder cannot be read: Permission denied"),
    ],
)
def test_what_stops_a_run_is_said_in_words(ward, monkeypatch, error, words):
    def stopped(*_arguments, **_named):
        raise error

    monkeypatch.setattr(command, "deidentify_tree", stopped)
    told = clean(ward)
    assert told.exit_code == 1
    assert words in " ".join(told.output.split())
    assert "DOE" not in told.output
