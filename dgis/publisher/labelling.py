"""By what placement rules choose: the facility and the modality of a part, kept with its objects."""

import re

import sqlalchemy as sa

from catalog.tables import PHI
from dgis.publisher.tables import publish_part
from replica.tables import replica_object

_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")  # PS3.5 6.2, VR CS
_AT_ONCE = 500


def code_of(value: str | None) -> str:
    """Return a modality as rules compare it; what is no code string is nobody's to read, and is left out."""
    return value if value is not None and _CODE.fullmatch(value) else ""


def label(engine: sa.Engine, gateway_id: str, facility: str) -> int:
    """Label objects that were put before rules looked at anything; returns how many it went through.

    Those of this gateway's own parts; another gateway labels its own. What belongs to no part (any more) is
    labelled as of nowhere, so that nothing is looked at twice.
    """
    objects, part, series = replica_object.c, publish_part.c, PHI.series.c
    query = (
        sa.select(objects.id, part.gateway_id, series.modality)
        .select_from(
            replica_object.outerjoin(publish_part, part.record_key == objects.record_key).outerjoin(
                PHI.series, series.id == part.phi_series_id
            )
        )
        .where(objects.facility.is_(None), sa.func.coalesce(part.gateway_id, gateway_id) == gateway_id)
        .order_by(objects.id)
        .limit(_AT_ONCE)
    )
    with engine.begin() as connection:
        rows = connection.execute(query).all()
        for row in rows:
            connection.execute(
                sa.update(replica_object)
                .where(objects.id == row.id, objects.facility.is_(None))
                .values(facility=facility if row.gateway_id else "", modality=code_of(row.modality))
            )
    return len(rows)
