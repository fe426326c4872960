"""A login turned into a credential of the grid: verified, limited in time, recorded before it leaves."""

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from cryptography.hazmat.primitives.serialization import Encoding

from catalog.audit import trail
from catalog.audit.values import Event, Happening, Outcome
from catalog.callers import Caller
from catalog.credentials.authority import Authority
from catalog.credentials.values import Kind, Reason, Rejected, Verified
from catalog.release import named
from dgis.dimse.proposal import UserIdentity
from dgis.identity.authenticate import Authenticator, Stranger, kind_of
from dgis.identity.issued import Issued
from dgis.identity.requests import Presented
from dgis.identity.signing_requests import PublicKey


@dataclass(frozen=True, slots=True)
class Counter:
    """Where logins are presented: a command, or the web door."""

    authenticator: Authenticator
    authority: Authority
    engine: sa.Engine
    writer: str
    clock_ms: Callable[[], int]

    def login(self, presented: UserIdentity, address: str = "") -> Verified | Rejected:
        """Verify a login that nobody else could read; a refusal goes into the trail."""
        judged = self._withdrawable(presented) or self.authenticator.judge(presented, encrypted=True)
        if isinstance(judged, Rejected):
            happening = Happening(
                Event.CREDENTIAL,
                "",
                Outcome.MINOR_FAILURE,
                address,
                detail={"reason": judged.reason.name.lower()},
            )
            self._record(happening)
        return judged

    def issued(self, login: Verified, form: str, seconds: int, address: str = "") -> None:
        """Record what is about to be handed out; without that it is not.

        Raises:
            SQLAlchemyError: the database does not take the record.
        """
        who = named(Caller(login.name, login.assertions))
        self._record(
            Happening(Event.CREDENTIAL, who, address=address, detail={"form": form, "seconds": seconds})
        )

    def exchange(
        self, presented: Presented, seconds: int, public_key: PublicKey | None
    ) -> Issued | Stranger | Rejected:
        """Verify the login in a request and give a credential for it, recorded first.

        A token, or a certificate for a key. It ends with the login, or after `seconds`. Whoever carries the
        request here records what is refused.

        Raises:
            ValueError: `seconds` is not within 1 and LONGEST_SECONDS.
            SQLAlchemyError: as `issued`.
        """
        refused = None if presented.identity is None else self._withdrawable(presented.identity)
        login = refused or self.authenticator.authenticate_request(presented)
        if not isinstance(login, Verified):
            return login
        now_s = self.clock_ms() // 1000
        until_s = now_s + seconds if login.until_ms is None else min(now_s + seconds, login.until_ms // 1000)
        if until_s <= now_s:
            return Rejected(Reason.EXPIRED)
        if public_key is None:
            form, made = "token", self.authority.token(login, seconds, now_s)
        else:
            certificate = self.authority.certificate(login, public_key, seconds, now_s)
            form, made = "certificate", certificate.public_bytes(Encoding.PEM).decode("ascii")
        self.issued(login, form, until_s - now_s, presented.address)
        return Issued(made, until_s)

    @staticmethod
    def _withdrawable(presented: UserIdentity) -> Rejected | None:
        """Refuse what can be withdrawn at once: a credential made of it would live on."""
        return Rejected(Reason.NOT_EXCHANGED) if kind_of(presented) is Kind.TOKEN else None

    def _record(self, happening: Happening) -> None:
        with self.engine.begin() as connection:
            trail.append(connection, self.writer, [happening], self.clock_ms())
