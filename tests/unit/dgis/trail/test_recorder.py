"""What the trail says of instances: classes of the standard by their numbers, private ones by none."""

from collections import Counter

from catalog.callers import Caller
from dgis.dimse.services import Session
from dgis.trail.recorder import stored_by

CT, NEWER = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.999"


def test_private_classes_are_counted_together_whatever_their_numbers_are():
    session = Session(1, Caller("pacs"), "DGIS", "HOSPITAL_1", "127.0.0.1")
    numbers = {CT: 3, NEWER: 1, "1.2.840.113619.4.19310417.2": 1, "1.3.12.2.1107.5.9.1": 2}
    numbers["1.2.840.10008.5.1.4.1.1.2.19310417"] = 4  # the root of the standard does not make it one
    said = stored_by(session, Counter(numbers))
    assert said.detail["classes"] == {CT: 3, NEWER: 1, "private": 7}
    assert said.count == sum(numbers.values())
