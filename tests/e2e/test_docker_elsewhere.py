"""An engine on another host, over ssh: what `up` made there is as here, without a file of this host."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from provision import runtime
from provision.state import StateDir, on_host
from tests.conftest import ALLOWED, make_project
from tests.e2e.far_host import ADDRESS, far_host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Project
    from tests.e2e.far_host import FarHost

SPEC = """
version: 1
name: away
base: debian:12
packages: [busybox]
users: {dev: {uid: host, shell: /bin/bash}}
workspace: {source: work, path: /workspace, user: dev}
mounts:
  /etc/away.conf: {source: away.conf}
  /srv/data: {source: data, read_only: true}
secrets: {password: {file: password.txt}}
services:
  web: {command: busybox httpd -f -p 8080 -h /workspace/page, user: dev, ready: {tcp: 8080}}
ports: ["8080"]
checks:
  - {http: "http://localhost:8080/index.html", from: host}
  - {command: cat /etc/away.conf, stdout: configured}
"""


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarHost]:
    with far_host(tmp_path_factory.mktemp("far") / "host") as found:
        yield found


@pytest.fixture
def away(far: FarHost, tmp_path: Path) -> Iterator[Project]:
    project = make_project(tmp_path / "project", "docker")
    project.environment = dict(far.variables)
    project.spec(SPEC)
    project.write("work/page/index.html", "hello\n")
    project.write("away.conf", "configured\n")
    project.write("data/one", "1\n")
    project.write("password.txt", "secret\n")
    try:
        yield project
    finally:
        project.good("down", "--volumes")


def _page(project: Project) -> str:
    where = project.good("port", "8080").strip()
    with urllib.request.urlopen(f"http://{where}/index.html", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def wait_for(it: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Wait until it is so; `otherwise` tells what there is instead."""
    deadline = time.monotonic() + 180
    while not it():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.3)


def _container(project: Project) -> str:
    state_dir = StateDir.of(project.folder, "away", "docker", host=on_host(ADDRESS))
    return f"{state_dir.unique_name}-away-1"


def _control(project: Project) -> Path:
    state_dir = StateDir.of(project.folder, "away", "docker", host=on_host(ADDRESS))
    return runtime.sockets() / f"ssh-{state_dir.id}"


def test_an_environment_lives_on_another_host(away: Project) -> None:
    text = away.run("up")
    assert text.code == 0, text.all
    assert f"on {ADDRESS}: folders are copied there, and ports forwarded by ssh" in text.stderr

    # Nothing of this host is mounted, and nothing is published for others.
    words = ["docker", "inspect", _container(away)]
    [container] = json.loads(subprocess.check_output(words, text=True))
    assert {mount["Type"] for mount in container["Mounts"]} == {"volume"}
    bindings = container["NetworkSettings"]["Ports"]["8080/tcp"]
    assert [binding["HostIp"] for binding in bindings] == ["127.0.0.1"]

    assert _page(away) == "hello\n"
    assert away.inside("cat /run/secrets/password", user="root") == "secret\n"
    assert away.inside("stat -c %U /workspace/page/index.html") == "dev\n"
    assert away.inside("cat /srv/data/one; touch /srv/data/two 2>&1; true", user="root").startswith("1\n")
    assert away.plan()["machines"][0]["action"] == "none"

    # A later copy sends what has changed, removes what is gone, and leaves what the machine made.
    away.inside("echo made > /workspace/page/made")
    away.write("work/page/index.html", "again\n")
    (away.folder / "work" / "page" / "new").symlink_to("index.html")
    away.good("sync")
    assert _page(away) == "again\n"
    (away.folder / "work" / "page" / "new").unlink()
    away.good("sync")
    assert away.inside("ls /workspace/page").split() == ["index.html", "made"]
    away.write("copied", "in\n")
    away.good("cp", "copied", "away:/tmp/copied")
    assert away.inside("cat /tmp/copied") == "in\n"
    assert away.run("logs", "web").code == 0

    # A secret is in memory alone: a container that starts without us waits for it, and `up` sends it.
    subprocess.run(["docker", "restart", "--time", "5", _container(away)], check=True, capture_output=True)
    away.up()
    assert _page(away) == "again\n", "the engine chose another port, which the forward follows"
    assert away.inside("cat /run/secrets/password", user="root") == "secret\n"

    assert _control(away).exists()
    away.good("stop")
    assert not _control(away).exists()
    away.good("start")
    assert _page(away) == "again\n"
    away.good("down")
    assert not _control(away).exists()


