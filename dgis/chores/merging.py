"""The chore of the worker that merges small parts, at no more than so many bytes a second."""

import os
import uuid
from collections.abc import Callable

from deid.keys.store import KeyStore
from deid.pseudonyms import SiteSecrets
from dgis.configuration import Configuration
from dgis.merger.merger import Means, Merger
from dgis.merger.values import Rule
from dgis.parts import now_ms, scratch
from dgis.publisher.about import Contributions
from dgis.retriever.records import Shelf
from dgis.worker import Chore
from replica.allowance import Allowance
from replica.context import Replicas

_MERGE_SECONDS = 5.0


def merge_rule(configuration: Configuration) -> Rule:
    """Return when parts are merged, by the configuration."""
    care, publish = configuration.care, configuration.publish
    quiet_ms = round(care.merge_quiet_seconds * 1000)
    return Rule(care.merge_parts, care.merge_below_bytes, publish.part_bytes, quiet_ms)


def merging(
    configuration: Configuration, replicas: Replicas, shelf: Shelf, site: SiteSecrets, keys: KeyStore
) -> list[Chore]:
    """Return the chore, where parts are merged at all."""
    rule, name = merge_rule(configuration), configuration.gateway.name
    if not rule.parts:
        return []
    means = Means(
        replicas,
        shelf,
        keys,
        Contributions(site),
        name,
        now_ms,
        rule,
        configuration.publish.lease_seconds * 1000,
        scratch(configuration),
    )
    merger = Merger(means, f"{name}/{os.getpid()}/{uuid.uuid4().hex[:8]}")
    allowance = Allowance(configuration.care.merge_bytes_per_second, now_ms)
    return [Chore("merge", _MERGE_SECONDS, _paced(merger, allowance))]


def _paced(merger: Merger, allowance: Allowance) -> Callable[[], bool]:
    def run_once() -> bool:
        if not allowance.ready():
            return False
        more = merger.run_once()
        allowance.spend(merger.moved_bytes)
        return more

    return run_once
