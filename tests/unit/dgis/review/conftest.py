from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest

from deid.engine import Deidentifier
from deid.profile import Profile
from deid.pseudonyms import SiteSecrets
from dgis.decoding import SpooledDecoder
from dgis.keyholder.protocol import RestoreRequest
from dgis.review.review import Reviewer, decide, decide_series, queue
from dgis.review.values import Ruling, State
from dgis.transcode.transcoder import GatewayTranscoder
from storage_nodes.names import RecordKey
from tests.tools.files import parse
from tests.unit.dgis.site import CLEARED, FACILITY, PART_BYTES, SECRET, UNCLEARED

EVERY = tuple(State)


class Desk:
    """A site and its reviewer."""

    def __init__(self, site, transcoder):
        self.site = site
        decode = SpooledDecoder(transcoder, None)
        own = Deidentifier(Profile(), SiteSecrets(SECRET), FACILITY, None, decode)
        site.packer = replace(site.packer, deidentifier=own)

    def queue(self, states=(State.WAITING,)):
        with self.site.engine.connect() as connection:
            return queue(connection, states)

    def keys(self):
        return [item.instance for item in self.queue(EVERY)]

    def say(self, keys, choice, *rectangles, frames=(), by="Dr. Review", series=None):
        ruling = Ruling(choice, rectangles, frames)
        reviewer = Reviewer(by, self.site.clock(), self.site.name, PART_BYTES)
        with self.site.engine.begin() as connection:
            if series is not None:
                return decide_series(connection, series, ruling, reviewer)
            return decide(connection, keys, ruling, reviewer)

    def carry_out(self):
        publisher = self.site.publisher()
        while publisher.run_once():
            pass

    def released(self):
        """What an uncleared caller gets: the parsed data sets, read from the nodes."""
        found = []
        for ref in self.site.refs(UNCLEARED):
            record = self.site.shelf.record(RecordKey(ref.record_key))
            found.append(parse(b"".join(record.dataset(ref.position)), ref.transfer_syntax))
        return found

    def originals(self):
        """What a cleared caller gets once the cache is empty, by SOP Instance UID."""
        self.site.evict()
        found = {}
        for key, run in groupby(self.site.refs(CLEARED), key=lambda ref: ref.record_key):
            refs = list(run)
            request = RestoreRequest(RecordKey(key), tuple(ref.position for ref in refs))
            answers = self.site.restorer(request)
            for ref, answer in zip(refs, answers, strict=True):
                found[ref.sop_instance_uid] = b"".join(answer.chunks)
        return found


def cells(dataset):
    """The native pixels of a released form, of shape (frames, rows, columns[, samples])."""
    shape = [int(dataset.get("NumberOfFrames") or 1), dataset.Rows, dataset.Columns]
    if dataset.SamplesPerPixel > 1:
        shape.append(dataset.SamplesPerPixel)
    return np.frombuffer(dataset.PixelData, np.uint8)[: np.prod(shape)].reshape(shape)


@pytest.fixture(scope="session")
def transcoder():
    """One decoding process for all of the session's tests."""
    made = GatewayTranscoder(decoders=1)
    yield made
    made.close()


@pytest.fixture
def desk(site, transcoder):
    """A reviewer at a whole gateway."""
    return Desk(site, transcoder)
