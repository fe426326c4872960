"""Finding and fetching whole studies as one caller or the other."""

from collections.abc import Iterable, Sequence

from tests.tools import wire
from tests.tools.client import FIND, GET, MOVE, Client, Outcome, query, query_contexts
from tests.tools.link import Received

HOSPITAL, RESEARCH = "HOSPITAL_1", "RESEARCH_1"

Address = tuple[str, int]
Pairs = Iterable[tuple[str, str]]  # SOP class, transfer syntax


def find(address: Address, calling: str, level: str, root: str = "study", **keys: object) -> Outcome:
    """Ask one question over an association of its own."""
    with Client(address, calling, query_contexts(FIND)) as client:
        return client.find(query(level, **keys), root)


def studies(address: Address, calling: str) -> list[str]:
    """List the Study Instance UIDs that this caller may find."""
    found = find(address, calling, "STUDY", StudyInstanceUID="")
    assert found.status == 0
    return [str(study.StudyInstanceUID) for study in found.identifiers]


def get(address: Address, calling: str, study_uids: Sequence[str], pairs: Pairs) -> list[Outcome]:
    """Fetch studies by C-GET over one association, each instance in the syntax in which it is stored."""
    stored = sorted(set(pairs))
    contexts = [*query_contexts(GET)[1:], *((abstract, [syntax]) for abstract, syntax in stored)]
    classes = sorted({abstract for abstract, _ in stored})
    with Client(address, calling, contexts, provider_of=classes) as client:
        return [client.get(query("STUDY", StudyInstanceUID=uid)) for uid in study_uids]


def get_everything(address: Address, calling: str, pairs: Pairs) -> list[Received]:
    """Fetch all that this caller may find; every transfer must end with success."""
    return whole(get(address, calling, studies(address, calling), pairs))


def move(address: Address, calling: str, study_uids: Sequence[str], destination: str) -> list[Outcome]:
    """Have studies sent to a destination by C-MOVE over one association."""
    with Client(address, calling, query_contexts(MOVE)) as client:
        return [client.move(query("STUDY", StudyInstanceUID=uid), destination) for uid in study_uids]


def whole(outcomes: Sequence[Outcome]) -> list[Received]:
    """Return what came, once it is sure that every transfer ended with success."""
    assert [outcome.status for outcome in outcomes] == [0] * len(outcomes)
    return [one for outcome in outcomes for one in outcome.received]


def with_native_forms(pairs: Pairs) -> list[tuple[str, str]]:
    """Add, for every class, the syntax in which de-identified native images lie."""
    stored = set(pairs)
    return sorted(stored | {(abstract, wire.EXPLICIT) for abstract, _ in stored})
