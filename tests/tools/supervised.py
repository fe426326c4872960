"""A supervisor over pieces of Python as roles, as JSON: {"folder": ..., "bodies": {"role": "ready()"}, ...}.

Each role says in `folder/ROLE.json` who it is, who loaded it and what it has open. Other keys:
`fail_announcing`, `stop_while_loading` a role, and constants of the supervisor's module.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

from dgis import supervisor  # noqa: E402


def main(spec):
    folder, bodies = Path(spec.pop("folder")), spec.pop("bodies")
    fails, stops = spec.pop("fail_announcing", False), spec.pop("stop_while_loading", "")
    for name, value in spec.items():
        assert hasattr(supervisor, name)
        setattr(supervisor, name, value)
    loaded = {}

    def load(role):
        loaded.setdefault(role, os.getpid())
        if role == stops:
            os.kill(os.getpid(), signal.SIGTERM)

    def announce(_listens):
        if fails:
            raise BrokenPipeError
        (folder / "announced").touch()

    outcome = supervisor.Supervisor(list(bodies), load).run(announce)
    if isinstance(outcome, int):
        return outcome

    def ready():
        told = {"loaded_by": loaded[outcome.role], "open": opened(outcome.ready)}
        supervisor.say_ready(outcome.ready, told, folder, outcome.role)

    exec(bodies[outcome.role], {"ready": ready, "time": time, "signal": signal})
    return 0


def opened(ready):
    """Names of the standard descriptors, "pipe" for the one it is ready on, and what else there may be."""
    with os.scandir("/proc/self/fd") as entries:
        found = {entry.name for entry in entries}
    found = {number for number in found if Path(f"/proc/self/fd/{number}").exists()}
    return sorted("pipe" if number == str(ready) else number for number in found)


sys.exit(main(json.loads(sys.argv[1])))
