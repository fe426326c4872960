import re
from dataclasses import dataclass, field

SECRET_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


class KeysError(Exception):
    """Something is wrong with the keys; the message says what to do and holds no key and no patient."""


class KeyStoreUnavailable(KeysError):  # noqa: N818 - named like the other unavailable things
    """Not enough key stores answer; nothing was decided, the caller tries again later."""


class KeyMissing(KeysError):  # noqa: N818 - a state, not a mistake
    """No store that answers holds a key of this name."""


class KeyShredded(KeysError):  # noqa: N818 - a state, not a mistake
    """The patient's key was destroyed on purpose; there will never be another under this name."""


class KeyDamaged(KeysError):  # noqa: N818 - a state, not a mistake
    """No store holds a readable copy of the key, or two stores hold different keys."""


class KeysRefused(KeysError):  # noqa: N818 - a refusal, in the words of this project
    """A key file or a set of stores is not what it should be; the message says what to do."""


def parse_key_name(name: str) -> str:
    """Return the name of a patient key, checked: it becomes a file name.

    Raises:
        ValueError: not 1 to 128 ASCII letters, digits, hyphens, underscores; the first a letter or digit.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("a patient key is named by 1 to 128 letters, digits, hyphens and underscores")
    return name


@dataclass(frozen=True, slots=True)
class PatientKey:
    """The random key of one patient; whoever holds it can open what is sealed of that patient.

    `name` is the keyed pseudonym that names it; `secret` is 32 bytes and never shown.
    """

    name: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        parse_key_name(self.name)
        if len(self.secret) != SECRET_BYTES:
            raise ValueError("a patient key is 32 bytes")
