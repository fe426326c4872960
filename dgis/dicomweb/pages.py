"""Where pages of a search ended: the next one begins there, and scans nothing of those before."""

import hashlib
import threading
from collections import OrderedDict

from catalog.query import Query
from catalog.release import Asker

_MOST = 4096


class Pages:
    """Cursors of the catalog by caller, query and offset; in memory, and only ever a short cut."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, str] = OrderedDict()

    def ended(self, asker: Asker, query: Query, offset: int, cursor: str) -> None:
        """Remember that the match before `offset` has this cursor."""
        name = _name(asker, query, offset)
        with self._lock:
            self._known[name] = cursor
            self._known.move_to_end(name)
            if len(self._known) > self._most:
                self._known.popitem(last=False)

    def cursor(self, asker: Asker, query: Query, offset: int) -> str | None:
        """Return the cursor before `offset`, where a page of this caller ended there."""
        with self._lock:
            return self._known.get(_name(asker, query, offset))


def _name(asker: Asker, query: Query, offset: int) -> bytes:
    caller = asker.caller
    keys = [(key.keyword, key.values) for key in query.keys]
    may = sorted(right.value for right in caller.may)
    options = (query.level.value, query.relational, query.fuzzy, offset)
    said = repr((caller.name, caller.assertions.canonical(), may, options, keys))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest()
