"""A `Site` that merges small parts, and what everybody gets from it."""

import sqlalchemy as sa

from catalog.audit.tables import audit
from catalog.tables import DEID
from deid.pseudonyms import SiteSecrets
from dgis.keyholder.protocol import RestoreRequest
from dgis.merger import queue
from dgis.merger.merger import Means, Merger
from dgis.merger.tables import merge_job
from dgis.merger.values import Rule
from dgis.publisher.about import Contributions
from dgis.publisher.tables import publish_part
from storage_nodes.names import RecordKey
from tests.unit.dgis.site import CLEARED, SECRET, digest, phantom

RULE = Rule(parts=3, below_bytes=1 << 20, most_bytes=1 << 22, quiet_ms=60_000)


def merger(site, *, rule=RULE, shelf=None, owner="merger", replicas=None):
    return Merger(
        Means(
            replicas or site.grid.replicas,
            shelf or site.shelf,
            site.keys,
            Contributions(SiteSecrets(SECRET)),
            site.name,
            site.clock,
            rule,
        ),
        owner,
    )


def consider(site, rule=RULE):
    """What the publisher's commit does for every series."""
    with site.engine.begin() as connection:
        for series in connection.scalars(sa.select(publish_part.c.phi_series_id).distinct()).all():
            queue.consider(connection, series, rule, site.clock())


def in_parts(site, images, count=3):
    """Publish images as so many parts of their series."""
    step = -(-len(images) // count)
    for start in range(0, len(images), step):
        site.publish(images[start : start + step])
        site.clock.pass_seconds(5)
    consider(site)
    return images


def small(site, **more):
    return in_parts(site, phantom(6, **more))


def merge(site, **how):
    """Let the quiet time pass and merge what is due; returns how many rounds did something."""
    site.clock.pass_seconds(120)
    own, rounds = merger(site, **how), 0
    while own.run_once():
        rounds += 1
    return rounds


def records(site):
    return sorted(row.record_key for row in site.rows(publish_part))


def forms(site):
    """De-identified instances as the catalog shows them, whoever may see them: pseudonym to digest."""
    found = {}
    for row in site.rows(DEID.instance):
        record = site.shelf.record(RecordKey(row.record_key))
        found[row.sop_instance_uid] = digest(b"".join(record.dataset(row.position)))
    return found


def originals(site):
    """Originals as a cleared caller gets them from the nodes: UID to bytes."""
    site.evict()
    site.restorer.forget()
    found = {}
    for ref in site.refs(CLEARED):
        (answer,) = site.restorer(RestoreRequest(RecordKey(ref.record_key), (ref.position,)))
        found[ref.sop_instance_uid] = b"".join(answer.chunks)
    return found


def as_sent(images):
    return {image.sop_instance_uid: image.dataset for image in images}


def shown(site):
    """All de-identified rows but where they lie."""
    apart = {"record_key", "position"}
    return sorted(
        (tuple(sorted((name, value) for name, value in row._mapping.items() if name not in apart)))
        for row in site.rows(DEID.instance)
    )


def job(site):
    rows = site.rows(merge_job)
    return rows[0] if rows else None


def trail(site):
    return [row.detail for row in site.rows(audit) if row.event == "publish"]
