"""Where real DICOM files for the tests lie, and what to do where they do not."""

import os
from pathlib import Path

from tests.needs import lacking

_BESIDE_THE_PROJECT = Path(__file__).resolve().parents[1] / ".." / "shared" / "dicom"


def corpus_root() -> Path | None:
    """Return the folder that holds `series/`, `odd/` and `malformed/`, or None where there is none."""
    root = Path(os.environ.get("DGIS_TEST_CORPUS", _BESIDE_THE_PROJECT)).resolve()
    return root if (root / "MANIFEST.tsv").is_file() else None


def require_corpus() -> Path:
    """Return the corpus, or skip the test; in CI its absence is a failure, never a skip."""
    root = corpus_root()
    if root is None:
        lacking("no DICOM corpus: set DGIS_TEST_CORPUS to a folder with MANIFEST.tsv, series/ and odd/")
    return root


def corpus_files(*folders: str, exclude_dicomdir: bool = True) -> list[Path]:
    """List the files under the named corpus folders in path order; [] where there is no corpus.

    Usable at collection time, for parametrisation.
    """
    root = corpus_root()
    if root is None:
        return []
    found = (path for folder in folders for path in sorted((root / folder).rglob("*")) if path.is_file())
    return [path for path in found if not (exclude_dicomdir and path.name.upper().startswith("DICOMDIR"))]
