"""Podman's Docker-compatible socket as the engine: `make test-podman` asks the whole contract of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Project

pytestmark = pytest.mark.thorough

BASE = "debian:12"
SPEC = f"""
version: 1
name: podded
base: {BASE}
packages: [busybox]
users: {{dev: {{uid: host, shell: /bin/bash}}}}
workspace: {{source: work, path: /workspace, user: dev}}
volumes: {{data: /data}}
secrets: {{password: {{file: password.txt}}}}
services:
  web: {{command: busybox httpd -f -p 8080 -h /workspace, user: dev, ready: {{tcp: 8080}}}}
ports: ["8080"]
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Podman service of this module alone, which has the base."""
    if shutil.which("podman") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI has no podman")
        pytest.skip("no podman here: scripts/host-setup tests installs it")
    folder = tmp_path_factory.mktemp("podman")
    words = [str(ROOT / "scripts" / "podman-service"), "sh", "-c", 'echo "$DOCKER_HOST"; exec sleep infinity']
    service = subprocess.Popen(
        words,
        env={**os.environ, "PODMAN_STORAGE": str(folder / "storage")},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert service.stdout is not None
    try:
        address = service.stdout.readline().strip()
        assert address.startswith("unix://"), "the service did not start"
        inspect = ["docker", "image", "inspect", BASE]
        if subprocess.run(inspect, capture_output=True, check=False).returncode == 0:
            saved = subprocess.Popen(["docker", "save", BASE], stdout=subprocess.PIPE)
            load = ["docker", "--host", address, "load"]
            subprocess.run(load, stdin=saved.stdout, check=True, capture_output=True)
            assert saved.wait() == 0
        yield address
    finally:
        os.killpg(service.pid, signal.SIGTERM)
        service.wait()


@pytest.fixture
def podded(engine: str, tmp_path: Path) -> Iterator[Project]:
    project = make_project(tmp_path / "project", "docker")
    project.environment = {"DOCKER_HOST": engine}
    project.write("work/index.html", "hello\n")
    project.write("password.txt", "secret\n")
    project.spec(SPEC)
    try:
        yield project
    finally:
        project.good("down", "--volumes", "--images")


def test_an_environment_lives_on_podman(podded: Project) -> None:
    podded.up()
    with urllib.request.urlopen(f"http://{podded.good('port', '8080').strip()}/", timeout=10) as answer:
        assert answer.read() == b"hello\n"
    assert podded.actions() == {"podded": "none"}, "its health is asked where nothing looks at it"
    assert "built first" not in podded.up(), "the image has its name with the registry's before it"
    assert podded.inside("cat /run/secrets/password", user="root") == "secret\n"
    podded.good("restart", "web")
    assert '"podded"' in podded.good("top", "--format", "json")
    podded.inside("echo kept > /data/one", user="root")
    podded.good("snapshot", "save", "first")
    podded.inside("rm /data/one", user="root")
    podded.good("snapshot", "restore", "first", "--yes")
    assert podded.inside("cat /data/one", user="root") == "kept\n"


def test_what_podman_lacks_is_refused_before_anything_is_made(podded: Project) -> None:
    podded.spec(SPEC + "run: [{name: reads, script: cat /run/secrets/password, secrets: [password]}]\n")
    said = podded.run("plan")
    assert said.code == 3, said.all
    assert "the engine has no BuildKit, and its own builder lacks what the spec needs" in said.stderr
    assert "podded: a step of `run` reads the secret password while it is built" in said.stderr
    assert "the engine has another builder, which has no build secrets" in podded.run("doctor").stdout
