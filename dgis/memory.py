"""Memory that is freed goes back to the system, as far as the C library can be told so."""

import contextlib
import ctypes
import gc

# mallopt(3): as soon as one large block was freed, glibc keeps blocks of that size for ever; and every thread
# gets a heap of its own, in each of which a flood leaves what it needed at its height. What a door takes for
# an image is below the threshold: a block of its own from the system costs half a millisecond a MiB.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_TRIM_THRESHOLD_BYTES = 16 << 20
_MMAP_THRESHOLD_BYTES = 2 << 20
_ARENAS = 2


def give_back_what_is_freed() -> None:
    """Tell the C library; does nothing where it is not glibc. To be called before threads are started."""
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
        mallopt(_M_ARENA_MAX, _ARENAS)


def forget_what_stays() -> None:
    """Leave what a process has made by its start out of the search for cycles: it stays, and is large.

    To be called when everything is there, before work begins. How often is searched stays as it is: an
    association that ended is in a cycle, with buffers of a megabyte.
    """
    gc.collect()
    gc.freeze()
