"""What to propose to a receiver, and over which context an instance then goes; pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from dgis.dimse.proposal import AgreedContext
from dgis.dimse.requestor import MOST_CONTEXTS, Proposal
from dgis.dimse.services import Outgoing, Transcoder


def batches(
    instances: Sequence[Outgoing], transcoder: Transcoder
) -> Iterator[tuple[tuple[Proposal, ...], Sequence[Outgoing]]]:
    """Cut instances, their order kept, into runs whose presentation contexts fit one association.

    Every (class, transfer syntax) at hand gets a context of its own, so that what is accepted is known one
    by one; every class for which conversions exist gets one more with all of them, the best first.
    """
    needs = _Needs(transcoder)
    proposals: dict[Proposal, None] = {}
    start = 0
    for place, instance in enumerate(instances):
        more = [need for need in needs.of(instance) if need not in proposals]
        if len(proposals) + len(more) > MOST_CONTEXTS:
            yield tuple(proposals), instances[start:place]
            proposals, start, more = {}, place, list(needs.of(instance))
        proposals.update(dict.fromkeys(more))
    if start < len(instances):
        yield tuple(proposals), instances[start:]


def choose(
    contexts: Mapping[int, AgreedContext], sop_class_uid: str, syntaxes: Iterable[str]
) -> AgreedContext | None:
    """Return the context of a class over which we may send, in the first of the syntaxes that has one."""
    accepted: dict[str, AgreedContext] = {}
    for context in contexts.values():
        if context.abstract_syntax == sop_class_uid and context.as_scu:
            accepted.setdefault(context.transfer_syntax, context)
    return next((accepted[syntax] for syntax in syntaxes if syntax in accepted), None)


class _Needs:
    """The contexts that one instance asks for; asked of the transcoder once per class and syntax."""

    def __init__(self, transcoder: Transcoder) -> None:
        self._transcoder = transcoder
        self._known: dict[tuple[str, str], tuple[Proposal, ...]] = {}

    def of(self, instance: Outgoing) -> tuple[Proposal, ...]:
        pair = (instance.sop_class_uid, instance.transfer_syntax)
        if pair not in self._known:
            targets = tuple(self._transcoder.targets(*pair))
            converted = (Proposal(pair[0], targets),) if targets else ()
            self._known[pair] = (Proposal(pair[0], (pair[1],)), *converted)
        return self._known[pair]
