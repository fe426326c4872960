"""Letting the bytes of a conflict take an instance's place, as the cache asks for it."""

import sqlalchemy as sa

from catalog.contributors import PublisherGrant
from catalog.remove import remove_instance
from dgis.cache.conflicts import Replace
from dgis.cache.outcomes import Arrival, Outcome, Unreadable
from dgis.configuration import Configuration
from dgis.departed import notes
from dgis.departed.values import Why
from dgis.ingest import ingester
from dgis.keyholder.pseudonyms import pseudonymiser
from dgis.parts import now_ms, open_pseudonyms
from dgis.publisher.tables import publish_part_instance


def replacer(configuration: Configuration) -> Replace:
    """Return what takes an arrival in as the instance in the stead of another.

    Run by an operator on the gateway's host, with the site secret at hand.
    """
    names = pseudonymiser(open_pseudonyms(configuration))
    grant = PublisherGrant(fields=configuration.publish.grant_by)
    ingest = ingester(configuration.gateway.facility, lambda of: [names(each) for each in of], grant)

    def replace(connection: sa.Connection, arrival: Arrival, instead_of: int | None) -> Outcome:
        if instead_of is not None:
            on_its_way = sa.select(publish_part_instance.c.part_id).where(
                publish_part_instance.c.phi_instance_id == instead_of
            )
            if connection.execute(on_its_way).first() is not None:
                return Unreadable("the instance is being published just now; try again after dgis wait")
            notes.add_instances(connection, [instead_of], Why.REPLACED, now_ms())
            remove_instance(connection, instead_of)
        return ingest(connection, [arrival])[0]

    return replace
