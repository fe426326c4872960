from collections.abc import Sequence

import numpy as np

from deid.elements import Buffer
from deid.keys.values import PatientKey
from deid.restore import RestoreReason, RestoreRefused, assemble
from deid.seal.reader import open_companion
from deid.seal.source import BodySource
from deid.seal.values import Sealable, SealedInstance
from deid.seal.writer import Companion


def prove_companion(companion: Companion, key: PatientKey, instances: Sequence[Sealable]) -> None:
    """Read a companion back and put every original together again, before anyone relies on it.

    `published` of each Sealable must return payloads as the record gives them back. Bytes are compared with
    the originals, which are still at hand: cheaper than hashing them once more.

    Raises:
        RestoreRefused: an original would not come back; SealRefused: the companion does not read.
    """
    reader = open_companion(BodySource(companion.body), key, companion.names)
    reader.verify()
    if len(reader) != len(instances):
        raise RestoreRefused(RestoreReason.LENGTH)
    for index, instance in enumerate(instances):
        _prove(reader.instance(index), instance)


def _prove(sealed: SealedInstance, instance: Sealable) -> None:
    stated = (sealed.transfer_syntax, sealed.length, sealed.sha256)
    if stated != (instance.transfer_syntax, len(instance.original), instance.sha256):
        raise RestoreRefused(RestoreReason.DIGEST)
    original = np.frombuffer(instance.original, np.uint8)
    position = 0
    for buffer in assemble(sealed.program, sealed.literals, instance.published):
        if not _same(original[position : position + len(buffer)], buffer):
            raise RestoreRefused(RestoreReason.DIGEST)
        position += len(buffer)
    if position != len(original):
        raise RestoreRefused(RestoreReason.LENGTH)


def _same(part: np.ndarray[tuple[int], np.dtype[np.uint8]], buffer: Buffer) -> bool:
    return np.array_equal(part, np.frombuffer(buffer, np.uint8))
