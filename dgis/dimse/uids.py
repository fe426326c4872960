"""UIDs the door itself speaks of, and the rule of what is one at all."""

import re

VERIFICATION = "1.2.840.10008.1.1"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"

# PS3.7 D.3.3.2: how an implementation names itself; under 2.25 (UUID) so that no registration is needed.
IMPLEMENTATION_CLASS = "2.25.221478410871655418012926318126317530466"
IMPLEMENTATION_VERSION = "DGIS_1"

_UID = re.compile(r"(?=.{1,64}\Z)[0-9]+(?:\.[0-9]+)*\Z").match  # PS3.5 9.1


def is_uid(text: str) -> bool:
    """Tell whether the text has the form of a UID (PS3.5 9.1).

    A leading zero in a component is let pass: modalities send such UIDs, and they are harmless.
    """
    return _UID(text) is not None
