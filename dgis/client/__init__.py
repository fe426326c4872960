"""For researchers: `import dgis.client as grid`. What is behind a name is loaded when it is asked for."""

from importlib import import_module
from typing import Any

_PLACES = {
    "connect": "dgis.client.grid",
    "Grid": "dgis.client.grid",
    "Selection": "dgis.client.selection",
    "read_cohort": "dgis.client.cohort",
    "Cohort": "dgis.client.cohort",
    "CohortError": "dgis.client.cohort",
    "GridError": "dgis.client.errors",
    "LoginError": "dgis.client.errors",
    "RefusedError": "dgis.client.errors",
    "NotFoundError": "dgis.client.errors",
    "BadQueryError": "dgis.client.errors",
    "UnavailableError": "dgis.client.errors",
    "AnswerError": "dgis.client.errors",
    "IncompleteError": "dgis.client.errors",
    "read_volumes": "dgis.client.volume.reading",
    "Volume": "dgis.client.volume.values",
    "VolumeError": "dgis.client.volume.values",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (each name has its own type)
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(place), name)


def __dir__() -> list[str]:
    return sorted(_PLACES)
