import pytest
from pydicom import config

from tests.corpus import corpus_files
from tests.dcmtk import require_dcmtk
from tests.gateway import Gateway
from tests.tools.corpus_run import CorpusRun, send, send_as_they_are
from tests.tools.planted import planted
from tests.tools.receiver import Receiver
from tests.tools.tap import Tap


@pytest.fixture(scope="session", params=[1, 4], ids=["storescu", "four-dcmsend"])
def corpus_run(request, corpus, tmp_path_factory):
    """The corpus sent, published and evicted; then one node of three is taken away."""
    require_dcmtk()
    paths = [*corpus_files("series"), *corpus_files("odd")]
    with (
        Receiver("HOSPITAL_WS") as hospital,
        Receiver("RESEARCH_WS") as research,
        Gateway(destinations={"HOSPITAL_WS": hospital.port, "RESEARCH_WS": research.port}) as gateway,
        Tap(gateway.address) as tap,
    ):
        send(tap, paths, request.param, tmp_path_factory.mktemp("dcmtk"))
        plants = planted()
        send_as_they_are(tap.address, [plant.file for plant in plants])
        gateway.wait_published()
        status = gateway.json("status")
        gateway.cli("cache", "evict", "--all")
        gateway.take_away("a")
        yield CorpusRun(gateway, tap.journal, paths, hospital, research, plants, status)


@pytest.fixture
def values_as_they_are():
    """Let pydicom read real files' values without an opinion on them."""
    with config.disable_value_validation():
        yield
