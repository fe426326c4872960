"""Where credentials of the grid are issued to whoever proves who they are: in the process with its key."""

import json
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from catalog.credentials.authority import LONGEST_SECONDS
from catalog.credentials.values import Rejected
from dgis.identity.authenticate import Stranger
from dgis.identity.login import Counter
from dgis.identity.signing_requests import NoKey, key_of
from dgis.keyholder import protocol
from dgis.keyholder.issue import IssueRequest


class Registry:
    """Answers the web door's requests for credentials; each login is verified here."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def issue(self, request: IssueRequest) -> tuple[int, dict[str, Any]]:
        """Return status and answer: a credential, or the name of the reason and its words.

        Raises:
            ValueError: nobody may ask for that.
        """
        if not 0 < request.seconds <= LONGEST_SECONDS:
            raise ValueError("a credential lives shorter than that")
        try:
            key = None if request.public_key is None else key_of(request.public_key)
        except NoKey as error:
            raise ValueError(str(error)) from None
        made = self._counter.exchange(request.presented, request.seconds, key)
        if isinstance(made, Stranger):
            return protocol.REFUSED, {"refused": "", "words": made.words}
        if isinstance(made, Rejected):
            return protocol.REFUSED, {"refused": made.reason.name, "words": made.reason.value}
        return protocol.DONE, {"credential": made.credential, "until_s": made.until_s}

    def root(self) -> dict[str, Any]:
        """Return the public half of the authority: key set, certificate, list of revoked ones (PEM)."""
        authority, now_s = self._counter.authority, self._counter.clock_ms() // 1000
        return {
            "issuer": authority.uri,
            "audience": authority.audience,
            "jwks": json.loads(authority.jwks()),
            "certificate": authority.root(now_s).public_bytes(Encoding.PEM).decode("ascii"),
            "revoked": authority.revoked(now_s).public_bytes(Encoding.PEM).decode("ascii"),
        }
