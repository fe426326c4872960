"""The user information item of A-ASSOCIATE PDUs (PS3.7 annex D.3.3)."""

from collections.abc import Callable
from struct import Struct

from dgis.dimse.items import Item, counted, encode_counted, encode_item, items, text
from dgis.dimse.pdu import MalformedPduError
from dgis.dimse.proposal import AssociateAccept, AssociateRequest, Roles, UserIdentity

_U32 = Struct(">I")
_MOST_CLASSES = 1024  # an association has 128 contexts; some senders name every class they know
_ONE_OPERATION_EACH_WAY = b"\0\1\0\1"  # PS3.7 D.3.3.3: what is meant without the item, too


class UserInformation:
    """Collects the sub-items of a user information item; those nobody knows are passed over (PS3.7 D.3.3)."""

    def __init__(self) -> None:
        self.max_pdu_bytes = 0
        self.implementation_class = ""
        self.implementation_version = ""
        self.roles: dict[str, Roles] = {}
        self.extended: dict[str, bytes] = {}
        self.identity: UserIdentity | None = None
        self.identity_response: bytes | None = None
        self.asynchronous = False

    def read(self, body: memoryview) -> None:
        """Take in one user information item.

        Raises:
            MalformedPduError: lengths that do not fit.
        """
        for kind, value in items(body):
            reader = _READERS.get(kind)
            if reader is not None:
                reader(self, value)
            if max(len(self.roles), len(self.extended)) > _MOST_CLASSES:
                raise MalformedPduError(f"roles or negotiation of more than {_MOST_CLASSES} SOP classes")

    def read_max_length(self, value: memoryview) -> None:
        """PS3.8 D.1.1."""
        if len(value) != _U32.size:
            raise MalformedPduError(f"maximum length of {len(value)} bytes")
        self.max_pdu_bytes = int(_U32.unpack(value)[0])

    def read_implementation_class(self, value: memoryview) -> None:
        """PS3.7 D.3.3.2.1."""
        self.implementation_class = text(value)

    def read_implementation_version(self, value: memoryview) -> None:
        """PS3.7 D.3.3.2.3."""
        self.implementation_version = text(value)

    def read_window(self, value: memoryview) -> None:
        """PS3.7 D.3.3.3: whatever was proposed, we answer one operation each way."""
        self.asynchronous = len(value) > 0

    def read_roles(self, value: memoryview) -> None:
        """PS3.7 D.3.3.4."""
        uid, rest = counted(value)
        if len(rest) < 2:  # noqa: PLR2004 (SCU role, SCP role)
            raise MalformedPduError("role selection too short")
        self.roles[text(uid)] = Roles(rest[0] == 1, rest[1] == 1)

    def read_extended(self, value: memoryview) -> None:
        """PS3.7 D.3.3.5."""
        uid, rest = counted(value)
        self.extended[text(uid)] = bytes(rest)

    def read_identity(self, value: memoryview) -> None:
        """PS3.7 D.3.3.7.1."""
        if len(value) < 2:  # noqa: PLR2004 (type, positive response requested)
            raise MalformedPduError("user identity too short")
        primary, rest = counted(value[2:])
        secondary, _ = counted(rest)
        self.identity = UserIdentity(value[0], primary, secondary, value[1] == 1)

    def read_identity_response(self, value: memoryview) -> None:
        """PS3.7 D.3.3.7.2."""
        self.identity_response, _ = counted(value)


_READERS: dict[int, Callable[[UserInformation, memoryview], None]] = {
    Item.MAXIMUM_LENGTH: UserInformation.read_max_length,
    Item.IMPLEMENTATION_CLASS: UserInformation.read_implementation_class,
    Item.IMPLEMENTATION_VERSION: UserInformation.read_implementation_version,
    Item.ASYNCHRONOUS_WINDOW: UserInformation.read_window,
    Item.ROLE_SELECTION: UserInformation.read_roles,
    Item.EXTENDED_NEGOTIATION: UserInformation.read_extended,
    Item.IDENTITY_RQ: UserInformation.read_identity,
    Item.IDENTITY_AC: UserInformation.read_identity_response,
}


def encode_user_information(side: AssociateRequest | AssociateAccept) -> bytes:
    """Return the user information item of either side of the negotiation."""
    parts = [
        encode_item(Item.MAXIMUM_LENGTH, _U32.pack(side.max_pdu_bytes)),
        encode_item(Item.IMPLEMENTATION_CLASS, side.implementation_class.encode("ascii")),
    ]
    if side.asynchronous:
        parts.append(encode_item(Item.ASYNCHRONOUS_WINDOW, _ONE_OPERATION_EACH_WAY))
    for uid, roles in side.roles.items():
        field = encode_counted(uid.encode("ascii"))
        parts.append(encode_item(Item.ROLE_SELECTION, field + bytes(roles)))
    parts.append(encode_item(Item.IMPLEMENTATION_VERSION, side.implementation_version.encode("ascii")))
    for uid, information in side.extended.items():
        field = encode_counted(uid.encode("ascii"))
        parts.append(encode_item(Item.EXTENDED_NEGOTIATION, field + information))
    parts.append(_encode_identity(side))
    return encode_item(Item.USER_INFORMATION, b"".join(parts))


def _encode_identity(side: AssociateRequest | AssociateAccept) -> bytes:
    if isinstance(side, AssociateAccept):
        if side.identity_response is None:
            return b""
        return encode_item(Item.IDENTITY_AC, encode_counted(side.identity_response))
    identity = side.identity
    if identity is None:
        return b""
    fields = encode_counted(identity.primary) + encode_counted(identity.secondary)
    return encode_item(Item.IDENTITY_RQ, bytes((identity.kind, identity.response_requested)) + fields)
