"""What the host's variables and the machine itself cannot turn into something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Project

SPEC = """
version: 1
name: walls
base: debian:12
workspace: {source: work, path: /workspace}
secrets: {token: {file: work/token.txt}}
services:
  idle: {command: sleep infinity, ready: {command: "true"}}
checks:
  - {pytest: test_walls.py}
"""
TEST = """
import os

def test_runs(host):
    assert host.file("/workspace/token.txt").exists
    assert not os.environ.get("PYTEST_ADDOPTS")
"""
FILES = {"test_walls.py": TEST, "work/token.txt": "first\n"}

# Each makes some program take another file, project, option or target than it is given.
OUTRANKING = {
    "COMPOSE_PROJECT_NAME": "elsewhere",
    "COMPOSE_FILE": "/nonexistent/compose.yaml",
    "COMPOSE_PROFILES": "none",
    "COMPOSE_ENV_FILES": "/nonexistent/env",
    "COMPOSE_DISABLE_ENV_FILE": "1",
    "BUILDKIT_PROGRESS": "rawjson",
    "BUILDX_BUILDER": "nonexistent",
    "DOCKER_BUILDKIT": "0",
    "DOCKER_DEFAULT_PLATFORM": "linux/s390x",
    "SOURCE_DATE_EPOCH": "never",
    "PYTEST_ADDOPTS": "--collect-only",
    "PYTEST_PLUGINS": "nonexistent",
    "VAGRANT_CWD": "/nonexistent",
    "VAGRANT_VAGRANTFILE": "Nonexistent",
    "VAGRANT_DOTFILE_PATH": "/nonexistent",
    "VAGRANT_DEFAULT_PROVIDER": "nonexistent",
    "SECRETS": "/nonexistent",
    "SECRET_TOKEN": "/etc/passwd",
    "SSH": "nonsense",
    "CDPATH": "/",
    "GIT_DIR": "/nonexistent",
}


@pytest.fixture(scope="module")
def up(shared: Project) -> Project:
    shared.environment.update(OUTRANKING)
    shared.up()
    return shared


def test_the_hosts_variables_change_nothing(up: Project) -> None:
    assert up.inside("cat /run/secrets/token") == "first\n"
    assert up.checks()["pytest test_walls.py::test_runs"] == "passed"
    assert up.run("plan").code == 0
    assert up.state()["state"] == "running"


def test_a_secret_that_is_replaced_by_a_link_is_refused(up: Project, tmp_path: Path) -> None:
    """The machine can write the folder in which the file lies."""
    stranger = tmp_path / "stranger"
    stranger.write_text("the host's own\n")
    up.inside(f"rm /workspace/token.txt && ln -s {stranger} /workspace/token.txt")
    try:
        said = up.run("up")
        assert (said.code, "outside the project folder" in said.all) == (2, True), said.all
        assert up.inside("cat /run/secrets/token") == "first\n"
    finally:
        up.inside("rm /workspace/token.txt && echo first > /workspace/token.txt")


def test_what_is_mounted_is_not_in_what_a_machine_can_write(project: Project) -> None:
    """It could put a link to / in its place, and be restarted into it."""
    project.write("work/data/file", "")
    project.spec(
        """
        version: 1
        name: walls
        base: debian:12
        workspace: {source: work, path: /workspace}
        mounts: {/srv/data: {source: work/data}}
        """
    )
    said = project.run("up")
    assert said.code == 2
    assert "provision.yaml:6:" in said.all
    assert "could replace it with a link" in said.all
    assert "/workspace/data" in said.all
