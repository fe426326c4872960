"""The chore of every role that writes down what its process counts of itself."""

from dgis.watch.files import WRITE_SECONDS, FigureFile
from dgis.worker import Chore, once


def counting(file: FigureFile) -> list[Chore]:
    """Return the chore that writes down what this process counts of itself."""
    return [Chore("figures", WRITE_SECONDS, once(file.write))]
