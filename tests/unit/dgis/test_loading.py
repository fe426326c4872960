import json
import subprocess
import sys

import pytest

# In the order in which the supervisor loads them. Measured on Python 3.11 with what the tests need installed:
# 473, 1,393, 1,835 and 1,906 modules; each costs memory in every gateway and processor time at every start.
BUDGET = {"serve": 520, "dicom": 1530, "web": 2020, "worker": 2100}
# Large, and not needed before somebody's node, database, codec, ticket or assertion asks for it.
LATER = ("alembic", "boto3", "botocore", "gssapi", "psycopg", "pynetdicom", "signxml")
STAGES = f"""
import json, sys
from dgis.cli import serve
stages = {{"serve": [*sys.modules]}}
for role in ("dicom", "web", "worker"):
    serve._runner(role)
    stages[role] = [*sys.modules]
later = {LATER!r}
print(json.dumps({{stage: [len(names), sorted({{*later}} & {{*names}})] for stage, names in stages.items()}}))
"""


@pytest.fixture(scope="module")
def loaded():
    """How many modules there are after each stage, and which of those that are not wanted."""
    done = subprocess.run([sys.executable, "-c", STAGES], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("stage", BUDGET)
def test_no_more_is_loaded_than_is_allowed_for(loaded, stage):
    count, _ = loaded[stage]
    assert count <= BUDGET[stage]


@pytest.mark.parametrize("stage", BUDGET)
def test_what_is_large_and_seldom_needed_is_not_loaded_at_the_start(loaded, stage):
    _, unwanted = loaded[stage]
    assert unwanted == []


def test_the_supervisor_loads_no_role_before_it_starts_one(loaded):
    assert loaded["serve"][0] < loaded["dicom"][0] / 2
