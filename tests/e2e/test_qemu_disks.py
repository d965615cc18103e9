"""What a machine's disk is built of: only what changed is built again."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.conftest import make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Project

SPEC = """\
version: 1
name: disks
base: debian:12
packages: [rsync]
users:
  dev: {shell: /bin/bash}
files:
  /etc/motd: {content: "hello"}
run:
  - {name: first, script: "echo first >/srv/first"}
  - {name: last, script: "STEP"}
"""
IMAGE = "provision-test-disks"
INSTALLS = "Setting up openssh-server"


@pytest.fixture
def vm(tmp_path: Path) -> Iterator[Project]:
    yield make_project(tmp_path / "project", "vm")
    subprocess.run(["docker", "rmi", "--force", IMAGE], capture_output=True, check=True)


def build(vm: Project, step: str, *options: str) -> str:
    """What the builder says of a machine whose last step is this, with the machine's image in the engine."""
    vm.spec(SPEC.replace("STEP", step))
    vm.good("render", "-o", str(vm.folder / "rendering"))
    words = ["docker", "buildx", "build", "--progress", "plain", "--target", "machine",
             "--load", "--tag", IMAGE, *options, str(vm.folder / "rendering/disks")]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def inside(script: str) -> str:
    words = ["docker", "run", "--rm", "--entrypoint", "sh", IMAGE, "-ec", script]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def was_cached(said: str, layer: str) -> bool:
    number = next(line.split()[0] for line in said.splitlines() if layer in line)
    return f"{number} CACHED" in said.splitlines()


def test_a_change_in_the_last_step_costs_that_layer(vm: Project) -> None:
    build(vm, f"echo {uuid4()} >/srv/last")
    text = str(uuid4())  # the builder has kept what earlier runs built
    said = build(vm, f"echo {text} >/srv/last")
    assert was_cached(said, "[guest 1/1]")
    assert was_cached(said, "[container 2/3]")
    assert not was_cached(said, "[container 3/3]")
    assert INSTALLS not in said
    assert inside("cat /srv/last") == f"{text}\n"
    assert inside("dpkg-query -W -f '${Status}' openssh-server") == "install ok installed"
    assert inside("getent passwd sshd").startswith("sshd:x:")


def test_packages_that_were_installed_anew_are_the_same_ones(vm: Project) -> None:
    """As `up --rebuild` of the container does: files of another hour, with what was in them before."""
    build(vm, f"echo {uuid4()} >/srv/last")
    build(vm, f"echo {uuid4()} >/srv/last", "--target", "container", "--no-cache")
    said = build(vm, f"echo {uuid4()} >/srv/last")
    assert was_cached(said, "[guest 1/1]")
    assert INSTALLS not in said


@pytest.mark.parametrize(
    ("step", "path"),
    [
        pytest.param("useradd --system other", "/etc/group", marks=pytest.mark.thorough),
        ("mkdir -p /etc/ssh; echo X11Forwarding no >/etc/ssh/sshd_config", "/etc/ssh/"),
        pytest.param(
            "apt-get update && apt-get install -y --no-install-recommends dbus-bin",
            "/etc/ld.so.cache",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_what_a_step_changed_is_not_overwritten(vm: Project, step: str, path: str) -> None:
    """The packages are installed after it then: dpkg knows what is to stay."""
    said = build(vm, f"{step}; : {uuid4()}").partition("changed by a step: ")[2]
    assert path in said.partition("\n")[0]
    assert INSTALLS in said
    assert inside("dpkg --audit") == ""
