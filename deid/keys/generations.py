import re
from collections.abc import Collection, Iterator

from deid.keys.standing import State
from deid.keys.store import KeyStore
from deid.keys.values import KeyShredded, KeysRefused, PatientKey

_MOST = 1000
_LATER = re.compile(r"(?P<patient>.+)-(?P<generation>[2-9]|[1-9][0-9]{1,2})")


def current_key(keys: KeyStore, patient: str) -> PatientKey:
    """Return the key that seals what comes in of a patient now: the first generation that is not destroyed.

    A destroyed name is barred for ever; whoever comes back after an erasure gets a new key under the next
    name, so that new originals can be given back and old ones cannot.

    Raises:
        KeyStoreUnavailable, KeyDamaged: as `KeyStore.get_or_create`.
        KeysRefused: there were more generations than anybody needs.
    """
    for name in _names(patient):
        try:
            return keys.get_or_create(name)
        except KeyShredded:
            continue
    raise KeysRefused("a patient's key was destroyed a thousand times: something asks for that by itself")


def current_name(keys: KeyStore, patient: str, barred: Collection[str] = ()) -> str:
    """Return the name `current_key` would use; makes no key.

    `barred` names are destroyed as well: a vault that does not answer may be the only one that knows.

    Raises:
        KeyStoreUnavailable: no vault answers; KeysRefused: as `current_key`.
    """
    for name in _names(patient):
        if name not in barred and keys.standing(name).state is not State.SHREDDED:
            return name
    raise KeysRefused("a patient's key was destroyed a thousand times: something asks for that by itself")


def patient_of(name: str) -> str:
    """Return whose key a name means, whatever its generation."""
    later = _LATER.fullmatch(name)
    return later["patient"] if later else name


def generation_of(name: str) -> int:
    """Return the generation a name means, from 1."""
    later = _LATER.fullmatch(name)
    return int(later["generation"]) if later else 1


def _names(patient: str) -> Iterator[str]:
    yield patient
    for generation in range(2, _MOST):
        yield f"{patient}-{generation}"
