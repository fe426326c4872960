"""Spans of a whole gateway, as a collector gets them over OTLP/HTTP: steps, and nothing that identifies."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from dgis.demo import kinds, phantoms
from dgis.demo.people import PEOPLE
from tests.canary import Hunt
from tests.gateway import Gateway, wait_until
from tests.tools import wire
from tests.tools.client import Client
from tests.tools.fetching import HOSPITAL, get_everything

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("gateway-traces")]


class Collector(ThreadingHTTPServer):
    """Takes spans on a free port and keeps what came, as it came and as it reads."""

    def __init__(self):
        self.bodies = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                packed = self.headers.get("Content-Encoding") == "gzip"
                collector.bodies.append(gzip.decompress(body) if packed else body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_args):
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def spans(self):
        requests = [ExportTraceServiceRequest.FromString(body) for body in list(self.bodies)]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector():
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_associations_operations_and_steps_are_told_and_nobody_is_named(collector):
    instances = list(phantoms.series(kinds.CT, PEOPLE[0], 3))
    pair = (kinds.CT.sop_class_uid, wire.EXPLICIT)
    endpoint = f"http://127.0.0.1:{collector.server_port}/v1/traces"
    with Gateway({"DGIS__TRACES__ENDPOINT": endpoint}) as gateway:
        with Client(gateway.address, HOSPITAL, [(pair[0], [pair[1]])]) as client:
            for one in instances:
                assert (
                    client.store(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax, one.dataset)
                    == 0
                )
        gateway.wait_published()
        assert len(get_everything(gateway.address, HOSPITAL, [pair])) == len(instances)
        assert gateway.stop() == 0  # what is left is sent at the end
    wanted = {"association", "store", "keep", "find", "get", "publish", "pack", "place", "commit"}
    wait_until(lambda: wanted <= {span.name for span in collector.spans}, 10, "every kind of span has come")
    assert {span.name for span in collector.spans} <= wanted | {"move", "verify"}
    by_id = {span.span_id: span.name for span in collector.spans}
    above = {(span.name, by_id.get(span.parent_span_id)) for span in collector.spans}
    assert {("store", "association"), ("keep", "store"), ("pack", "publish"), ("publish", None)} <= above
    assert not [span for span in collector.spans if span.attributes or span.events]
    person = PEOPLE[0]
    texts = [person.name, person.patient_id, person.birth_date, person.accession_number, person.study_date]
    hunt = Hunt([*texts, HOSPITAL, *(one.sop_instance_uid for one in instances)])
    assert not hunt.find(b"".join(collector.bodies))


def test_a_collector_that_is_away_holds_nothing_up():
    with Gateway({"DGIS__TRACES__ENDPOINT": "http://127.0.0.1:9/v1/traces"}) as gateway:
        with Client(gateway.address, HOSPITAL, [(kinds.CT.sop_class_uid, [wire.EXPLICIT])]) as client:
            for one in phantoms.series(kinds.CT, PEOPLE[0], 2):
                assert (
                    client.store(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax, one.dataset)
                    == 0
                )
        gateway.wait_published()
        assert gateway.stop() == 0
