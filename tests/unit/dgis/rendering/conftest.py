import pytest

from dgis.rendering.renderer import Renderer
from dgis.transcode.transcoder import GatewayTranscoder
from tests.unit.dgis.rendering.frames import PATIENT


@pytest.fixture(scope="package")
def renderer():
    made = Renderer(PATIENT, most=1)
    yield made
    made.close()


@pytest.fixture(scope="package")
def transcoder():
    made = GatewayTranscoder(PATIENT, decoders=1)
    yield made
    made.close()
