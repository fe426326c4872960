import os
import subprocess
import sys

from tests.gateway import PROJECT

MEASURES = """
from tests.tools.report import show

def test_measures(request):
    show(request, "apples   3")
    show(request, "pears    4")
"""


def test_what_a_test_measured_is_in_the_output_of_the_run(tmp_path):
    (tmp_path / "conftest.py").write_text("from tests.tools.report import pytest_terminal_summary\n")
    (tmp_path / "test_measuring.py").write_text(MEASURES)
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "1",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            tmp_path,
            tmp_path,
        ],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert "apples   3\npears    4\n" in run.stdout
