import subprocess
import sys

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from dgis.watch import tracing
from dgis.watch.configuration import Traces
from dgis.watch.exporting import OpenTelemetry
from dgis.watch.steps import Step, timed
from tests.unit.dgis.site import phantom

SECRET = "DOE^JANE"


@pytest.fixture
def spans():
    """What is exported, in memory."""
    kept = InMemorySpanExporter()
    tracing.use(OpenTelemetry(SimpleSpanProcessor(kept), 1.0, "gateway-1", "worker"))
    yield kept.get_finished_spans
    tracing.end(1)


def test_a_published_part_is_one_trace_of_its_steps(spans, site):
    site.publish(phantom(3))
    by_name = {span.name: span for span in spans()}
    assert set(by_name) == {"publish", "pack", "place", "commit"}
    whole = by_name["publish"]
    assert whole.parent is None
    for step in ("pack", "place", "commit"):
        assert by_name[step].parent.span_id == whole.context.span_id
    assert not any(span.attributes or span.events for span in spans())


def test_a_failure_leaves_its_type_and_no_word(spans):
    with pytest.raises(ValueError, match="cannot read"), tracing.span("association"), timed(Step.FIND):
        raise ValueError(f"cannot read {SECRET}")
    assert [(span.name, dict(span.attributes)) for span in spans()] == [
        ("find", {"error.type": "ValueError"}),
        ("association", {"error.type": "ValueError"}),
    ]
    for span in spans():
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description is None
        assert not span.events
        assert SECRET not in span.to_json()


def test_the_resource_holds_what_is_ours_alone(spans, monkeypatch):
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", f"patient={SECRET}")
    with tracing.span("association"):
        pass
    (span,) = spans()
    assert set(span.resource.attributes) == {
        "service.name",
        "service.version",
        "service.instance.id",
        "dgis.role",
    }


def test_what_is_not_sampled_is_not_exported():
    kept = InMemorySpanExporter()
    tracing.use(OpenTelemetry(SimpleSpanProcessor(kept), 0.0, "gateway-1", "dicom"))
    with tracing.span("association"), timed(Step.FIND):
        pass
    tracing.end(1)
    assert not kept.get_finished_spans()


def test_after_the_end_there_are_no_spans(spans):
    tracing.end(1)
    with tracing.span("association"):
        pass
    assert not spans()


def test_without_an_endpoint_there_is_nothing():
    tracing.begin(Traces(), "gateway-1", "dicom")
    assert tracing._exporter is None


def test_where_it_is_not_installed_the_gateway_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "dgis.watch.exporting", None)
    with pytest.raises(tracing.TracesError, match=r"dgis\[traces\]"):
        tracing.begin(Traces(endpoint="http://127.0.0.1:1/v1/traces"), "gateway-1", "dicom")


@pytest.mark.parametrize("module", ["dgis.roles.dicom", "dgis.roles.worker", "dgis.roles.web"])
def test_a_role_without_traces_loads_neither_sdk_nor_exporter(module):
    script = (
        f"import sys, {module}\n"
        "unwanted = ('opentelemetry.sdk', 'opentelemetry.exporter')\n"
        "print([name for name in sys.modules if name.startswith(unwanted)])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
