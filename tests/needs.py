"""What a test cannot do without: where it is missing the test is skipped, and in CI it fails."""

import os
import shutil
from typing import NoReturn

import pytest


def lacking(reason: str) -> NoReturn:
    """Skip the test with a reason that says how to bring what is missing; in CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def require(programs: str | tuple[str, ...], packages: str) -> None:
    """See that programs are on the path; `packages` are those that `make engines` installs for them."""
    for program in (programs,) if isinstance(programs, str) else programs:
        if shutil.which(program) is None:
            lacking(_words(program, packages))


def needs(program: str, packages: str) -> pytest.MarkDecorator:
    """Mark what `require` would be asked for; in CI such tests are run, and fail without the program."""
    skipped = os.environ.get("CI") != "true" and shutil.which(program) is None
    return pytest.mark.skipif(skipped, reason=_words(program, packages))


def _words(program: str, packages: str) -> str:
    return f"no {program}: `make engines` installs {packages} (Debian, root)"
