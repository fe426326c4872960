"""Whether the trail is what was written: chains by their digests, ends by the heads signed earlier."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from catalog.audit import trail
from catalog.audit.chain import Finding, Head, examine
from catalog.audit.values import Entry
from dgis.trail.sealing import documents, exported, sealed_heads
from replica.fleet import Fleet


@dataclass(slots=True)
class Verified:
    """What was looked at, and what is wrong: nothing where `findings` and `forged` are empty.

    `forged` counts documents in the place of signed heads that this site's key has not signed; `unreachable`
    are nodes whose heads could not be read: what they know was not compared.
    """

    entries: int = 0
    writers: int = 0
    heads: int = 0
    forged: int = 0
    findings: list[Finding] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)


def verify(
    connection: sa.Connection,
    fleet: Fleet,
    key: Ed25519PublicKey,
    progress: Callable[[int], None] = lambda _entries: None,
) -> Verified:
    """Read the whole trail and compare it with the signed heads in the database and on the nodes.

    `progress` is told how many entries were read so far.
    """
    done = Verified()
    own, forged = sealed_heads(key, documents(connection))
    abroad, more_forged = sealed_heads(key, exported(fleet, done.unreachable))
    signed: dict[str, set[Head]] = defaultdict(set)
    for sealed in own | abroad:
        signed[sealed.head.writer].add(sealed.head)
    done.heads, done.forged = len(own | abroad), forged + more_forged
    for writer in sorted({*trail.writers(connection), *signed}):
        done.writers += 1
        read = _counted(trail.entries(connection, writer), done, progress)
        done.findings += examine(writer, read, signed[writer])
    return done


def _counted(entries: Iterator[Entry], done: Verified, progress: Callable[[int], None]) -> Iterator[Entry]:
    for entry in entries:
        done.entries += 1
        progress(done.entries)
        yield entry
