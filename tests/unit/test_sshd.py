"""ssh to a machine: what ssh is told, and the files that sftp sees, over a local shell with hostile names."""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest
from asyncssh import FXF_APPEND, FXF_CREAT, FXF_EXCL, FXF_READ, FXF_TRUNC, FXF_WRITE, SFTPAttrs

from provision.errors import UsageError
from provision.sshd import config
from provision.sshd.files import BLOCK, Files, failure
from provision.target import Target

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence
    from pathlib import Path

NAMES = [b"plain", b"two words", b"-rf", b"$(touch ran)", b"'\"`\\", b"\xff\xfe", b"a\nb\n", "ünï".encode()]


# --- what ssh is told


@pytest.mark.parametrize(
    ("proxy", "command"),
    [
        (["provision", "ssh-proxy", "3f2a91bc"], "provision ssh-proxy 3f2a91bc"),
        (["/a b/python", "x'y"], "'/a b/python' 'x'\"'\"'y'"),
        (["100%h", "$HOME"], "100%%h '$HOME'"),
    ],
)
def test_the_proxy_command_is_what_the_words_are(proxy: list[str], command: str) -> None:
    chosen = config.options(proxy, user="dev", unique="dev.x")
    assert chosen["ProxyCommand"] == command
    assert shlex.split(command.replace("%%", "%")) == proxy
    lines = config.block("dev", chosen).splitlines()
    assert lines[0] == "Host dev"
    assert f"  ProxyCommand {command}" in lines
    assert "  User dev" in lines
    assert config.command("dev", chosen, ["-t", "ls"])[-3:] == ["dev", "-t", "ls"]


def test_a_line_break_is_refused() -> None:
    with pytest.raises(UsageError):
        config.options(["a\nb"], user="dev", unique="x")


# --- files


class Channel:
    def get_extra_info(self, name: str) -> str:
        return {"username": "me"}[name]


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    def enter(words: Sequence[str], *, user: str, workdir: str, terminal: bool) -> list[str]:
        assert (user, workdir, terminal) == ("me", "/", False)
        return list(words)

    with Target("local", enter, user="dev", workdir=str(tmp_path), ports=()) as target:
        channel: Any = Channel()
        yield Files(target, channel)


