"""/tmp of a container is on its disk, and is emptied at a start; what is mounted in it is somebody's data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import Project, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEC = r"""
version: 1
name: tmp
base: debian:12
volumes: {deep: /tmp/a b/deep, flat: /tmp/flat}
mounts: {/tmp/shown: {source: shown}}
"""
LEAVE = r"""
cd /tmp
mkdir -p .hidden ..two plain/below 'a b/left' -- -r
touch file .hidden/file ..two/file plain/below/file 'a b/left/file' 'a b/deep/data' flat/data -- '-r/file'
ln -s flat link
ln -s "$PWD/a b/deep" 'a b/link'
touch "$(printf 'two\nlines')"
"""


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A container that is stopped with things in its /tmp, and started."""
    project = make_project(tmp_path_factory.mktemp("tmp") / "project", "docker")
    project.spec(SPEC)
    project.write("shown/of-the-host", "kept")
    try:
        project.up("--no-verify")
        project.inside(LEAVE, user="root")
        project.good("stop")
        project.up("--no-verify")
        yield project
    finally:
        project.run("down", "--volumes", "--images")


def test_what_is_left_is_gone(again: Project) -> None:
    listed = again.inside("cd /tmp && find . -mindepth 1 ! -path './.*-unix' | sort", user="root")
    assert listed.splitlines() == [
        "./a b", "./a b/deep", "./a b/deep/data", "./flat", "./flat/data", "./shown", "./shown/of-the-host",
    ]  # fmt: skip


def test_what_is_mounted_is_kept(again: Project) -> None:
    assert (again.folder / "shown" / "of-the-host").read_text() == "kept"


def test_it_is_on_the_disk_for_everyone(again: Project) -> None:
    same = again.inside("stat -c %d / /tmp; stat -c '%a %U' /tmp").split()
    assert same[0] == same[1]
    assert same[2:] == ["1777", "root"]
