"""A file of the host that a container mounts alone, and that an editor replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import Project, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEC = """
version: 1
name: file-mounts
base: debian:12
mounts:
  /etc/app.conf: {source: "app conf"}
  /srv/folder: {source: folder}
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Project]:
    project = make_project(tmp_path / "project", "docker")
    project.write("app conf", "one\n")
    project.write("folder/file", "one\n")
    project.spec(SPEC)
    try:
        yield project
    finally:
        project.good("down", "--volumes", "--images")


@pytest.mark.parametrize("how", ["replaced", "kept beside"])
def test_the_next_up_brings_the_new_file(up: Project, how: str) -> None:
    said = up.run("up")
    assert said.code == 0, said.all
    assert "file-mounts mounts the file app conf: once an editor has replaced it" in said.stderr
    file = up.folder / "app conf"
    if how == "kept beside":
        file.rename(up.folder / "app conf~")
    up.write("new", "two\n").rename(file)
    up.write("other", "two\n").rename(up.folder / "folder" / "file")
    assert up.inside("cat /etc/app.conf /srv/folder/file") == "one\ntwo\n"
    planned = up.run("plan")
    assert planned.code == 10, planned.all
    assert "update a secret or a mounted file" in planned.stdout
    assert "the file /etc/app.conf was replaced" in planned.stdout
    said = up.run("up")
    assert "file-mounts gets the new file at /etc/app.conf" in said.stderr, said.all
    assert up.inside("cat /etc/app.conf") == "two\n"
    assert "no changes" in up.good("up")


def test_a_file_that_is_written_in_place_needs_nothing(up: Project) -> None:
    up.up()
    up.write("app conf", "two\n")
    assert up.inside("cat /etc/app.conf") == "two\n"
    assert "no changes" in up.good("up")
