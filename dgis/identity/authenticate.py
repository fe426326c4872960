"""Who calls: the peer entry that title, address and certificate match, and the credential presented."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
import structlog

from catalog.callers import Assertions
from catalog.credentials import accounts
from catalog.credentials.authority import judge_certificate
from catalog.credentials.kerberos import Acceptor, verify_ticket
from catalog.credentials.opaque import is_opaque, verify_opaque
from catalog.credentials.passcodes import verify_passcode
from catalog.credentials.shares import is_share, verify_share
from catalog.credentials.spent import spend
from catalog.credentials.tokens import verify_token
from catalog.credentials.values import SKEW_SECONDS, Judgement, Kind, Reason, Rejected, Verified
from dgis.configuration import Peer
from dgis.dimse.proposal import UserIdentity
from dgis.dimse.services import Admitted, Attempt
from dgis.identity.certificates import is_bound
from dgis.identity.issuers import Issuers
from dgis.identity.peers import caller_of, certified_peer, matching_peer
from dgis.identity.requests import Presented

_log = structlog.get_logger(__name__)

_NAME_ONLY = 1  # PS3.7 D.3.3.7: a name that proves nothing
_PASSCODES_AT_ONCE = 2  # each takes 64 MiB (RFC 9106 4): a flood must not fill the memory
_KINDS: Mapping[int, Kind] = {2: Kind.PASSCODE, 3: Kind.KERBEROS, 4: Kind.SAML, 5: Kind.JWT}


@dataclass(frozen=True, slots=True)
class Stranger:
    """Nobody this gateway knows: no entry for title and address, or not the certificate it is bound to."""

    words: str


Outcome = Admitted | Stranger | Rejected


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom this gateway believes about what."""

    peers: Sequence[Peer]
    issuers: Issuers
    gateway: str
    grid: str = ""
    passcodes_without_tls: bool = False
    tickets: Acceptor | None = None
    addresses: frozenset[str] = frozenset()  # that a SAML assertion may name as its recipient


