"""What a client takes from the environment; nothing else of the client looks there."""

import os

URL = "DGIS_CLIENT_URL"
TOKEN = "DGIS_CLIENT_TOKEN"  # noqa: S105 (the name of a variable)
ACCOUNT = "DGIS_CLIENT_ACCOUNT"
PASSCODE = "DGIS_CLIENT_PASSCODE"
CREDENTIAL = "DGIS_CLIENT_CREDENTIAL"


def said(name: str) -> str | None:
    """Return the value of one of these variables; None where it is absent or empty."""
    return os.environ.get(name) or None
