"""A copy over a local `sh` and `tar`, instead of a machine's: both ways, and what fails."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provision import copying
from provision.copying import Options, copy, place_of
from provision.errors import EnvironmentFailed, ProvisionError
from provision.target import Target
from tests.trees import described, grow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.processes


def local(words: Sequence[str], *, user: str, workdir: str, terminal: bool) -> list[str]:
    assert user in ("me", "root")  # root ends what is left
    assert not terminal
    return ["sh", "-c", 'cd "$0" && exec "$@"', workdir, *words]


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    with Target("dev", local, user="me", workdir="/", ports=()) as target:
        yield target


def run(target: Target, source: str, destination: str, *, follow: bool = False) -> tuple[str, ...]:
    return copy(target, place_of(source), place_of(destination), Options(follow=follow))


@pytest.mark.parametrize("way", ["in", "out"])
@pytest.mark.parametrize(
    ("source", "there", "destination", "result"),
    [
        ("tree", (), "new", "new"),
        ("tree", (), "new/", "new"),
        ("tree/.", (), "new", "new"),
        ("tree", ("new",), "new", "new/tree"),
        ("tree/", ("new",), "new/", "new/tree"),
        ("tree/.", ("new",), "new", "new"),
        ("tree", ("new", "new/tree"), "new", "new/tree"),
        ("-tree", (), "new", "new"),
    ],
)
def test_a_folder_comes_whole(
    target: Target,
    tmp_path: Path,
    way: str,
    source: str,
    there: tuple[str, ...],
    destination: str,
    result: str,
) -> None:
    here, inside = tmp_path / "out", tmp_path / "in"
    origin, goal = (here, inside) if way == "in" else (inside, here)
    grow(origin / source.removesuffix("/."), repeats=300)
    for path in there:
        (goal / path).mkdir()
    words = (f"./{source}", f"dev:{inside}/{destination}")
    words = words if way == "in" else (f":{inside}/{source}", destination)
    assert run(target, *words) == ()
    assert described(goal / result) == described(origin / source.removesuffix("/."))


@pytest.mark.parametrize("way", ["in", "out"])
def test_a_file_replaces_a_file_and_a_link_leads(target: Target, tmp_path: Path, way: str) -> None:
    here, inside = tmp_path / "out", tmp_path / "in"
    origin, goal = (here, inside) if way == "in" else (inside, here)
    (origin / "a").write_text("new")
    (origin / "to-a").symlink_to("a")
    (goal / "b").write_text("old")
    (goal / "to-b").symlink_to("b")
    (goal / "folder").mkdir()
    (goal / "to-folder").symlink_to("folder")

    def cp(source: str, destination: str, *, follow: bool = False) -> None:
        if way == "in":
            run(target, source, f":{inside}/{destination}", follow=follow)
        else:
            run(target, f":{inside}/{source}", f"{destination}", follow=follow)

    cp("a", "to-b")
    assert (goal / "to-b").is_symlink()
    assert (goal / "b").read_text() == "new"
    cp("a", "to-folder")
    assert (goal / "folder" / "a").read_text() == "new"
    cp("to-a", "folder/")
    assert str((goal / "folder" / "to-a").readlink()) == "a"
    cp("to-a", "folder", follow=True)
    assert (goal / "folder" / "to-a").read_text() == "new"
    assert not (goal / "folder" / "to-a").is_symlink()


@pytest.mark.parametrize(
    ("source", "destination", "said"),
    [
        (":{in}/nothing", "x", "{in}/nothing does not exist in dev"),
        (":{in}/file/", "x", "{in}/file is no folder in dev"),
        (":{in}/pipe", "x", "{in}/pipe is a device, a pipe or a socket"),
        (":{in}/folder", "file", "cannot copy to file: it is a file, and a folder cannot replace it"),
        (":{in}/file", "nothing/", "cannot copy to nothing/: there is no such folder"),
        (":{in}/file", "nothing/file", "{out}/nothing is no folder on this host"),
        (":{in}/folder", "nothing/folder", "{out}/nothing is no folder on this host"),
        (":{in}/file", "clash", "cannot copy a file to {out}/clash/file: it is a folder"),
        (":{in}/folder", "clash", "cannot copy a folder to {out}/clash/folder: it is a file"),
        ("nothing", ":{in}/x", "nothing does not exist on this host"),
        ("folder", ":{in}/file", "cannot copy to :{in}/file: it is a file, and a folder cannot replace it"),
        ("file", ":{in}/nothing/", "cannot copy to :{in}/nothing/: there is no such folder"),
        ("file", ":{in}/nothing/file", "{in}/nothing does not exist in dev"),
        ("file", ":{in}/clash", "cannot copy a file to {in}/clash/file: it is a folder"),
        ("folder", ":{in}/clash", "cannot copy a folder to {in}/clash/folder: it is a file"),
        ("-", ":{in}/file", ":{in}/file is no folder to unpack a stream in"),
    ],
)
def test_what_cannot_be_is_told_and_changes_nothing(
    target: Target, tmp_path: Path, source: str, destination: str, said: str
) -> None:
    for side in ("in", "out"):
        (tmp_path / side / "file").write_text("text")
        (tmp_path / side / "folder").mkdir()
        (tmp_path / side / "folder" / "a").write_text("a")
        (tmp_path / side / "clash" / "file").mkdir(parents=True)
        (tmp_path / side / "clash" / "folder").write_text("text")
        os.mkfifo(tmp_path / side / "pipe")
    names = {"in": str(tmp_path / "in"), "out": str(tmp_path / "out")}
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ProvisionError) as caught:
        run(target, source.format(**names), destination.format(**names))
    assert said.format(**names) in caught.value.message
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("target")
def test_what_tar_says_inside_is_the_evidence(tmp_path: Path) -> None:
    """As where the machine has none, and says so instead of an archive."""
    (tmp_path / "in" / "file").write_text("text")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "readlink"):
        found = subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True, check=True, text=True)
        (programs / name).symlink_to(found.stdout.strip())

    def without_tar(words: Sequence[str], *, user: str, workdir: str, terminal: bool) -> list[str]:
        return ["env", f"PATH={programs}", *local(words, user=user, workdir=workdir, terminal=terminal)]

    with Target("dev", without_tar, user="me", workdir="/", ports=()) as lacking:
        for source, destination in ((f":{tmp_path}/in/file", "x"), (".", f":{tmp_path}/in")):
            with pytest.raises(EnvironmentFailed, match="tar in dev ended with code 127") as caught:
                run(lacking, source, destination)
            assert "not found" in caught.value.evidence[-1]
            assert caught.value.hint == "dev has no tar: add tar to its `packages`"


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended may wait for its parent."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("way", ["in", "out"])
def test_no_tar_stays_in_the_machine_when_a_copy_is_interrupted(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Its client ends without a word to the machine, as `docker exec` and `ssh` do."""
    programs = tmp_path / "programs"
    programs.mkdir()
    pid = tmp_path / "pid"
    (programs / "tar").write_text(
        f'#!/bin/sh\n[ "$1" = --version ] || {{ echo $$ >{pid}; exec sleep 86399; }}\n'
    )
    (programs / "tar").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (tmp_path / "in" / "file").write_text("text")
    (tmp_path / "out" / "file").write_text("text")

    def interrupt(*_: object, **__: object) -> None:
        deadline = time.monotonic() + 20
        while not pid.exists() or not pid.read_text().strip():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(copying, "pack" if way == "in" else "unpack", interrupt)
    words = ("file", f":{tmp_path}/in") if way == "in" else (f":{tmp_path}/in/file", "x")
    with pytest.raises(KeyboardInterrupt):
        run(target, *words)
    assert not lives(int(pid.read_text()))


