from collections.abc import Iterable, Sequence

from dgis.dimse.services import Outgoing


class GatewayTranscoder:
    def targets(self, sop_class_uid: str, transfer_syntax: str) -> Sequence[str]:
        return ()

    def convert(self, instance: Outgoing, target: str) -> Iterable[bytes]:
        raise AssertionError(target)
