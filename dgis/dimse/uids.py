"""UIDs the door itself speaks of, and the rule of what is one at all."""

import re

from storage_nodes.record import part10

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"  # push model, PS3.4 J.3.5
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"  # the one instance of it that there is
INSTANCE_AVAILABILITY = "1.2.840.10008.5.1.4.33"  # PS3.4 R.3.4
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"

# PS3.7 D.3.3.2: an association names the implementation as the files it writes do (PS3.10 7.1).
IMPLEMENTATION_CLASS = part10.IMPLEMENTATION_CLASS_UID
IMPLEMENTATION_VERSION = part10.IMPLEMENTATION_VERSION_NAME

_UID = re.compile(r"(?=.{1,64}\Z)[0-9]+(?:\.[0-9]+)*\Z").match  # PS3.5 9.1


def is_uid(text: str) -> bool:
    """Tell whether the text has the form of a UID (PS3.5 9.1).

    A leading zero in a component is let pass: modalities send such UIDs, and they are harmless.
    """
    return _UID(text) is not None
