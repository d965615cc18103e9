"""Machines of QEMU that start from memory: as quick as a thaw, and stale in nothing."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.conftest import make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Project

SPEC = """
version: 1
name: thaw
base: debian:12
resources: {memory: 512MiB, cpus: 1}
workspace: {source: ., path: /workspace, user: dev}
users: {dev: {uid: host}}
services:
  page:
    command: sh -c "cd /srv && exec sleep infinity"
    ready: {command: test -e /etc/hostname}
setup:
  - {name: once, user: root, script: "echo ran >>/var/tmp/setup; cat /workspace/seed >/var/tmp/seed"}
ports: [{guest: 8080, optional: true}]
backends: {vm: {provider: qemu}}
"""
VOLUME = SPEC.replace("ports:", "volumes: {data: /srv/data}\nports:").replace("thaw", "volume")


@pytest.fixture(scope="module")
def thawed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A machine that was up, was changed, was taken down, and is up again from memory."""
    project = make_project(tmp_path_factory.mktemp("thaw") / "project", "vm")
    project.spec(SPEC)
    os.chown(project.folder, 1234, 1234)
    project.write("seed", "first\n")
    try:
        project.up()
        project.write("boot", project.inside("cat /proc/sys/kernel/random/boot_id"))
        project.write("random", project.inside("cat /proc/sys/kernel/random/uuid"))
        project.inside("touch /root/mine", user="root")
        project.good("down")
        project.write("seed", "second\n")
        said = project.run("up")
        assert said.code == 0, said.all
        assert "resuming from the saved state" in said.stderr
        yield project
    finally:
        project.good("down", "--volumes", "--images")


def test_it_was_not_booted_again(thawed: Project) -> None:
    boot = (thawed.folder / "boot").read_text()
    assert thawed.inside("cat /proc/sys/kernel/random/boot_id") == boot


def test_what_was_written_since_is_gone_as_with_a_container(thawed: Project) -> None:
    assert thawed.inside("ls /root", user="root") == ""


def test_its_clock_is_right(thawed: Project) -> None:
    before = int(time.time())
    told = int(thawed.inside("date +%s"))
    assert before - 2 <= told <= time.time() + 2


def test_its_random_pool_is_its_own(thawed: Project) -> None:
    assert thawed.inside("cat /proc/sys/kernel/random/uuid") != (thawed.folder / "random").read_text()
    assert "crng reseeded due to virtual machine fork" in thawed.inside("journalctl -k -b", user="root")


def test_setup_ran_once_and_saw_the_folder_of_today(thawed: Project) -> None:
    assert thawed.inside("cat /var/tmp/setup /var/tmp/seed") == "ran\nsecond\n"


def test_the_workspace_is_live_in_both_directions(thawed: Project) -> None:
    thawed.write("from-outside", "hello\n")
    assert thawed.inside("cat /workspace/from-outside") == "hello\n"
    thawed.inside("echo hello >/workspace/from-inside")
    assert (thawed.folder / "from-inside").read_text() == "hello\n"
    assert thawed.inside("stat -c %U /workspace/from-outside /workspace/from-inside") == "root\ndev\n"


def test_a_stopped_one_goes_on_where_it_was(thawed: Project) -> None:
    """Once: from then on the state would be older than the disk."""
    thawed.inside("echo mine >/root/mine; echo 1 >/dev/shm/in-memory", user="root")
    thawed.good("stop")
    assert thawed.state()["state"] == "stopped"
    thawed.write("while-stopped", "hello\n")
    said = thawed.run("up")
    assert said.code == 0, said.all
    assert "resuming from the saved state" in said.stderr
    assert (
        thawed.inside("cat /root/mine /dev/shm/in-memory /workspace/while-stopped", user="root")
        == "mine\n1\nhello\n"
    )
    assert abs(int(thawed.inside("date +%s")) - time.time()) < 3
    thawed.inside("echo later >/root/later; sync", user="root")
    pid = (thawed.state_dir("thaw").folder / "qemu/thaw.pid").read_text()
    os.kill(int(pid), signal.SIGKILL)
    said = thawed.run("up")
    assert said.code == 0, said.all
    assert "resuming from the saved state" not in said.stderr
    assert thawed.inside("cat /root/mine /root/later", user="root") == "mine\nlater\n"


@pytest.mark.thorough
def test_status_says_what_is_kept_and_down_images_empties_it(thawed: Project) -> None:
    assert thawed.state()["kept"] > 0
    assert "saved state for its next start" in thawed.good("status")
    thawed.good("down", "--images")
    assert "kept" not in thawed.state()
    assert not list((thawed.state_dir("thaw").folder / "qemu").glob("*.qcow2*"))
    said = thawed.run("up")
    assert said.code == 0, said.all
    assert "resuming from the saved state" not in said.stderr


@pytest.mark.thorough
def test_a_volume_keeps_what_was_written_since(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", "vm")
    project.spec(VOLUME)
    project.write("seed", "first\n")
    try:
        project.up()
        project.inside("echo one >/srv/data/one", user="root")
        project.good("down")
        said = project.run("up")
        assert "resuming from the saved state" in said.stderr
        assert project.inside("cat /srv/data/one") == "one\n"
        project.inside("echo two >/srv/data/two", user="root")
        project.good("down")
        project.up()
        assert project.inside("cat /srv/data/one /srv/data/two") == "one\ntwo\n"
    finally:
        project.good("down", "--volumes", "--images")


def test_no_secret_is_in_what_is_kept(tmp_path: Path) -> None:
    """Neither in the memory, for it is delivered later, nor in what a service wrote since."""
    project = make_project(tmp_path / "project", "vm")
    secret = "value-" + os.urandom(12).hex()
    project.spec(
        SPEC.replace("thaw", "hush").replace(
            "exec sleep", "cat /run/secrets/token >>/srv/told; sync; exec sleep"
        )
        + "secrets: {token: {env: HUSH_TOKEN}}\n"
    )
    project.environment["HUSH_TOKEN"] = secret
    project.write("seed", "first\n")
    try:
        project.up()
        assert project.inside("cat /run/secrets/token /srv/told", user="root") == secret + secret
        project.good("down")
        kept = project.state_dir("hush").folder / "qemu/hush.qcow2.kept"
        assert secret.encode() not in kept.read_bytes()
        said = project.run("up")
        assert "resuming from the saved state" in said.stderr
        assert project.inside("cat /run/secrets/token", user="root") == secret
    finally:
        project.good("down", "--volumes", "--images")


def test_without_it_where_the_spec_says_so(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", "vm")
    project.spec(SPEC.replace("thaw", "off").replace("provider: qemu", "provider: qemu, memory: off"))
    project.write("seed", "first\n")
    try:
        said = project.run("up")
        assert said.code == 0, said.all
        assert "memory" not in said.stderr
        assert "kept" not in project.state()
    finally:
        project.good("down", "--volumes", "--images")
