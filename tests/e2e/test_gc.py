"""`provision gc` with a real engine, in a state folder and cache of its own."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Project, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEC = """
    version: 1
    name: {name}
    base: debian:12
    env: {{MARK: {mark}}}
    run: [{{name: mark, script: 'echo {mark} >/mark'}}]
    volumes: {{data: /data}}
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    """A folder for state folders, caches and projects; nothing of theirs is left in the engine."""
    yield tmp_path
    for state in tmp_path.glob("state*"):
        for project in tmp_path.glob("project*"):
            if (project / "provision.yaml").exists():
                _of(tmp_path, project.name, state.name).run("down", "--volumes", "--images")


def _of(host: Path, name: str, state: str = "state") -> Project:
    project = make_project(host / name, "docker")
    project.environment = {
        "PROVISION_STATE_DIR": str(host / state),
        "XDG_CACHE_HOME": str(host / "cache"),
        "XDG_CONFIG_HOME": str(host / "config"),
    }
    return project


def _images(name: str) -> set[str]:
    words = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"provision/{name}"]
    return set(subprocess.run(words, capture_output=True, check=True, text=True).stdout.split())


def _volumes(name: str) -> list[str]:
    words = ["docker", "volume", "ls", "--quiet", "--filter", f"name={name}"]
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout.split()


def _age(host: Path, seconds: float = 3600) -> None:
    """Let every record be of an hour ago: what was just used stays."""
    for record in host.glob("state*/environments/*/docker/images.json"):
        os.utime(record, (time.time() - seconds,) * 2)


def test_what_is_gone_goes_and_what_is_stopped_stays(host: Path) -> None:
    mark = str(time.time_ns())  # images of this test alone
    stopped, removed = _of(host, "project-stopped"), _of(host, "project-removed")
    stopped.spec(SPEC.format(name="gc-stopped", mark=mark))
    stopped.up("--no-verify")
    superseded = _images("gc-stopped")
    stopped.spec(SPEC.format(name="gc-stopped", mark=f"{mark}b"))
    stopped.up("--no-verify")
    stopped.good("stop")
    current = _images("gc-stopped") - superseded
    removed.spec(SPEC.format(name="gc-removed", mark=f"{mark}c"))
    removed.up("--no-verify")
    (host / "project-removed").rename(host / "moved")
    _age(host)

    said = stopped.run("gc")
    assert said.code == 0, said.all
    assert "runs in docker, though its folder" in said.stderr
    listed = {(each["kind"], each["name"]) for each in stopped.run("gc", "--format", "json").json()["cached"]}
    assert listed == {("image", name) for name in superseded}
    assert _images("gc-stopped") == superseded | current, "nothing goes unasked"

    container = subprocess.run(
        ["docker", "ps", "-q", "--filter", "label=provision.environment=gc-removed"],
        capture_output=True, check=True, text=True,
    ).stdout.split()  # fmt: skip
    subprocess.run(["docker", "stop", *container], capture_output=True, check=True)
    found = stopped.run("gc", "--format", "json").json()
    assert [each["name"] for each in found["environments"]] == ["gc-removed"]
    assert found["size"] > 0
    stopped.good("gc", "--yes")
    assert _images("gc-removed") == set()
    assert _volumes("gc-removed") == []
    assert _images("gc-stopped") == current
    assert len(_volumes("gc-stopped")) == 1
    assert stopped.actions() == {"gc-stopped": "start"}
    listed = stopped.run("list", "--format", "json").json()["environments"]
    own = [each for each in listed if each["name"].startswith("gc-")]  # the engine is others' too
    assert [each["name"] for each in own] == ["gc-stopped"]
    assert own[0]["disk"] > 0


def test_other_state_folders_and_other_images_are_left_alone(host: Path) -> None:
    mark = str(time.time_ns())
    mine, theirs = _of(host, "project-mine"), _of(host, "project-theirs", "state-theirs")
    theirs.spec(SPEC.format(name="gc-theirs", mark=mark))
    theirs.up("--no-verify")
    theirs.good("down")
    mine.spec(SPEC.format(name="gc-mine", mark=f"{mark}b"))
    _age(host)
    images, volumes = _images("gc-theirs"), _volumes("gc-theirs")
    assert images
    assert volumes
    mine.good("gc", "--yes")
    (host / "project-theirs").rename(host / "moved")
    mine.good("gc", "--yes")
    assert (_images("gc-theirs"), _volumes("gc-theirs")) == (images, volumes), "it is recorded elsewhere"
    theirs = _of(host, "elsewhere", "state-theirs")
    assert [e["name"] for e in theirs.run("gc", "--format", "json").json()["environments"]] == ["gc-theirs"]
    theirs.good("gc", "--yes")
    assert (_images("gc-theirs"), _volumes("gc-theirs")) == (set(), [])


def test_a_limit_is_kept_by_up_itself(host: Path) -> None:
    project = _of(host, "project-limit")
    mark = str(time.time_ns())
    project.spec(SPEC.format(name="gc-limit", mark=mark))
    project.up("--no-verify")
    former = _images("gc-limit")
    project.good("down")
    project.write("../config/provision/config.yaml", "cache: {limit: 1 lot}\n")
    said = project.run("gc")
    assert said.code == 2
    assert "config.yaml:1:16" in said.stderr, said.all
    project.write("../config/provision/config.yaml", "cache: {limit: 0.001MiB}\n")
    _age(host)
    other = _of(host, "project-other")
    other.spec(SPEC.format(name="gc-other", mark=f"{mark}b"))
    said = other.run("up", "--no-verify")
    assert said.code == 0, said.all
    assert "the caches were over" in said.stderr
    assert not former & _images("gc-limit")
    assert _images("gc-other"), "it is in use"
