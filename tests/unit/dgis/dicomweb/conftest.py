import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import httpx
import pydicom
import pytest

from catalog.audit import trail
from catalog.credentials.values import Verified
from catalog.release import Releases
from catalog.tables import DEID, PHI
from dgis.dicomweb.door import WebDoor
from dgis.dicomweb.feeding import Threads
from dgis.dicomweb.images import Images
from dgis.dicomweb.pages import Pages
from dgis.dicomweb.routes import routes
from dgis.keyholder.client import KeyholderClient
from dgis.keyholder.server import KeyholderServer
from dgis.trail.recorder import Recorder
from dgis.transcode.transcoder import GatewayTranscoder
from dgis.web.application import application
from dgis.web.limits import Limits
from dgis.web.problems import Problem
from tests.gateway import wait_until
from tests.unit.dgis.site import CLEARED, UNCLEARED, Site, phantom

CALLERS = {each.name: each for each in (CLEARED, UNCLEARED)}


class KnownByName:
    """Stands for `Logins`: whoever says one of these names in Authorization is it."""

    def __init__(self):
        self.callers = dict(CALLERS)

    async def admit(self, request):
        caller = self.callers.get(request.headers.get("authorization", ""))
        if caller is None:
            raise Problem(401, "no_credential", "say who you are")
        return Verified(caller.name, caller.assertions, caller.may)


@dataclass
class Web:
    """The DICOMweb door of a site, asked without a socket."""

    site: object
    door: WebDoor
    recorder: Recorder
    application: object
    logins: KnownByName

    def get(self, path, caller=UNCLEARED, accept=None, **options):
        headers = {"Authorization": caller.name if caller else "", **options.pop("headers", {})}
        if accept is not None:
            headers["Accept"] = accept

        url = httpx.Request("GET", f"http://gateway/dicom-web{path}", headers=headers, **options)
        if accept is None:
            url.headers.pop("accept", None)
        scope = {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "path": url.url.path,
            "raw_path": url.url.raw_path,
            "query_string": url.url.query,
            "headers": [(name.lower(), value) for name, value in url.headers.raw],
            "server": ("gateway", 80),
            "client": ("127.0.0.1", 5),
            "root_path": "",
            "state": {},
        }
        messages = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            messages.append(message)

        asyncio.run(self.application(scope, receive, send))
        start, *body = messages
        content = b"".join(bytes(message.get("body", b"")) for message in body)
        answer = httpx.Response(start["status"], headers=start["headers"], content=content, request=url)
        answer.complete = not body[-1].get("more_body", False)
        return answer

    def recorded(self, event):
        """What the trail holds of an event, as soon as it holds any."""
        return wait_until(lambda: self.in_trail(event), 60, f"{event} is recorded")

    def in_trail(self, event):
        self.recorder.write()
        with self.site.engine.connect() as connection:
            kept = [entry.happening for entry in trail.latest(connection, 100)]
        return [each for each in kept if each.event.value == event]

    def paths(self, caller):
        """The path of every instance, as this caller knows it."""
        family = PHI if caller is CLEARED else DEID
        with self.site.engine.connect() as connection:
            joined = family.instance.join(family.series, family.series.c.id == family.instance.c.series_row)
            joined = joined.join(family.study, family.study.c.id == family.series.c.study_row)
            rows = connection.execute(
                family.instance.select()
                .with_only_columns(
                    family.study.c.study_instance_uid,
                    family.series.c.series_instance_uid,
                    family.instance.c.sop_instance_uid,
                )
                .select_from(joined)
                .order_by(family.instance.c.instance_number)
            ).all()
        return [f"/studies/{study}/series/{series}/instances/{uid}" for study, series, uid in rows]


def parts(answer):
    """(content type, body) of every part of a multipart answer."""
    boundary = answer.headers["content-type"].rpartition("boundary=")[2].encode()
    assert answer.content.endswith(b"\r\n--" + boundary + b"--\r\n")
    found = []
    for part in answer.content.split(b"--" + boundary)[1:-1]:
        fields, _, body = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        found.append((fields.decode(), body.removesuffix(b"\r\n")))
    return found


def dataset(file):
    """The data set of a DICOM file, without preamble and file meta."""
    stream = BytesIO(file)
    pydicom.filereader.read_preamble(stream, force=False)
    pydicom.filereader._read_file_meta_info(stream)
    return stream.read()


@contextmanager
def opened(site):
    """The DICOMweb door of a site, and a worker that opens seals."""
    server = KeyholderServer(site.home / "k", site.restorer, site.pseudonymise)
    server.start()
    recorder = Recorder(site.engine, "test/web", site.clock)
    images = Images(
        Releases(site.engine, "test/web", site.clock),
        site.retriever(KeyholderClient(site.home / "k")),
        site.shelf,
        site.index,
        GatewayTranscoder(folder=site.home),
        recorder,
    )
    threads, logins = Threads(4), KnownByName()
    door = WebDoor(images, logins, threads, Pages())
    yield Web(site, door, recorder, application([routes(door)], Limits(), lambda *_refused: None), logins)
    threads.close()
    images.transcoder.close()
    server.stop()


@pytest.fixture
def web(site):
    """Three images of one series, published, in a gateway of their own."""
    site.publish(phantom(3))
    with opened(site) as web:
        yield web


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The same, for tests of one module that change nothing."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.publish(phantom(3))
    with opened(site) as web:
        yield web
    site.close()
