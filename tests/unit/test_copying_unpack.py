"""A tar stream from a machine that lies: nothing is written outside, and what is wrong is said."""

from __future__ import annotations

import io
import stat
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.copying.unpack import unpack
from provision.errors import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Member = tuple[str, dict[str, Any], bytes]


def file(name: str, content: bytes = b"new", **attributes: Any) -> Member:
    return name, {"type": tarfile.REGTYPE, "mode": 0o644, **attributes}, content


def folder(name: str, mode: int = 0o755) -> Member:
    return name, {"type": tarfile.DIRTYPE, "mode": mode}, b""


def link(name: str, to: str) -> Member:
    return name, {"type": tarfile.SYMTYPE, "linkname": to}, b""


def hard(name: str, to: str) -> Member:
    return name, {"type": tarfile.LNKTYPE, "linkname": to}, b""


def archive(*members: Member, form: int = tarfile.GNU_FORMAT) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=form) as made:
        for name, attributes, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            made.addfile(info, io.BytesIO(content))
    return written.getvalue()


@pytest.fixture
def into(tmp_path: Path) -> Iterator[Path]:
    """A folder to unpack in, beside others that must stay as they are."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("mine")
    there = tmp_path / "into"
    there.mkdir()
    (there / "mine").symlink_to("../outside")  # of the person's own
    (there / "old").write_text("old")
    (there / "kept").mkdir()
    yield there
    assert {each.name for each in tmp_path.iterdir()} == {"outside", "into"}
    assert [each.name for each in (tmp_path / "outside").iterdir()] == ["file"]
    assert (tmp_path / "outside" / "file").read_text() == "mine"
    assert (tmp_path / "outside" / "file").stat().st_nlink == 1


HOSTILE: dict[str, tuple[tuple[Member, ...], str]] = {
    "an absolute path": ((file("/tmp/evil"),), "'/tmp/evil', which lies outside"),
    "a way up": ((file("../outside/file"),), "'../outside/file', which lies outside"),
    "a way up in the middle": ((folder("a"), file("a/../../outside/new")), "which lies outside"),
    "a folder above": ((folder(".."),), "'..', which lies outside"),
    "through its own link": ((link("a", "../outside"), file("a/file")), "a is no folder on this host"),
    "through its own link to a folder": ((link("a", "kept"), file("a/file")), "a is no folder on this host"),
    "a folder over its own link": ((link("a", "../outside"), folder("a")), "a is no folder on this host"),
    "through the person's link": ((file("mine/file"),), "mine is no folder on this host"),
    "a mode through a link": (
        (folder("a"), link("a/b", "../../outside"), folder("a/b", 0)),
        "a/b is no folder",
    ),
    "a hard link out": ((hard("a", "../outside/file"),), "'../outside/file', which lies outside"),
    "an absolute hard link": ((hard("a", "/etc/passwd"),), "'/etc/passwd', which lies outside"),
    "a hard link through the person's": ((hard("a", "mine/file"),), "which it had not sent"),
    "a hard link to what was there": ((hard("a", "old"),), "which it had not sent"),
    "a hard link to a folder": ((folder("a"), hard("b", "a")), "which it had not sent"),
    "a file over a folder": ((file("kept"),), "kept is a folder on this host"),
    "a link over a folder": ((link("kept", "/"),), "kept is a folder on this host"),
    "a folder over a file": ((folder("old"),), "old is no folder on this host"),
    "below a file": ((file("old/new"),), "old is no folder on this host"),
    "over the folder itself": ((file("."),), "which would replace"),
    "a link over the folder itself": ((link("./", "/"),), "which would replace"),
    "a hard link over the folder itself": ((file("a"), hard(".", "a")), "which would replace"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_nothing_is_written_outside(into: Path, name: str, form: int) -> None:
    members, said = HOSTILE[name]
    with pytest.raises(EnvironmentFailed) as caught:
        unpack(io.BytesIO(archive(*members, form=form)), into)
    assert said in caught.value.message
    assert (into / "old").read_text() == "old"
    assert (into / "mine").is_symlink()
    assert (into / "kept").is_dir()


@pytest.mark.parametrize(
    "members",
    [(folder("asked"),), (file("a"), file("b")), (hard("a", "../outside/file"),), (file("../x"),)],
)
def test_where_one_file_was_asked_for_another_thing_is_refused(
    into: Path, members: tuple[Member, ...]
) -> None:
    with pytest.raises(EnvironmentFailed, match=r"something else|lies outside"):
        unpack(io.BytesIO(archive(*members)), into, single="asked")
    assert {each.name for each in into.iterdir()} <= {"mine", "old", "kept", "asked"}


def test_one_file_gets_the_name_that_was_asked_for(into: Path) -> None:
    assert unpack(io.BytesIO(archive(file("theirs"))), into, single="old") == ()
    assert (into / "old").read_bytes() == b"new"
    unpack(io.BytesIO(archive(link("theirs", "/etc"))), into, single="mine")
    assert str((into / "mine").readlink()) == "/etc"


def test_what_is_good_comes_as_it_is(into: Path) -> None:
    members = (
        folder("./", 0o700),
        folder("./closed", 0o555),
        file("./closed/file", b"\0\xff", mode=0o6640, mtime=1_000_000),
        hard("./closed/second", "./closed/file"),
        link("./absolute", "/etc/passwd"),
        link("./nowhere", "../../nothing"),
        folder("./kept", 0o700),
        file("./" + "long" * 60, b"long"),
        file("./b\udcff\n", b"odd"),
        file("./old"),
        file("passed/through"),
        ("./device", {"type": tarfile.CHRTYPE, "mode": 0o666, "devmajor": 1, "devminor": 3}, b""),
        ("./pipe", {"type": tarfile.FIFOTYPE}, b""),
    )
    kept = (into / "kept").stat().st_mode
    above = into.stat().st_mode
    assert unpack(io.BytesIO(archive(*members)), into) == ("./device", "./pipe")
    assert into.stat().st_mode == above
    assert (into / "kept").stat().st_mode == kept
    assert stat.S_IMODE((into / "closed").stat().st_mode) == 0o555
    status = (into / "closed" / "file").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime, status.st_nlink) == (0o640, 1_000_000, 2)
    assert (into / "closed" / "file").read_bytes() == b"\0\xff"
    assert str((into / "absolute").readlink()) == "/etc/passwd"
    assert str((into / "nowhere").readlink()) == "../../nothing"
    assert (into / ("long" * 60)).read_bytes() == b"long"
    assert (into / "b\udcff\n").read_bytes() == b"odd"
    assert (into / "old").read_bytes() == b"new"
    assert stat.S_IMODE((into / "passed").stat().st_mode) == 0o755
    assert not (into / "device").exists()
    (into / "closed").chmod(0o755)


def test_a_new_folder_gets_the_mode_that_was_sent(into: Path) -> None:
    unpack(io.BytesIO(archive(folder(".", 0o750))), into / "kept", made=True)
    assert stat.S_IMODE((into / "kept").stat().st_mode) == 0o750


@pytest.mark.parametrize(
    "attributes", [{"mtime": 1 << 62}, {"uid": 1 << 40}, {"gid": 1 << 40}, {"mode": 0o7777}]
)
def test_numbers_that_cannot_be_stop_nothing(into: Path, attributes: dict[str, Any]) -> None:
    unpack(io.BytesIO(archive(file("a", **attributes))), into, owners=True)
    assert (into / "a").read_bytes() == b"new"
    assert stat.S_IMODE((into / "a").stat().st_mode) in (0o644, 0o777)


@pytest.mark.parametrize("content", [b"", b"tar: not found\n" * 99, archive(file("a", b"x" * 4096))[:1024]])
def test_what_is_no_archive_is_told(into: Path, content: bytes) -> None:
    with pytest.raises(EnvironmentFailed, match=r"sent no (whole )?tar archive"):
        unpack(io.BytesIO(content), into)


@given(st.data())
def test_a_broken_archive_is_no_crash(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    good = archive(
        folder("a"), file("a/" + "b" * 120), link("c", "a"), hard("d", "a/" + "b" * 120),
        form=data.draw(st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])),
    )  # fmt: skip
    broken = bytearray(good)
    for _ in range(data.draw(st.integers(1, 8))):
        broken[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    base = tmp_path_factory.mktemp("broken")
    (base / "into").mkdir()
    with suppress(EnvironmentFailed, OSError):
        unpack(io.BytesIO(bytes(broken)), base / "into")
    assert [each.name for each in base.iterdir()] == ["into"]
