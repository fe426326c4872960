"""A corpus of files with identity hidden wherever it has been seen to hide, and the hunt for it.

`write_corpus(folder, seed)` writes the files and returns what was planted; `leaks(where, canaries)` returns
what of it is found in a file, a folder or bytes. Nothing here shares code with what it tests.
"""

from tests.planted.canaries import Canary
from tests.planted.corpus import Corpus, planted, write_corpus
from tests.planted.hunt import Hunter, Leak, leaks

__all__ = ["Canary", "Corpus", "Hunter", "Leak", "leaks", "planted", "write_corpus"]
