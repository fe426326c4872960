"""From the configuration to who is told of series that became retrievable."""

from dgis.availability.telling import Listener
from dgis.commitment.opening import known_destinations
from dgis.configuration import Configuration


def listeners(configuration: Configuration) -> dict[str, Listener]:
    """Return the destinations that want to be told, by AE title."""
    known, said = known_destinations(configuration), configuration.dicom.destinations
    return {
        title: Listener(known[title], where.notify_deidentified)
        for title, where in said.items()
        if where.notify or where.notify_deidentified
    }
