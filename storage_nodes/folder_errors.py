import errno
import os
from typing import Final

from storage_nodes.errors import NodeError, NodeFull, NodeRefused, NodeUnavailable

_FULL: Final = {
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EFBIG: "the file system takes no file this large",
}
_REFUSED: Final = {
    errno.EACCES: "the folder's permissions do not allow it",
    errno.EPERM: "the folder's permissions do not allow it",
    errno.ELOOP: "a symbolic link lies where a folder or an object should",
    errno.ENOTDIR: "a file lies where a folder should",
    errno.EISDIR: "a folder lies where an object should",
}


def from_os_error(node: str, error: OSError) -> NodeError:
    """Return what an OSError means for a node; the text never holds the error's own, which names the path.

    All that is neither no room nor no permission (EIO, ESTALE, ETIMEDOUT, too many open files, ...) is
    NodeUnavailable: it may pass, and another node may well do.
    """
    number = error.errno or 0
    if number in _FULL:
        return NodeFull(node, _FULL[number])
    if number in _REFUSED:
        return NodeRefused(node, _REFUSED[number])
    return NodeUnavailable(node, os.strerror(number).lower() if number else "the folder does not answer")
