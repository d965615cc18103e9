"""A verb that is handed over to another host: its words there, what it writes, what is copied."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provision import changes, resources, trust
from provision.backends.vm.vagrant.libvirt import elsewhere
from provision.errors import UsageError
from provision.handover.connection import Connection
from provision.handover.program import PACKAGE, _files
from provision.handover.session import Call, written_files
from provision.handover.words import translated
from provision.leftovers import TEMPORARY
from provision.trust import Answer, Trust

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.processes

PROJECT = Path("/home/me/shop")


def call(*words: str) -> Call:
    return Call(
        verb=words[0], words=words, spec=PROJECT / "provision.yaml",
        project=PROJECT, backend="vm", environment="shop", arguments=(), variables=(), settings={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "here", "there"),
    [
        ("up", "", "up"),
        ("up envs/dev.yaml", "", "up envs/dev.yaml"),
        ("up dev.yaml", "envs", "up dev.yaml"),
        ("up ../envs/dev.yaml", "envs", "up dev.yaml"),
        ("up /home/me/shop/envs/dev.yaml", "envs", "up dev.yaml"),
        ("up shop/envs/dev.yaml", "..", "up envs/dev.yaml"),
        ("up /etc/other.yaml", "", "up /etc/other.yaml"),
        ("up --host big --yes", "", "up --yes"),
        ("up --yes --host=big", "", "up --yes"),
        ("status -b auto", "", "status -b vm"),
        ("status --backend=auto --format json", "", "status --backend=vm --format json"),
        ("exec --host big -- curl --host big -b auto", "", "exec -- curl --host big -b auto"),
        ("exec curl --host small", "", "exec curl --host small"),
        ("exec -- cat /home/me/shop/envs/dev.yaml", "", "exec -- cat /home/me/shop/envs/dev.yaml"),
    ],
)
def test_words_are_right_in_the_copy(words: str, here: str, there: str) -> None:
    folder = Path(os.path.normpath(PROJECT / here))
    found = translated(words.split(), folder=PROJECT, here=folder, host="big", backend="vm")
    assert found == tuple(there.split())


@pytest.mark.parametrize(
    ("words", "here", "expected"),
    [
        ("up --yes", "", []),
        ("exec grep -o x", "", []),
        ("exec -- grep --output=x", "", []),
        ("verify --junit report.xml", "", ["report.xml"]),
        ("verify --junit=report.xml --html all.html", "envs", ["envs/report.xml", "envs/all.html"]),
        ("render -o ../out", "envs", ["out"]),
        ("render -o ../../out", "envs", "-o names ../../out, which is not in the project"),
        ("inventory --output=/tmp/all.json", "", "--output names /tmp/all.json, which is not in the project"),
        ("verify --junit report.xml", "..", "--junit names report.xml, which is not in the project"),
    ],
)
def test_what_a_verb_writes_is_brought_where_it_is_in_the_project(
    words: str, here: str, expected: list[str] | str
) -> None:
    folder = Path(os.path.normpath(PROJECT / here))
    if isinstance(expected, list):
        assert written_files(call(*words.split()), folder) == tuple(PROJECT / path for path in expected)
        return
    with pytest.raises(UsageError) as refused:
        written_files(call(*words.split()), folder)
    assert expected in refused.value.message
    assert str(PROJECT) in refused.value.hint


@pytest.mark.parametrize(
    ("uri", "address", "variables"),
    [
        ("qemu+ssh://me@big/system", "ssh://me@big", {"LIBVIRT_DEFAULT_URI": "qemu:///system"}),
        ("qemu+ssh://me@big:2222/session", "ssh://me@big:2222", {"LIBVIRT_DEFAULT_URI": "qemu:///session"}),
        ("qemu+ssh://localhost/system", "", {}),
        ("qemu+tls://big/system", "", {}),
        ("qemu:///system", "", {}),
        ("", "", {}),
    ],
)
def test_the_host_of_an_address_of_libvirt(uri: str, address: str, variables: Mapping[str, str]) -> None:
    assert elsewhere(uri) == (address, variables)


def test_a_script_runs_in_the_home_folder_whatever_the_login_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provision.runtime.SOCKETS", tmp_path)
    words = Connection("ssh://me@big:2222").words("-t", script="echo 'a b' $HOME")
    assert words[0] == "ssh"
    assert words[-8:-1] == ["-t", "-l", "me", "-p", "2222", "--", "big"]
    said = subprocess.run(["sh", "-c", words[-1]], capture_output=True, text=True, check=True, env={
        "HOME": str(tmp_path), "PATH": os.environ["PATH"],
    })  # fmt: skip
    assert said.stdout == f"a b {tmp_path}\n"


def test_all_that_provision_needs_is_copied(tmp_path: Path) -> None:
    """A Python that has nothing else reads a spec with it."""
    for name, path in _files():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(path)
    assert (tmp_path / "provision" / "schemas").is_dir()
    (tmp_path / "provision.yaml").write_text("version: 1\nname: dev\nbase: debian:12\n")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['provision', 'validate'];"
        " from provision.__main__ import main; main()"
    )
    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert PACKAGE.name == "provision"
    assert resources.folder("schemas").is_dir()


BEGINS = (
    "import os, time; from provision.handover import there; there.begin();"
    " print(os.environ['X'], flush=True);"
)


def _handed_over(tmp_path: Path, after: str) -> subprocess.Popen[bytes]:
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "variables").write_text(json.dumps({"X": "of the caller"}))
    return subprocess.Popen(
        [sys.executable, "-c", BEGINS + after], stdout=subprocess.PIPE,
        env={**os.environ, "PROVISION_HANDED_OVER": str(tmp_path / "left" / "variables")},
    )  # fmt: skip


def test_variables_of_the_caller_are_taken_once(tmp_path: Path) -> None:
    with _handed_over(tmp_path, "print('PROVISION_HANDED_OVER' in os.environ)") as running:
        stdout, _ = running.communicate(timeout=60)
    assert stdout == b"of the caller\nFalse\n"
    assert not (tmp_path / "left").exists()


def test_what_is_left_for_a_verb_is_where_gc_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provision.runtime.SOCKETS", tmp_path)
    monkeypatch.setattr("provision.runtime.MEMORY", tmp_path / "none")
    connection = Connection("ssh://big")
    monkeypatch.setattr(connection, "words", lambda *, script: ["sh", "-c", script])
    left = Path(connection.leave({"X": "1"}))
    assert json.loads(left.read_text()) == {"X": "1"}
    assert (left.stat().st_mode & 0o77, left.parent.stat().st_mode & 0o77) == (0, 0)
    assert TEMPORARY.fullmatch(left.parent.name)


def test_a_verb_ends_when_its_caller_has_gone(tmp_path: Path) -> None:
    with _handed_over(tmp_path, "time.sleep(600)") as running:
        assert running.stdout
        assert running.stdout.readline() == b"of the caller\n"
        running.stdout.close()
        assert running.wait(60) == -signal.SIGTERM


def test_a_word_is_handed_over_where_nothing_of_it_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "kept_answers", dict)
    said = [("outside", True), ("outside", False), ("network", True), ("agent", False)]
    answers = {str(at): Answer(word=word, what=word, allowed=yes) for at, (word, yes) in enumerate(said)}
    found = Trust(words=frozenset({"host-env"}), answers=answers)
    assert found.whole_words() == {"host-env", "network"}


def test_only_changes_are_packed(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("same", "other", "gone"):
        (folder / name).write_text(name)
    before = changes.scan(folder)
    (folder / "other").write_text("changed")
    (folder / "gone").unlink()
    (folder / "gone").mkdir()
    changed, gone = changes.difference(before, changes.scan(folder))
    assert (set(changed), gone) == ({"other", "gone"}, ("gone",))
    stream = io.BytesIO()
    changes.pack(folder, [*changed, "vanished"], stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        members = {member.name: member for member in archive}
    assert set(members) == {".", "./other", "./gone"}
    assert members["./other"].uid == os.getuid()