class Stdin:
    def __init__(self, content: bytes) -> None:
        self.buffer = io.BufferedReader(io.BytesIO(content))


class Stdout:
    def __init__(self) -> None:
        self.buffer = io.BytesIO()


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_stream_goes_in(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compress: object
) -> None:
    assert callable(compress)
    grow(tmp_path / "tree", repeats=300)
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(tmp_path / "tree", "tree")
    monkeypatch.setattr(sys, "stdin", Stdin(compress(written.getvalue())))
    run(target, "-", f":{tmp_path}/in")
    assert described(tmp_path / "in" / "tree") == described(tmp_path / "tree")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_broken_stream_is_told(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compress: object, damage: str
) -> None:
    assert callable(compress)
    whole = compress(os.urandom(100_000))
    broken = whole[:-40] if damage == "cut" else whole[:20] + bytes(40) + whole[60:]
    monkeypatch.setattr(sys, "stdin", Stdin(broken))
    with pytest.raises(ProvisionError, match=r"compressed and broken|Invalid data stream"):
        run(target, "-", f":{tmp_path}/in")


@pytest.mark.parametrize(
    ("source", "names"),
    [("tree", {"tree", "tree/a"}), ("tree/.", {".", "./a"}), ("tree/a", {"a"}), ("link", {"link"})],
)
def test_a_stream_comes_out(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, names: set[str]
) -> None:
    (tmp_path / "in" / "tree").mkdir()
    (tmp_path / "in" / "tree" / "a").write_text("a")
    (tmp_path / "in" / "link").symlink_to("tree")
    stdout = Stdout()
    monkeypatch.setattr(sys, "stdout", stdout)
    run(target, f":{tmp_path}/in/{source}", "-")
    with tarfile.open(fileobj=io.BytesIO(stdout.buffer.getvalue())) as archive:
        assert {name or "." for name in archive.getnames()} == names
