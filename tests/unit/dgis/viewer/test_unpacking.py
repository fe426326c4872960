"""What a package's file may not be."""

import gzip
import tarfile

import pytest

from dgis.viewer.package import ViewerError
from dgis.viewer.unpacking import BOUNDS, Bounds, checked, members
from tests.unit.dgis.viewer.package import LEFT, SERVED, archive, built, package_of

SMALL = Bounds(archive_bytes=4096, unpacked_bytes=64 << 10, file_bytes=8 << 10, files=4)


def member(name, kind=tarfile.REGTYPE, content=b"", link=""):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, len(content), link
    return info, content


def test_a_package_is_read_as_it_is(tmp_path):
    path, package = built(tmp_path)
    assert dict(members(checked(path, package))) == {
        name: content.encode() for name, content in {**SERVED, **LEFT}.items()
    }


def test_another_file_is_refused_before_anything_in_it_is_read(tmp_path):
    path, package = built(tmp_path)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ViewerError, match=r"is not @test/app@1\.2\.3 as it was published"):
        checked(path, package)


def test_a_file_that_is_too_long_is_not_read_to_its_end(tmp_path):
    path, package = tmp_path / "long", package_of(b"")
    path.write_bytes(bytes(SMALL.archive_bytes + 1))
    with pytest.raises(ViewerError, match="longer than any package"):
        checked(path, package, SMALL)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ViewerError, match=r"cannot read .*: No such file"):
        checked(tmp_path / "none", package_of(b""))


@pytest.mark.parametrize(
    "bad",
    [
        member("package/../outside"),
        member("package/dist/../../outside"),
        member("package/dist//double"),
        member("/package/absolute"),
        member("elsewhere/file"),
        member("package/.hidden"),
        member("package/dist/a\\b"),
        member("package/dist/line\nbreak"),
        member("package"),
        member("package/link", tarfile.SYMTYPE, link="/etc/passwd"),
        member("package/hard", tarfile.LNKTYPE, link="package/LICENSE"),
        member("package/device", tarfile.CHRTYPE),
        member("package/pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda bad: repr(bad[0].name),
)
def test_names_that_lead_elsewhere_and_what_is_no_file_are_refused(bad):
    with pytest.raises(ViewerError, match="leads elsewhere"):
        list(members(archive({"LICENSE": "MIT"}, [bad])))


@pytest.mark.parametrize(
    ("bounds", "further"),
    [
        (BOUNDS, [member("package/LICENSE", content=b"another")]),
        (SMALL, [member(f"package/{number}") for number in range(SMALL.files)]),
        (SMALL, [member("package/long", content=bytes(SMALL.file_bytes + 1))]),
    ],
    ids=("a name twice", "too many", "a long one"),
)
def test_more_than_there_can_be_is_refused(bounds, further):
    with pytest.raises(ViewerError, match="more than any package"):
        list(members(archive({"LICENSE": "MIT"}, further), bounds))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME], ids=("pax", "gnu"))
def test_what_unpacks_to_much_is_refused_wherever_it_stands(kind):
    """A head that is longer than any file may be is read by the archive's reader itself."""
    bomb = archive({"LICENSE": "MIT"}, [member("package/bomb", kind, bytes(4 * SMALL.unpacked_bytes))])
    assert len(bomb) < SMALL.archive_bytes
    with pytest.raises(ViewerError, match="unpacks to more"):
        list(members(bomb, SMALL))


@pytest.mark.parametrize(
    "data",
    [b"", b"no archive", gzip.compress(b"no archive" * 100), archive(SERVED)[:-30]],
    ids=("nothing", "no gzip", "no tar", "cut off"),
)
def test_what_is_no_archive_is_refused(data):
    with pytest.raises(ViewerError, match="no archive of npm"):
        list(members(data))
