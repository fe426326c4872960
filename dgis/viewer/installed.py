"""What is installed, as `viewer/installed.json` of the home says it; where that is missing, nothing is."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dgis.viewer.package import ViewerError

FOLDER = "viewer"
FILE = "installed.json"
_MOST_BYTES = 4 << 20

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*(?:[./][A-Za-z0-9][A-Za-z0-9_-]*)*$")]


class Kept(BaseModel):
    """One file; `zipped` says that it lies there as `NAME.gz`, too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    zipped: bool = False
    entry: bool = False


class Installed(BaseModel):
    """A viewer; its files lie in `folder` of `viewer/`, another one at each installation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    package: str
    version: str
    folder: Annotated[str, Field(pattern=r"^[0-9a-z][0-9a-z.-]*$")]
    script: Name
    style: Name
    files: dict[Name, Kept]


def folder_of(home: Path) -> Path:
    """Return the folder of a home that holds viewers, and nothing else."""
    return home / FOLDER


def read(home: Path) -> Installed | None:
    """Return what is installed.

    Raises:
        ViewerError: what says so cannot be read.
    """
    path = folder_of(home) / FILE
    try:
        with path.open("rb") as file:
            return Installed.model_validate_json(file.read(_MOST_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ViewerError(f"cannot read {path}: {error.strerror}") from None
    except ValidationError:
        raise ViewerError(f"{path} is damaged: dgis viewer install writes it anew") from None
