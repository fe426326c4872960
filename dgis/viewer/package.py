"""Which viewer is installed: one package of one version, known by its digest."""

from dataclasses import dataclass


class ViewerError(Exception):
    """The viewer cannot be installed or served; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package of npm; `sha512` is the digest of its file in Base64, as lock files of npm write it."""

    name: str
    version: str
    sha512: str

    @property
    def spec(self) -> str:
        """What npm calls it."""
        return f"{self.name}@{self.version}"


OHIF = Package(
    "@ohif/app",
    "3.13.2",
    "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA==",
)
"""MIT licence; it ships what is served ready made."""
