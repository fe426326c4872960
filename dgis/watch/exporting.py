"""OpenTelemetry as exporter of spans; imported only where traces are configured."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import StatusCode

from dgis.watch.configuration import Traces

_SEND_SECONDS = 5


def exporter(traces: Traces, gateway: str, role: str) -> "OpenTelemetry":
    """Return what sends spans over OTLP/HTTP in the background; what nobody takes is dropped."""
    ca_file = None if traces.ca_file is None else str(traces.ca_file)
    sending = OTLPSpanExporter(traces.endpoint, timeout=_SEND_SECONDS, certificate_file=ca_file)
    return OpenTelemetry(BatchSpanProcessor(sending), traces.sample_ratio, gateway, role)


class OpenTelemetry:
    """Makes spans; those that are sampled go to the processor."""

    def __init__(self, processor: SpanProcessor, sample_ratio: float, gateway: str, role: str) -> None:
        about = {
            "service.name": "dgis",
            "service.version": version("dgis"),
            "service.instance.id": gateway,
            "dgis.role": role,
        }
        # Not `Resource.create`, which would add what the environment says.
        sampler = ParentBased(TraceIdRatioBased(sample_ratio))
        self._provider = TracerProvider(sampler, Resource(about), shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("dgis")

    @contextmanager
    def start(self, name: str) -> Iterator[None]:
        """Begin a span; an exception marks it with its type: its text may quote a peer."""
        with self._tracer.start_as_current_span(
            name, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_status(StatusCode.ERROR)
                span.set_attribute("error.type", type(error).__name__)
                raise

    def stop(self, seconds: float) -> None:
        """Send what is left, for so long at most: a collector that hangs does not keep the gateway."""
        thread = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        thread.start()
        thread.join(seconds)
