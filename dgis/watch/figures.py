"""What a process counts of itself, for `/metrics`; docs/operations.md, Metrics, lists the names.

No label holds what a peer or a data set said: each has a short list of values; what is not on it is "other".
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

# A sample more for each counter, that nobody here asks for; the library has no types for the call.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)  # processor, memory, descriptors

OTHER = "other"
_SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
_NODE_SECONDS = (0.005, 0.05, 0.5, 5.0, 30.0)

INSTANCES = Counter(
    "dgis_instances_answered",
    "C-STORE requests answered, by status (0x0000: kept)",
    ["status"],
    registry=REGISTRY,
)
RECEIVED_BYTES = Counter("dgis_received_bytes", "Bytes of data sets that were kept", registry=REGISTRY)
ASSOCIATIONS = Gauge("dgis_associations", "Associations that stand now", registry=REGISTRY)
OPENED = Counter("dgis_associations_opened", "Associations that were accepted", registry=REGISTRY)
REFUSED = Counter(
    "dgis_associations_refused",
    "Associations that were rejected, by the reason of PS3.8",
    ["reason"],
    registry=REGISTRY,
)
ENDED = Counter("dgis_associations_ended", "Connections that ended, by how", ["how"], registry=REGISTRY)
QUERIES = Counter("dgis_queries", "C-FIND requests answered, by final status", ["status"], registry=REGISTRY)
RETRIEVES = Counter(
    "dgis_retrieves", "C-GET and C-MOVE requests answered, by final status", ["status"], registry=REGISTRY
)
REQUESTS_REFUSED = Counter(
    "dgis_requests_refused", "Other requests that were refused, by status", ["status"], registry=REGISTRY
)
ATTEMPTS = Counter(
    "dgis_publish_attempts",
    "Attempts to publish a part of a series, by what came of them",
    ["outcome"],
    registry=REGISTRY,
)
MERGES = Counter(
    "dgis_merges",
    "Attempts to merge small parts of a series, by what came of them",
    ["outcome"],
    registry=REGISTRY,
)
STEP_SECONDS = Histogram(
    "dgis_step_seconds",
    "What operations and steps of publishing took",
    ["step"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
NODE_SECONDS = Histogram(
    "dgis_node_call_seconds",
    "What calls of storage nodes took, failed ones too",
    ["node", "kind", "call"],
    buckets=_NODE_SECONDS,
    registry=REGISTRY,
)
NODE_ERRORS = Counter(
    "dgis_node_errors",
    "Calls of storage nodes that failed, by error",
    ["node", "kind", "error"],
    registry=REGISTRY,
)
