"""systemd as the init, in both forms: in a container without privileges, where its host allows it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

SPEC = """
version: 1
name: systemd
base: debian:12
requires: [systemd]
users: {app: {}}
env: {FROM_SPEC: it's $5}
packages: [nginx-light, cron]
run:
  - {name: timed, script: systemctl enable --now cron}
services:
  first:
    script: |
      echo "first begins with $FROM_SPEC"
      touch /run/first/ready
      exec sleep infinity
    user: app
    runtime_dirs: [first]
    limits: {nofile: 777}
    ready: {script: test -e /run/first/ready}
  second: {command: sleep infinity, needs: [first]}
  ssh: {command: sh -c 'echo no sshd; exec sleep infinity', needs: [dbus]}
  dbus: {command: sh -c 'echo no bus; exec sleep infinity'}
setup:
  - {name: asks, script: systemctl is-active provision-service-first}
checks:
  - {command: systemctl is-active provision-service-first, stdout: {equals: active}, requires: [systemd]}
  - {process: nginx, absent: true}
  - {process: cron, timeout: 30s}
"""


@pytest.fixture(scope="module")
def up(shared: Project) -> Project:
    shared.spec(SPEC)
    said = shared.run("up")
    if shared.backend == "docker" and said.code == 3:
        assert "this host cannot provide a container with systemd" in said.stderr
        assert "`-b vm` provides it" in said.stderr
        pytest.skip("the host's engine or cgroups do not allow it, which was said")
    assert said.code == 0, said.all
    return shared


def test_a_service_that_ends_at_once_is_seen_to_end(own: Project, up: Project) -> None:
    """Not after the 30 s that a stop may take."""
    if up.backend == "vm":
        pytest.skip("test_supervision asks that of every machine whose init is systemd")
    own.spec(
        "version: 1\nname: ends\nbase: debian:12\nrequires: [systemd]\n"
        "services:\n  never: {script: echo bye, restart: never}\n  loop: {script: echo loop; exit 3}\n"
    )
    said = own.run("up")
    assert said.code == 1
    assert "service loop of machine ends keeps exiting with code 3" in said.stderr
    assert own.inside("systemctl is-active provision-service-never || true").strip() == "inactive"


def test_it_is_process_1_and_runs_the_services_alone(up: Project) -> None:
    assert up.inside("cat /proc/1/comm").strip() == "systemd"
    assert up.checks()["command systemctl is-active provision-service-first"] == "passed"
    pid = up.inside("systemctl show --property MainPID --value provision-service-first", user="root").strip()
    assert "777" in up.inside(f"grep 'open files' /proc/{pid}/limits", user="root")


def test_a_service_may_be_called_as_one_of_the_system_is(up: Project) -> None:
    """The system's own goes on: a machine is entered through its sshd, and systemctl asks the bus."""
    assert up.good("logs", "ssh").strip().endswith("no sshd")
    up.good("restart", "ssh")
    bus = "systemctl show --property ActiveState,ExecStart --value dbus.service"
    assert "dbus-daemon" in (said := up.inside(bus, user="root"))
    assert "active" in said


def test_a_container_has_no_privilege_for_it(up: Project) -> None:
    if up.backend == "docker":
        said = subprocess.run(
            ["docker", "inspect", "--format", "{{json .HostConfig}}", up.container("systemd")],
            capture_output=True,
            check=True,
        )
        host = json.loads(said.stdout)
        assert (host["Privileged"], host["CapAdd"] or None) == (False, None)  # Podman says []
        assert "seccomp=unconfined" not in (host["SecurityOpt"] or [])


def test_logs_status_and_restart_go_through_it(up: Project) -> None:
    assert "first begins with it's $5" in up.good("logs", "first")
    states = {service["name"]: service["state"] for service in up.state()["services"]}
    assert states == dict.fromkeys(("first", "second", "ssh", "dbus"), "running")
    up.good("restart", "first")
    assert up.good("logs", "first").count("first begins") == 2
    assert "(no changes)" in up.up()


def test_a_service_that_is_never_ready_is_named_with_its_lines(up: Project) -> None:
    up.spec(SPEC.replace("{script: test -e /run/first/ready}", '{script: "false", timeout: 2s}'))
    said = up.run("up")
    assert said.code == 1
    assert "service first of machine systemd was not ready" in said.stderr
    assert "first begins" in said.stderr
    up.spec(SPEC)
    up.up()
