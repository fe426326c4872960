"""What of the unpublished originals a gateway's own cache gives out, for the catalog's statements."""

import sqlalchemy as sa

from catalog.reach import Reach
from dgis.cache.publish_queue import State
from dgis.tables import cache_instance, publish_job

_UNPUBLISHED = [state.value for state in State if state is not State.PUBLISHED]
"""Named one by one: the index of the table is by state."""


def reach_of(gateway_id: str) -> Reach:
    """Return the reach of a gateway."""

    def holds(phi_instance_id: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        own = cache_instance.alias()
        return sa.exists().where(own.c.phi_instance_id == phi_instance_id, own.c.gateway_id == gateway_id)

    job = publish_job.alias()
    waits = sa.or_(*(job.c.state == state for state in _UNPUBLISHED))
    elsewhere = sa.exists().where(waits, job.c.gateway_id != gateway_id)
    return Reach(gateway_id, holds, elsewhere)
