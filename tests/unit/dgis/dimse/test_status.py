"""Every status we answer with is one of the standard, as another table of it says."""

import pytest
from pynetdicom import status as other

from dgis.dimse.status import Status, is_pending, is_warning

# A Failure Reason (PS3.3 C.14.1.1) that is answered as a status: docs/decisions/0015-storage-commitment.md.
REASONS = {0x0131: ("Failure", "Duplicate transaction UID")}
TABLES = (
    REASONS,
    other.GENERAL_STATUS,
    other.STORAGE_SERVICE_CLASS_STATUS,
    other.QR_FIND_SERVICE_CLASS_STATUS,
    other.QR_MOVE_SERVICE_CLASS_STATUS,
    other.QR_GET_SERVICE_CLASS_STATUS,
)


@pytest.mark.parametrize("status", Status, ids=lambda status: status.name)
def test_a_status_is_of_the_standard_and_of_the_kind_we_take_it_for(status):
    known = next(table[status] for table in TABLES if status in table)
    assert is_pending(status) == (known[0] == "Pending")
    assert is_warning(status) == (known[0] == "Warning")
