import pytest

from dgis.transcode.limits import Limits
from dgis.transcode.transcoder import GatewayTranscoder


@pytest.fixture(scope="package")
def transcoder():
    made = GatewayTranscoder(Limits(), decoders=1)
    yield made
    made.close()
