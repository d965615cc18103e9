"""Limits, kernel parameters and published ports: what is asked of the host is there, in both backends."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

SPEC = """
version: 1
name: limits
base: debian:12
packages: [busybox]
users: {app: {}}
sysctls: {net.core.somaxconn: 1024, kernel.sem: "250 32000  100 129"}
services:
  web: {command: busybox httpd -f -p 8080, user: app, limits: {nofile: 4096, memlock: 4194304}}
  waits: {command: busybox nc -ll -p 9000 -e cat, limits: {core: 1048576, nproc: 5000}}
  range: {command: busybox httpd -f -p 8001}
  lone: {command: busybox httpd -f -p 127.0.0.1:8081}
ports: ["8080", "127.0.0.2::8080", "9000", "8000-8003", "8081", "8082", {guest: 8083, optional: true}]
"""


@pytest.fixture(scope="module")
def checks(shared: Project) -> dict[str, dict[str, Any]]:
    """Every check, by name; `up` fails, for two ports lead nowhere."""
    said = shared.run("up")
    assert said.code == 1, said.all
    answer = shared.run("verify", "--format", "json").json()
    return {check["check"]: check for check in answer["checks"]}


def test_a_service_has_its_limits_and_no_other_has(
    shared: Project, checks: dict[str, dict[str, Any]]
) -> None:
    assert [checks[f"service {name}"]["outcome"] for name in ("web", "waits", "lone")] == ["passed"] * 3
    asked = "cat /proc/$(cat /run/provision/services/%s)/limits"

    def limits(name: str) -> dict[str, list[str]]:
        lines = shared.inside(asked % name, user="root").splitlines()
        return {line[:26].strip(): line[26:].split()[:2] for line in lines}

    assert limits("web").items() >= {
        "Max open files": ["4096", "4096"],
        "Max locked memory": ["4194304", "4194304"],
    }.items()  # fmt: skip
    assert limits("waits")["Max processes"] == ["5000", "5000"]
    assert limits("waits")["Max core file size"] == ["1048576", "1048576"]
    assert limits("lone")["Max open files"] == ["1024", "4096"]
    assert shared.inside("ulimit -Sn").strip() == "1024"


def test_kernel_parameters_are_set(shared: Project, checks: dict[str, dict[str, Any]]) -> None:
    assert checks["sysctl net.core.somaxconn"]["outcome"] == "passed"
    assert checks["sysctl kernel.sem"]["outcome"] == "passed"
    assert shared.inside("cat /proc/sys/kernel/sem").split() == ["250", "32000", "100", "129"]


@pytest.mark.parametrize(
    ("port", "outcome", "said"),
    [
        ("8080", "passed", ""),
        ("9000", "passed", ""),  # accepts, and waits for its client to speak
        ("8001", "passed", ""),
        ("8002", "passed", ""),  # of a range: nothing need listen
        ("8083", "passed", ""),
        ("8081", "failed", "listens only on 127.0.0.1, where its published port cannot reach it"),
        ("8082", "failed", "nothing listens on it inside"),
    ],
)
def test_a_published_port_answers_or_it_is_said_why(
    port: str, outcome: str, said: str, checks: dict[str, dict[str, Any]]
) -> None:
    check = checks[f"port {port}/tcp from the host"]
    assert check["outcome"] == outcome, check
    assert said in check.get("message", "")


def test_a_port_is_published_on_two_addresses_and_a_range_one_by_one(
    shared: Project, checks: dict[str, dict[str, Any]]
) -> None:
    del checks  # it is up
    ports = shared.state()["ports"]
    web = [(port["address"], port["host"]) for port in ports if port["guest"] == 8080]
    assert sorted(address for address, _ in web) == ["127.0.0.1", "127.0.0.2"]
    for address, host in web:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://{address}:{host}/none", timeout=20)
    assert [port["guest"] for port in ports if 8000 <= port["guest"] < 8004] == [8000, 8001, 8002, 8003]
    assert json.dumps(sorted({port["host"] for port in ports})).count(",") == len(ports) - 1
    waits = next(port["host"] for port in ports if port["guest"] == 9000)
    with socket.create_connection(("127.0.0.1", waits), timeout=20) as asked:
        asked.sendall(b"hello\n")
        assert asked.recv(6) == b"hello\n"
