"""From the configuration to what storage commitment works with."""

from dgis.commitment.judging import Patience
from dgis.configuration import Configuration
from dgis.destinations import destination_of
from dgis.dimse.services import Destination

_DAY_MS = 86_400_000


def commitment_patience(configuration: Configuration) -> Patience:
    """Return how long is waited for what."""
    section = configuration.commitment
    return Patience(
        arrival_ms=round(section.unknown_seconds * 1000),
        wait_ms=round(section.wait_days * _DAY_MS),
        report_ms=round(section.report_days * _DAY_MS),
    )


def known_destinations(configuration: Configuration) -> dict[str, Destination]:
    """Return the destinations that are configured, by AE title, each with its own clearance."""
    dicom, issuer = configuration.dicom, configuration.gateway.name
    return {title: destination_of(dicom, title, issuer) for title in dicom.destinations}