def test_the_verbs_of_every_day_work_there_as_here(away: Project) -> None:
    away.spec(SPEC.replace("packages: [busybox]", "packages: [busybox]\nvolumes: {kept: /kept}"))
    away.up()
    [there] = [each for each in json.loads(away.good("list", "--format", "json"))["environments"]
               if each["name"] == "away" and each["state"] == "running"]  # fmt: skip
    assert there["folder"] == str(away.folder)
    assert away.good("open", "--print").startswith("http://127.0.0.1:")
    assert "away" in away.good("top", "--once")
    (away.folder / "ssh_config").write_text(away.good("ssh-config"))
    environment = {**os.environ, **away.environment}
    words = ["ssh", "-F", str(away.folder / "ssh_config"), "away", "cat /etc/away.conf"]
    assert subprocess.check_output(words, env=environment, text=True) == "configured\n"
    assert away.good("ssh", "--", "cat", "/etc/away.conf") == "configured\n"

    away.good("pause")
    assert json.loads(away.good("status", "--format", "json"))["machines"][0]["state"] == "paused"
    away.good("unpause")
    away.good("restart", "web")
    assert _page(away) == "hello\n"
    assert "no changes since up" in away.good("diff", "--since-up")
    assert "busybox" in away.good("inventory")

    away.inside("echo before >/kept/file; echo before >/opt/file", user="root")
    away.good("snapshot", "save", "one")
    assert "one" in away.good("snapshot", "list")
    away.inside("echo after >/kept/file; echo after >/opt/file", user="root")
    away.good("snapshot", "restore", "--yes", "one")
    assert away.inside("cat /kept/file /opt/file") == "before\nbefore\n"
    assert _page(away) == "hello\n"

    found = json.loads(away.good("gc", "--format", "json"))
    assert not [each for each in found["environments"] if each["folder"] == str(away.folder)]


@pytest.mark.thorough
def test_a_host_of_the_configuration_has_environments_of_its_own(
    far: FarHost, away: Project, tmp_path: Path
) -> None:
    away.spec("version: 1\nname: away\nbase: debian:12\n")
    configuration = tmp_path / "configuration" / "provision" / "config.yaml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(f"hosts: {{big: {{docker: '{ADDRESS}'}}}}\n")
    named = replace(away, environment={**far.variables, "XDG_CONFIG_HOME": str(tmp_path / "configuration")})
    named.environment.pop("DOCKER_HOST")
    try:
        named.up("--host", "big")
        assert named.run("status", "--format", "json").json()["machines"][0]["state"] == "absent"
        assert json.loads(named.good("status", "--host", "big", "--format", "json"))["machines"][0][
            "state"
        ] == ("running")
        assert _container(away) != named.container("away")
        listed = named.good("list")
        assert ADDRESS in listed
        said = named.run("down", "away")
        assert said.code == 2, said.all
        assert f"is on {ADDRESS}" in said.stderr
    finally:
        named.good("down", "--host", "big")

    said = named.run("up", "--host", "small")
    assert said.code == 2
    assert "your configuration has no host small" in said.stderr
    assert "known: big" in said.stderr
    said = named.run("plan", "--host", "big", "-b", "vm")
    assert said.code == 2
    assert "your configuration has no address for vm on the host big" in said.stderr


def test_watch_copies_what_changes_in_the_workspace(away: Project, tmp_path: Path) -> None:
    printed = tmp_path / "printed"
    with printed.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "provision", "watch", "--no-verify"], cwd=away.folder,
            stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, "PROVISION_ALLOW": ALLOWED, "PROVISION_BACKEND": "docker", **away.environment},
        )  # fmt: skip
    try:
        wait_for(lambda: "watching for changes" in printed.read_text(), printed.read_text)
        away.write("work/page/index.html", "changed\n")
        wait_for(lambda: _page(away) == "changed\n", printed.read_text)
    finally:
        os.killpg(child.pid, signal.SIGINT)
        assert child.wait(60) == 130


def test_compare_does_not_measure_another_host(away: Project) -> None:
    said = away.run("compare", "--rows", "memory")
    assert said.code == 3, said.all
    assert f"its engine is at {ADDRESS}, and what is measured is this host" in said.stderr


@pytest.mark.parametrize(
    ("keys", "address", "reason"),
    [
        ('ports: ["53/udp"]', ADDRESS, "cannot publish 53/udp: its engine is at ssh://far"),
        ('ports: ["80"]', "tcp://far:2375", "cannot publish port 80: its engine is at tcp://far:2375"),
    ],
)
def test_what_another_host_cannot_give_is_refused_with_the_reason(
    keys: str, address: str, reason: str, project: Project
) -> None:
    project.spec(f"version: 1\nname: away\nbase: debian:12\n{keys}\n")
    said = project.run("validate", "-b", "docker", env={"DOCKER_HOST": address, "PATH": os.environ["PATH"]})
    assert said.code == 2, said.all
    assert reason in said.all
