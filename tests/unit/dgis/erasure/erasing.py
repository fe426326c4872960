"""Asking a `Site` for an erasure, and letting it do its rounds."""

import sqlalchemy as sa

from catalog.tables import PHI
from dgis.erasure import intents
from dgis.erasure.eraser import Eraser, Means
from dgis.erasure.subject import subject
from dgis.erasure.tables import erasure, erasure_gateway

OTHERS = {"door_count", "alembic_version"}


def means(site, **changes):
    given = {
        "engine": site.engine,
        "keys": site.keys,
        "names": site.pseudonymise,
        "files": site.log.files,
        "gateway_id": site.name,
        "clock_ms": site.clock,
    }
    return Means(**(given | changes))


def patient_key(site, image):
    """The catalog's key of the patient of an image that is there."""
    instance, series = PHI.instance.c, PHI.series.c
    query = (
        sa.select(series.patient_key)
        .join(PHI.instance, instance.series_row == series.id)
        .where(instance.sop_instance_uid == image.sop_instance_uid)
    )
    with site.engine.connect() as connection:
        return connection.execute(query).scalar_one()


def ask(site, key):
    with site.engine.begin() as connection:
        who = subject(connection, site.keys, key)
        return intents.ask(connection, key, who.key_name, "a test", site.clock())


def rounds(site, most=8, **changes):
    """Let the gateway do its share: what its door does in between is done here."""
    eraser = Eraser(means(site, **changes))
    last = eraser.run_once()
    for _ in range(most):
        if last.done or not last.waiting:
            return last
        with site.engine.connect() as connection:
            until_ms = intents.retire_until_ms(connection, site.name)
        if until_ms is not None:
            site.log.retire(until_ms)
        site.index_all()
        last = eraser.run_once()
    return last


def shred(site, key):
    asked = ask(site, key)
    assert rounds(site).done == 1
    with site.engine.connect() as connection:
        return intents.of_key(connection, asked.key_name)


def finished(site):
    return [row.gateway_id for row in site.rows(erasure_gateway) if row.done_ms is not None]


def erasures(site):
    return site.rows(erasure)


def cache_bytes(site):
    """All that lies in files of the cache."""
    return b"".join(
        path.read_bytes() for path in sorted((site.home / site.name).rglob("*")) if path.is_file()
    )
