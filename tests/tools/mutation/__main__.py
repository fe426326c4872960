"""Judge one case again, as a failed test wrote it down: `python -m tests.tools.mutation CASE [FILE]`.

With FILE the mutated file is written there.
"""

import sys
from pathlib import Path

from tests.tools.mutation.cases import Case
from tests.tools.mutation.judge import judge

if __name__ == "__main__":
    case = Case.parse(sys.argv[1])
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_bytes(case.file())
    print(judge(case))  # noqa: T201 - its output
