"""What `/api` answers with; the commands print the same with `--json`. Times are epoch milliseconds."""

from typing import Any

from pydantic import BaseModel, Field

Numbers = dict[str, int]


class Copies(BaseModel):
    """How the copies on the nodes stand; names of nodes and words are for administrators."""

    kinds: dict[str, dict[str, int | None]]
    available: int
    nodes: dict[str, Numbers] | None = None
    words: list[str] | None = None


class Status(BaseModel):
    """`dgis status`. What is null is for who administers the grid."""

    catalog: Numbers
    cache: Numbers
    parts: Numbers
    copies: Copies
    scrub: dict[str, int | bool | None]
    door: dict[str, Numbers] | None = None
    erasures: Numbers | None = None
    merges: dict[str, int | None] | None = None
    commitments: dict[str, dict[str, int | None]] | None = None
    audit_repository: dict[str, Any] | None = None
    withheld: Numbers | None = None
    waiting: list[dict[str, Any]] | None = None
    gateways: list[dict[str, Any]] | None = None
    facilities: dict[str, dict[str, Any]] | None = None
    holds: int | None = None


class SeriesState(BaseModel):
    """A series on its way into the grid, by pseudonym."""

    series: str
    modality: str
    instances: int
    state: str
    pending: int = Field(description="instances that are in no published part yet")
    parts: int
    parts_published: int
    withheld: int = Field(description="instances that are sealed whole")
    last_error: str | None = Field(description="in words")
    last_received_ms: int


class SeriesPage(BaseModel):
    """Some series, newest first; `next` asks for those after them, null: there are none."""

    items: list[SeriesState]
    next: str | None = None


class OneSeries(SeriesState):
    """A series with what the options removed from it, and the keys of its records."""

    removed: list[str]
    records: list[str]
    merge: dict[str, Any] | None = Field(description="the merge of its small parts, where one is due")


class NodeState(BaseModel):
    """A storage node: what was decided about it, how it does in words, and the copies on it by state."""

    name: str
    kind: str
    site: str
    state: str
    answers: bool
    health: str
    bytes: int
    capacity_bytes: int | None
    copies: Numbers
    dark: int = Field(description="objects that lie there and are not in the index")


class Copy(BaseModel):
    """One copy on one node."""

    node: str
    state: str
    verified_ms: int | None
    attempts: int
    last_error: str | None


class StoredObject(BaseModel):
    """A record or a sealed companion, and where it lies."""

    name: str
    kind: str
    size_bytes: int
    sha256: str | None = Field(description="of records; digests of what is sealed are not told")
    committed_ms: int | None
    superseded_ms: int | None
    copies: list[Copy]


class GrantDocument(BaseModel):
    """A rule: who may what with what, until when, by whom, why."""

    id: int
    state: str
    effect: str
    who: dict[str, str]
    what: dict[str, str | int | bool]
    may: list[str]
    from_ms: int
    until_ms: int | None
    by: str
    reason: str


class AuditEntry(BaseModel):
    """One entry of the trail."""

    writer: str
    number: int
    at_ms: int
    event: str
    caller: str
    outcome: str
    address: str
    count: int
    patients: list[str]
    detail: dict[str, Any]


class AuditPage(BaseModel):
    """Some entries, newest first; `next` asks for those before them, null: there are none."""

    items: list[AuditEntry]
    next: str | None = None


class AuditFinding(BaseModel):
    """One fault, at the entry where it shows."""

    fault: str
    writer: str
    number: int


class AuditVerified(BaseModel):
    """What verifying looked at; all is well where `findings` is empty and `forged` is 0.

    `forged` counts what lies in the place of signed heads and was not signed with the site's key;
    `unreachable` are nodes whose heads were not compared.
    """

    entries: int
    writers: int
    heads: int
    forged: int
    findings: list[AuditFinding]
    unreachable: list[str]
