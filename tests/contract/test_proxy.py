"""A proxy between: what is built and what runs goes through it, and no image remembers it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.mirrors import own_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Project

SPEC = """
version: 1
name: proxied
base: debian:12
packages: [curl]
services:
  web: {script: "echo through $http_proxy; exec sleep infinity"}
checks:
  - {script: 'test -n "$http_proxy"'}
"""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Callable[[], str]]]:
    """A real proxy on this host: its URL, and what it has logged."""
    program = shutil.which("tinyproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None and os.environ.get("CI") == "true":
        pytest.fail("CI has no tinyproxy")
    if program is None:
        pytest.skip("no tinyproxy here")
    folder = tmp_path_factory.mktemp("proxy")
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    log: Path = folder / "log"
    log.touch()
    configuration = folder / "tinyproxy.conf"
    configuration.write_text(f'Port {port}\nLogFile "{log}"\nLogLevel Connect\nTimeout 600\nMaxClients 50\n')
    running = subprocess.Popen([program, "-d", "-c", str(configuration)], stdout=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"http://{own_address()}:{port}", log.read_text
    finally:
        running.terminate()
        running.wait()


def wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the proxy does not answer")


def test_building_and_running_go_through_it(own: Project, proxy: tuple[str, Callable[[], str]]) -> None:
    url, log = proxy
    own.spec(SPEC + f'proxy: {{http: "{url}", https: "{url}", no_proxy: [.example.org]}}\n')
    own.up("--rebuild")
    assert "debian.org" in log(), "the packages did not come through it"
    assert f"through {url}" in own.good("logs", "web")
    assert own.inside('printf %s "$NO_PROXY"').endswith(".example.org")
    own.inside("curl -fsS http://deb.debian.org/debian/dists/bookworm/Release >/dev/null")
    assert "bookworm/Release" in log()
    if own.backend == "docker":
        for words in (["image", "inspect"], ["history", "--no-trunc"], ["save"]):
            kept = subprocess.run(["docker", *words, own.image("proxied")], capture_output=True, check=True)
            assert url.encode() not in kept.stdout, words


def test_a_users_own_configuration_lies_under_every_spec(
    project: Project, tmp_path: Path, proxy: tuple[str, Callable[[], str]]
) -> None:
    url, _ = proxy
    configuration = tmp_path / "config" / "provision" / "config.yaml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(f'proxy: {{http: "{url}"}}\n')
    project.environment.update(XDG_CONFIG_HOME=str(tmp_path / "config"), CI="")
    project.spec(SPEC)
    assert f'http_proxy: "{url}"' in project.good("render")
    assert url not in project.good("render", "--no-local")
    configuration.write_text("packages: [vim]\n")
    said = project.run("validate")
    assert said.code == 2
    assert "packages is not allowed in your own configuration" in said.stderr