def run(what: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(what)


async def written(files: Files, path: bytes, content: bytes, flags: int = 0, mode: int | None = None) -> None:
    flags = flags or FXF_WRITE | FXF_CREAT | FXF_TRUNC
    handle = await files.open(path, flags, SFTPAttrs(permissions=mode))
    for at in range(0, len(content), 32768):
        await files.write(handle, at, content[at : at + 32768])
    await files.close(handle)


async def content(files: Files, path: bytes) -> bytes:
    handle = await files.open(path, FXF_READ, SFTPAttrs())
    found = b""
    while part := await files.read(handle, len(found), 32768):
        found += part
    await files.close(handle)
    return found


async def listed(files: Files, path: bytes) -> dict[bytes, SFTPAttrs]:
    return {bytes(entry.filename): entry.attrs async for entry in files.scandir(path)}  # type: ignore[arg-type]


pytestmark = pytest.mark.processes


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 77777])
def test_content_goes_both_ways_whole(files: Files, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    run(written(files, b"file", data))
    assert (tmp_path / "file").read_bytes() == data
    assert run(content(files, b"file")) == data


def test_names_are_data(files: Files, tmp_path: Path) -> None:
    for name in NAMES:
        run(written(files, name, name))
    assert {os.fsencode(path.name) for path in tmp_path.iterdir()} == set(NAMES)
    found = run(listed(files, b"."))
    assert set(found) == {*NAMES, b".", b".."}
    for name in NAMES:
        assert run(content(files, name)) == name
        assert found[name].size == len(name)
        run(files.posix_rename(name, b"moved"))
        run(files.symlink(name, b"link"))
        assert run(files.readlink(b"link")) == name
        run(files.remove(b"link"))
        run(files.remove(b"moved"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(asyncssh.SFTPNoSuchFile):
        run(files.stat(b"a\0b"))


def test_a_file_is_written_at_any_place(files: Files, tmp_path: Path) -> None:
    async def write() -> None:
        handle = await files.open(b"file", FXF_WRITE | FXF_CREAT, SFTPAttrs())
        await files.write(handle, BLOCK + 5, b"end")
        await files.write(handle, 3, b"begin")
        assert (await files.fstat(handle)).size == BLOCK + 8
        await files.close(handle)

    run(write())
    data = (tmp_path / "file").read_bytes()
    assert data == b"\0\0\0begin" + bytes(BLOCK - 3) + b"end"
    run(written(files, b"file", b"more", FXF_WRITE | FXF_APPEND))
    assert (tmp_path / "file").read_bytes() == data + b"more"


@pytest.mark.parametrize(
    ("flags", "there", "error"),
    [
        (FXF_READ, False, asyncssh.SFTPNoSuchFile),
        (FXF_WRITE, False, asyncssh.SFTPNoSuchFile),
        (FXF_WRITE | FXF_CREAT | FXF_EXCL, True, asyncssh.SFTPFailure),
    ],
)
def test_how_a_file_is_opened(
    files: Files, tmp_path: Path, flags: int, there: bool, error: type[Exception]
) -> None:
    if there:
        (tmp_path / "file").write_text("kept")
    with pytest.raises(error):
        run(files.open(b"file", flags, SFTPAttrs()))
    assert (tmp_path / "file").exists() == there
    with pytest.raises(asyncssh.SFTPFailure):
        run(files.open(b".", FXF_READ, SFTPAttrs()))


def test_attributes(files: Files, tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        run(written(files, b"made", b"", mode=0o777))
        (tmp_path / "there").touch(0o600)
        run(written(files, b"there", b"", mode=0o777))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "there").stat().st_mode) == 0o600
    run(files.setstat(b"made", SFTPAttrs(permissions=0o640, atime=1, mtime=1234567890, size=3)))
    found = run(files.stat(b"made"))
    assert stat.S_ISREG(found.permissions)
    assert (stat.S_IMODE(found.permissions), found.mtime, found.size) == (0o640, 1234567890, 3)
    run(files.mkdir(b"folder", SFTPAttrs(permissions=0o750)))
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750
    run(files.symlink(b"folder", b"link"))
    assert stat.S_ISLNK(run(files.lstat(b"link")).permissions)
    assert stat.S_ISDIR(run(files.stat(b"link")).permissions)
    assert run(files.realpath(b"link")) == os.fsencode(tmp_path / "folder")
    assert run(files.realpath(b".")) == os.fsencode(tmp_path)
    with pytest.raises(asyncssh.SFTPFailure):
        run(files.remove(b"folder"))
    with pytest.raises(asyncssh.SFTPFailure):
        run(files.rename(b"made", b"folder"))
    run(files.rmdir(b"folder"))
    with pytest.raises(asyncssh.SFTPNoSuchFile):
        run(files.rmdir(b"folder"))


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("cat: x: No such file or directory", asyncssh.SFTPNoSuchFile),
        ("sh: 1: cannot create /a/b: Directory nonexistent", asyncssh.SFTPNoSuchFile),
        ("sh: 1: cannot create /x: Permission denied", asyncssh.SFTPPermissionDenied),
        ("dd: error writing 'x': No space left on device", asyncssh.SFTPFailure),
        ("", asyncssh.SFTPFailure),
    ],
)
def test_what_a_script_said_is_an_error_of_sftp(said: str, kind: type[Exception]) -> None:
    assert type(failure(said)) is kind


# asyncssh's own act on this host's files; these act on none.
HARMLESS = {"channel", "connection", "env", "logger", "convert_attrs", "format_longname", "map_path",
            "reverse_map_path", "supports_copy_files"}  # fmt: skip


def test_no_operation_reaches_this_hosts_files() -> None:
    """Whatever the next asyncssh offers is to be looked at."""
    public = {name for name in vars(asyncssh.SFTPServer) if not name.startswith("_")}
    assert public - set(vars(Files)) <= HARMLESS
