"""The README's lines of Python, run as they stand, and what they need of this project: `deid` alone."""

import subprocess
import sys

from deid.keys.files import create_secrets
from dgis.demo.files import write_files
from tests.tools.markdown import README, python_blocks
from tests.unit.deid.files.site import contents

ONLY_DEID = """
import sys

loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"dgis", "catalog", "replica", "storage_nodes", "sqlalchemy"}, loaded
"""


def test_the_library_does_what_the_readme_says(tmp_path):
    files = write_files(tmp_path / "var" / "phantoms", images=2)
    create_secrets(tmp_path / "var" / "deid-secret")
    script = "".join((*python_blocks(README), ONLY_DEID))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(1048592, 'D'): 1") == files, "PatientName of every file is replaced"
    assert "DEMO-" not in done.stdout
    assert f"{files} {{}}" in done.stdout, "all are restored, none failed"
    assert contents(tmp_path / "var" / "library" / "originals") == contents(tmp_path / "var" / "phantoms")