class Authenticator:
    """Turns what arrives with an association into a caller; one for all associations of a door.

    With `rehearsal` it only says who would be admitted: what may be used once is not used up.
    """

    def __init__(
        self, trust: Trust, engine: sa.Engine, clock_ms: Callable[[], int], *, rehearsal: bool = False
    ) -> None:
        self._trust = trust
        self._rehearsal = rehearsal
        self._engine = engine
        self._clock_ms = clock_ms
        self._hashing = threading.Semaphore(_PASSCODES_AT_ONCE)

    @property
    def takes_tickets(self) -> bool:
        """Whether this gateway has what opens Kerberos tickets."""
        return self._trust.tickets is not None

    def authenticate(self, attempt: Attempt) -> Outcome:
        """Return who proposes an association; a credential that does not verify is never passed over.

        What a credential proves stands in place of the peer entry's assertions; the entry's `may` stays the
        ceiling, and that of the credential's issuer is another.
        """
        entry = matching_peer(self._trust.peers, attempt.calling_ae, attempt.address)
        if entry is None:
            return Stranger("no peer entry matches the calling AE title and address")
        if not is_bound(attempt.certificate, entry.certificate_names):
            return Stranger("the client certificate is not one that this AE title is bound to")
        proofs: dict[str, Judgement] = {}
        if attempt.certificate is not None:
            proofs["certificate"] = self._certified(attempt.certificate) or Verified("", Assertions())
        if attempt.identity is not None and attempt.identity.kind != _NAME_ONLY:
            kind = kind_of(attempt.identity)
            proofs[kind or ""] = self.judge(attempt.identity, encrypted=attempt.encrypted)
        caller = caller_of(entry, attempt.calling_ae, self._trust.gateway)
        proven = _proven(Verified(caller.name, caller.assertions, caller.may), proofs.values())
        if isinstance(proven, Rejected):
            return proven
        if entry.requires and entry.requires.isdisjoint(proofs):
            return Stranger("this peer must present a credential (dicom.peers, requires)")
        known = replace(caller, assertions=proven.assertions, may=proven.may)
        return Admitted(known, proven.response)

    def authenticate_request(self, presented: Presented) -> Verified | Stranger | Rejected:
        """Return who makes an HTTP request; address and title prove nothing there.

        A certificate proves what the grid's token in it says, or is that of a peer whose entry binds it by
        name: then the entry counts here as it does for associations.
        """
        proofs: dict[str, Judgement] = {}
        entry: tuple[Peer, Verified] | None = None
        if presented.certificate is not None:
            entry = certified_peer(
                self._trust.peers, presented.certificate, presented.address, self._trust.gateway
            )
            certified = self._certified(presented.certificate)
            if certified is not None or entry is not None:
                proofs[Kind.CERTIFICATE] = certified or Verified("", Assertions())
        if presented.identity is not None:
            proofs[kind_of(presented.identity) or ""] = self.judge(
                presented.identity, encrypted=presented.encrypted, recipient=presented.recipient
            )
        elif presented.session is not None:
            proofs[presented.session.kind] = presented.session.proof
        if not proofs:
            return Stranger("nothing was presented that proves who it is")
        proven = _proven(Verified("", Assertions()) if entry is None else entry[1], proofs.values())
        if entry is not None and entry[0].requires and entry[0].requires.isdisjoint(proofs):
            return Stranger("this peer must present a credential (dicom.peers, requires)")
        return proven

    def _certified(self, certificate: bytes) -> Judgement | None:
        """Judge the grid's token in a certificate; None where it holds none, and only its names count."""
        grid = self._trust.issuers.tokens.get(self._trust.grid)
        return None if grid is None else judge_certificate(certificate, grid, self._clock_ms() // 1000)

    def judge(self, identity: UserIdentity, *, encrypted: bool, recipient: str | None = None) -> Judgement:
        """Verify what somebody presents to prove who they are; `encrypted`: nobody else could read it."""
        kind = kind_of(identity)
        now_s = self._clock_ms() // 1000
        if kind in {Kind.TOKEN, Kind.PASSCODE} and not (encrypted or self._trust.passcodes_without_tls):
            return Rejected(Reason.IN_CLEAR if kind is Kind.TOKEN else Reason.NEEDS_TLS)
        if kind is Kind.TOKEN:
            with self._engine.execution_options(read_only=True).connect() as connection:
                if is_share(identity.primary):
                    return verify_share(connection, identity.primary, now_s * 1000)
                return verify_opaque(connection, identity.primary, self._trust.gateway, now_s * 1000)
        if kind is Kind.JWT:
            return verify_token(identity.primary, self._trust.issuers.tokens, now_s)
        if kind is Kind.SAML:
            # Libraries for XML and its signatures: 15 MB, that most sites never use.
            from catalog.credentials.saml import verify_assertion  # noqa: PLC0415

            issuers = self._trust.issuers.assertions
            ours = self._trust.addresses
            return self._once(verify_assertion(identity.primary, issuers, now_s, ours, recipient))
        if kind is Kind.KERBEROS:
            realms = self._trust.issuers.realms
            return self._once(verify_ticket(identity.primary, realms, self._trust.tickets, now_s))
        if kind is Kind.PASSCODE:
            return self.passcode(identity)
        return Rejected(Reason.UNSUPPORTED)

    def _once(self, judged: Judgement) -> Judgement:
        """Use up a credential that may be used once; a database that cannot note it lets nobody in."""
        if self._rehearsal or not isinstance(judged, Verified) or judged.once is None:
            return judged
        until_ms = (judged.until_ms or self._clock_ms()) + 2 * SKEW_SECONDS * 1000
        with self._engine.begin() as connection:
            first = spend(connection, judged.assertions.issuer or "", judged.once, until_ms)
        return judged if first else Rejected(Reason.REPLAYED)

    def passcode(self, identity: UserIdentity, *, changing: bool = False) -> Judgement:
        """Verify name and passcode and count what is wrong; `changing`: another one is chosen with it."""
        now_s = self._clock_ms() // 1000
        name = identity.primary.decode("utf-8", "replace")
        with self._engine.connect() as connection:
            known = accounts.find(connection, name)
        with self._hashing:
            judged = verify_passcode(known, identity.secondary, now_s, changing=changing)
        if known is not None:
            with self._engine.begin() as connection:
                accounts.note(connection, known, judged, now_s)
        if isinstance(judged, Verified):
            return replace(judged, assertions=replace(judged.assertions, issuer=self._trust.gateway))
        return judged


def kind_of(identity: UserIdentity) -> Kind | None:
    """Return what somebody presents; what stands in the place of a JWT may be a token of this site's own."""
    kind = _KINDS.get(identity.kind)
    return Kind.TOKEN if kind is Kind.JWT and is_opaque(identity.primary) else kind


def _proven(base: Verified, proofs: Iterable[Judgement]) -> Judgement:
    """Return what is proven beyond what is known anyway: the last proof says who, each is a ceiling."""
    for judged in proofs:
        if isinstance(judged, Rejected):
            return judged
        if judged.assertions != Assertions():
            ends = [each.until_ms for each in (base, judged) if each.until_ms is not None]
            base = Verified(
                base.name or judged.name,
                judged.assertions,
                base.may & judged.may,
                min(ends, default=None),
                response=judged.response,
            )
    return base
