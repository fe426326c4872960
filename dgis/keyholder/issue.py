"""What the web door asks the keyholder for when somebody wants a credential of the grid.

The login goes to the process that holds the grid's key as it was presented, and is verified there: a door
that somebody has taken over can pass on what is presented to it, but vouch for nobody.

{"address": text, "encrypted": bool, "recipient": text | null, "seconds": int, "kind": int,
 "primary", "secondary", "certificate", "public_key": base64 | null}
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dgis.dimse.proposal import UserIdentity
from dgis.identity.requests import Presented

_NOTHING = 0  # of the kinds of user identity


@dataclass(frozen=True, slots=True)
class IssueRequest:
    """A login, and what is wanted for it: a token, or a certificate for a key (SubjectPublicKeyInfo, DER)."""

    presented: Presented
    seconds: int
    public_key: bytes | None = field(default=None, repr=False)

    def written(self) -> dict[str, object]:
        """Return it as it crosses the socket."""
        who, identity = self.presented, self.presented.identity
        return {
            "address": who.address,
            "encrypted": who.encrypted,
            "recipient": who.recipient,
            "seconds": self.seconds,
            "kind": identity.kind if identity else _NOTHING,
            "primary": _text(identity.primary if identity else None),
            "secondary": _text(identity.secondary if identity else None),
            "certificate": _text(who.certificate),
            "public_key": _text(self.public_key),
        }

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "IssueRequest":
        """Return what `written` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            kind, seconds = int(said["kind"]), int(said["seconds"])
            primary, secondary = _bytes(said["primary"]), _bytes(said["secondary"])
            identity = UserIdentity(kind, primary or b"", secondary or b"") if kind != _NOTHING else None
            recipient = None if said["recipient"] is None else str(said["recipient"])
            presented = Presented(
                str(said["address"]),
                identity,
                _bytes(said["certificate"]),
                said["encrypted"] is True,
                recipient,
            )
            return cls(presented, seconds, _bytes(said["public_key"]))
        except (KeyError, TypeError):
            raise ValueError("no request for a credential") from None


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode("ascii")


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value, validate=True)
