"""Has npm fetch the package: it knows the registry, the proxy and the certificates of this machine."""

import shutil
import subprocess
from pathlib import Path

from dgis.viewer.package import Package, ViewerError

_SECONDS = 900
_TOLD_CHARACTERS = 500


def fetched(package: Package, folder: Path) -> Path:
    """Fetch a package into an empty folder; return its file, which nobody has checked.

    Raises:
        ViewerError: npm is not there, or did not get it.
    """
    elsewhere = (
        f"or fetch it on another machine (npm pack {package.spec}) and say dgis viewer install --from FILE"
    )
    npm = shutil.which("npm")
    if npm is None:
        raise ViewerError(f"npm is not installed here: install it, {elsewhere}")
    options = ["--pack-destination", str(folder), "--ignore-scripts", "--loglevel=error"]
    try:
        done = subprocess.run(  # noqa: S603 (no shell; what is fetched is known by its digest, nothing of it is run)
            [npm, "pack", package.spec, *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ViewerError(
            f"npm did not get {package.spec} within {_SECONDS} s: try again, {elsewhere}"
        ) from None
    found = sorted(folder.glob("*.tgz"))
    if done.returncode != 0 or len(found) != 1:
        told = (done.stderr or done.stdout).strip()[:_TOLD_CHARACTERS]
        raise ViewerError(f"npm did not get {package.spec}: {told}\ntry again, {elsewhere}")
    return found[0]
