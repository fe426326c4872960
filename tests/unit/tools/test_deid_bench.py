import json

import pytest

from tests.bench.deid.__main__ import main
from tests.bench.deid.measure import Given, Row, measure, table
from tests.bench.deid.pairs import Breaks
from tests.bench.deid.tools import Tool, ours
from tests.planted import Corpus, planted

COPY = Tool("copy", "1", lambda given, out, _keys: ["cp", "-r", f"{given}/.", out])


def few(folder, count=6):
    """The first planted files, and all that is planted in them."""
    whole = planted(3)
    files = whole.files[:count]
    for place in ("planted", "series"):
        (folder / place).mkdir()
        for one in files:
            (folder / place / one.name).write_bytes(one.data)
    names = {one.name for one in files}
    canaries = tuple(one for one in whole.canaries if one.file in names)
    return Given(Corpus(files, canaries), folder / "planted", folder / "series", 1)


def test_who_changes_nothing_leaks_everything_and_breaks_nothing_but_keeps_uids(tmp_path):
    given = few(tmp_path)
    row = measure(COPY, given, tmp_path / "work")
    assert (row.written, row.refused, row.leaks) == (6, 0, len(given.corpus.canaries))
    broken = row.breaks
    assert broken.kept == 4 * 6
    assert (broken.inconsistent, broken.dangling, broken.dates, broken.errors or 0) == (0, 0, 0, 0)


def test_ours_leaks_and_breaks_nothing(tmp_path):
    row = measure(ours(), few(tmp_path), tmp_path / "work")
    assert (row.written, row.refused, row.leaks) == (6, 0, 0)
    assert (row.breaks.kept, row.breaks.inconsistent, row.breaks.invalid) == (0, 0, 0)
    assert (row.breaks.dangling, row.breaks.dates) == (0, 0)


def test_the_table_has_a_line_for_each_and_times_against_the_first():
    timed = (("a", 2.0, 100), ("b", 9.0, 100), ("c", 0.1, 3))
    rows = [Row(name, "1", 9, 1, 0, Breaks(), 1.0, seconds, 100, count) for name, seconds, count in timed]
    head, first, other, stopped = table(rows, 10).splitlines()
    assert head.startswith("tool")
    assert first.endswith("50")
    assert other.endswith("4.5 times as fast")
    assert stopped.endswith("stopped")


@pytest.mark.slow
def test_the_command_prints_the_table_and_writes_the_figures(tmp_path, capsys):
    main(["--ours", "--runs", "1", "--images", "1", "--json", str(tmp_path / "figures.json")])
    assert "dgis deid" in capsys.readouterr().out
    (tool,) = json.loads((tmp_path / "figures.json").read_text())["tools"]
    assert (tool["tool"], tool["leaks"], tool["series_instances"]) == ("dgis deid", 0, 3)
