"""The verbs of every day on containers: start, pause, and what follows a failed or interrupted `up`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import Project, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEC = """
version: 1
name: daily
base: debian:12
packages: [rsync]
users: {dev: {uid: 1234}}
machines:
  db:
    services: {store: {command: sleep infinity}}
    volumes: {data: /srv/data}
  web:
    needs: [db]
    workspace: {source: ., path: /work, user: dev}
    services: {site: {command: sleep infinity}}
    ports: ["8080"]
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = make_project(tmp_path_factory.mktemp("daily") / "project", "docker")
    project.spec(SPEC)
    try:
        project.up("--no-verify")
        yield project
    finally:
        project.good("down", "--volumes", "--images")


@pytest.fixture
def as_asked(up: Project) -> Iterator[Project]:
    """The environment, its spec and its machines as they were, whatever a test does to them."""
    yield up
    up.spec(SPEC)
    up.up("--no-verify")


def states(project: Project) -> dict[str, str]:
    machines = project.run("status", "--format", "json").json()["machines"]
    return {machine["name"]: machine["state"] for machine in machines}


# --- start


def test_start_starts_what_stop_stopped(as_asked: Project) -> None:
    before = as_asked.inside_of("web", "echo kept >/opt/kept; cat /proc/sys/kernel/hostname")
    assert "already running" in as_asked.good("start")
    as_asked.good("stop", "-m", "web")
    assert states(as_asked) == {"db": "running", "web": "stopped"}
    assert "web is running again" in as_asked.good("start", "-m", "web")
    as_asked.good("stop")
    assert "web is running again" in as_asked.good("start", "-m", "web")
    assert states(as_asked) == {"db": "stopped", "web": "running"}
    assert "daily is running again" in as_asked.good("start")
    assert states(as_asked) == {"db": "running", "web": "running"}
    assert as_asked.inside_of("web", "cat /opt/kept; cat /proc/sys/kernel/hostname") == f"kept\n{before}"
    assert set(as_asked.actions().values()) == {"none"}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (SPEC.replace("8080", "8081"), "web: port 8081 added, port 8080 removed"),
        (SPEC + "nonsense: true\n", "it has problems now"),
    ],
    ids=["changed", "broken"],
)
def test_start_applies_no_changed_spec_and_says_so(as_asked: Project, spec: str, says: str) -> None:
    as_asked.good("stop")
    as_asked.spec(spec)
    said = as_asked.run("start")
    assert said.code == 0, said.all
    assert f"the spec has changed and was not applied: {says}" in said.stderr
    assert "provision up" in said.stderr
    ports = as_asked.good("port", "web")
    assert "8080/tcp" in ports
    assert "8081" not in ports


def test_start_creates_nothing(as_asked: Project) -> None:
    as_asked.good("down")
    said = as_asked.run("start")
    assert (said.code, said.stdout) == (1, "")
    assert "daily is not up in docker: there is nothing to start" in said.stderr
    assert "`provision up` brings it up" in said.stderr


# --- pause


def test_paused_machines_stand_still_until_they_go_on(as_asked: Project) -> None:
    assert "web is paused" in as_asked.good("pause", "-m", "web")
    assert states(as_asked) == {"db": "running", "web": "paused"}
    said = as_asked.run("start")
    assert said.code == 1
    assert "web is paused" in said.stderr
    assert "daily is paused" in as_asked.good("pause")
    assert "was not running" in as_asked.good("pause")
    assert states(as_asked) == {"db": "paused", "web": "paused"}
    assert "is running again" in as_asked.good("unpause")
    assert "was not paused" in as_asked.good("unpause")
    assert as_asked.inside_of("web", "echo answers") == "answers\n"
    assert as_asked.run("pause", "-m", "nobody").code == 2
