"""cp: files go into a machine and come out as they are, whichever form it has."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.trees import described, grow

if TYPE_CHECKING:
    from tests.conftest import Project

SPEC = """
version: 1
name: copy
base: debian:12
users: {app: {}}
workspace: {source: ./work, path: /work, user: app}
run:
  - mkdir --mode 0700 /srv/closed
  - mkdir -p /opt/stream/sub; echo text >/opt/stream/sub/file
"""
FILES = {"work/file": "here"}


@pytest.fixture(scope="module")
def up(shared: Project) -> Project:
    said = shared.run("cp", "provision.yaml", ":/tmp")
    assert said.code == 1
    assert "environment copy is not up" in said.stderr
    assert "hint: `provision up" in said.stderr
    shared.up("--no-verify")
    return shared


def test_a_folder_goes_in_and_comes_back_the_same(up: Project) -> None:
    tree = up.folder / "tree"
    grow(tree, repeats=5000)
    assert up.run("cp", "tree", "copy:/tmp").all == ""
    up.good("cp", "tree/.", ":/tmp/tree/inner", "-u", "app")
    owners = up.inside("find /tmp/tree -printf '%u:%g\\n' | sort -u; stat -c %a /tmp/tree/plain")
    assert owners == "app:app\n640\n"
    assert up.inside("cat '/tmp/tree/sub/-odd '*; readlink /tmp/tree/relative") == "oddsub\n"
    up.good("cp", "copy:/tmp/tree/inner", "back")
    assert described(up.folder / "back") == described(tree)
    assert {path.lstat().st_uid for path in (up.folder / "back").rglob("*")} == {os.getuid()}


def test_who_copies_may_what_that_user_may(up: Project) -> None:
    up.write("one", "one")
    said = up.run("cp", "one", ":/srv/closed/one")
    assert said.code == 1
    assert "/srv/closed does not exist in copy, or is no folder" in said.stderr
    assert "with `-u root` it is done as root" in said.stderr
    up.good("cp", "-u", "root", "one", ":/srv/closed/one")
    up.good("cp", "-a", "one", ":/srv/closed/two")
    numbers = up.inside("stat -c %u:%g /srv/closed/one /srv/closed/two", user="root")
    assert numbers == f"0:0\n{os.getuid()}:{os.getgid()}\n"
    up.good("cp", "-u", "root", ":/srv/closed/one", "two")
    assert (up.folder / "two").read_text() == "one"
    said = up.run("cp", "one", ":/etc/one")
    assert said.code == 1
    assert "ermission denied" in said.stderr
    assert "with `-u root` it is done as root" in said.stderr


def test_a_stream_goes_in_and_comes_out(up: Project) -> None:
    stream = up.raw("cp", ":/opt/stream", "-")
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        assert archive.getnames() == ["stream", "stream/sub", "stream/sub/file"]
    up.raw("cp", "-", ":/tmp", stdin=stream)
    assert up.inside("cat /tmp/stream/sub/file") == "text\n"


def test_what_a_machine_sends_stays_below_the_destination(up: Project) -> None:
    """Its tar is what somebody inside has made of it."""
    lie = io.BytesIO()
    with tarfile.open(fileobj=lie, mode="w") as archive:
        info = tarfile.TarInfo("../escaped")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"bad"))
    swap = (
        "mkdir /tmp/asked; cat >/srv/lie.tar; mv /bin/tar /bin/tar.true;"
        " printf '#!/bin/sh\\nexec cat /srv/lie.tar\\n' >/bin/tar; chmod +x /bin/tar"
    )
    try:
        up.raw("exec", "-u", "root", "--", "sh", "-c", swap, stdin=lie.getvalue())
        said = up.run("cp", ":/tmp/asked", "given")
    finally:
        up.inside("mv /bin/tar.true /bin/tar", user="root")
    assert said.code == 1
    assert "the machine sent '../escaped', which lies outside of what was asked for" in said.stderr
    assert not list(up.folder.rglob("escaped"))


def test_what_cannot_be_is_told(up: Project) -> None:
    up.write("spec.yaml", "a file to copy, and no spec")
    up.good("cp", "spec.yaml", ":/tmp/spec.yaml")
    for words, code, message in (
        ((":/nothing", "x"), 1, "/nothing does not exist in copy"),
        (("provision.yaml", "work", ":/tmp/spec.yaml"), 2, "it is a file, and a folder cannot replace it"),
        (("spec.yaml", "nobody:/tmp"), 2, "no machine is called nobody"),
    ):
        said = up.run("cp", *words)
        assert (said.code, message in said.stderr) == (code, True), said.all
