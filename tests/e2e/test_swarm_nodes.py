"""A Swarm whose engines are other hosts, reached by ssh, and volumes that every node reaches."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.cluster import until
from tests.conftest import make_project
from tests.e2e.far_host import far_host, has_sshd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster import Cluster
    from tests.conftest import Project

pytestmark = pytest.mark.thorough
SPEC = """
version: 1
name: far
base: debian:12
secrets: {pass: {env: FAR_PASS}}
machines:
  one:
    secrets: [pass]
    volumes: {data: /srv/data}
    services: {job: {command: sleep infinity}}
    checks: [{file: /run/secrets/pass, contains: known}]
    backends: {swarm: {constraints: [node.hostname==node1]}}
  two:
    volumes: {data: /srv/data}
    resources: {cpus: 0.5, memory: 100MiB}
    services: {job: {script: "echo begun; exec sleep infinity"}}
    backends: {swarm: {constraints: [node.hostname==node2]}}
  three:
    needs: [one, two]
    services: {job: {command: sleep infinity}}
    backends: {swarm: {constraints: [node.hostname==node3]}}
    checks: [{command: getent hosts one}]
"""
SHARED = """
version: 1
name: shared
base: debian:12
volumes: {data: /srv/data}
services: {job: {script: "date >>/srv/data/starts; exec sleep infinity"}}
backends:
  swarm:
    constraints: [node.hostname!=node1]
    volume_options: {type: none, o: bind, device: "FOLDER"}
"""


@pytest.fixture(scope="module")
def by_ssh(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """An environment up, whose user reaches every engine by ssh alone."""
    if not has_sshd():
        pytest.fail("there is no sshd: scripts/host-setup tests installs it")
    folder = tmp_path_factory.mktemp("by-ssh")
    project = make_project(folder / "project", "swarm")
    project.spec(SPEC)
    with ExitStack() as stack:
        hosts = [
            stack.enter_context(
                far_host(
                    folder / node.name,
                    within=node.within,
                    address=node.address,
                    variables={"DOCKER_HOST": node.host},
                    name=node.name,
                )
            )
            for node in cluster.nodes
        ]
        first = hosts[0]
        for other in hosts[1:]:  # the `ssh` of the first knows all of them
            with (first.folder / "ssh_config").open("a") as file:
                file.write((other.folder / "ssh_config").read_text())
        project.environment |= first.variables
        project.environment |= {
            "FAR_PASS": "known",
            "PROVISION_SWARM_NODES": ",".join(f"{node.name}=ssh://{node.name}" for node in cluster.nodes),
        }
        try:
            project.up()
            yield project
        finally:
            project.good("down", "--volumes", "--images")
            for node in cluster.nodes:
                assert node.docker("volume", "ls", "--quiet") == ""


def test_every_machine_is_reached_by_ssh(by_ssh: Project) -> None:
    machines = by_ssh.run("status", "--format", "json").json()["machines"]
    assert {machine["name"]: machine["node"] for machine in machines} == {
        "one": "node1",
        "two": "node2",
        "three": "node3",
    }
    assert set(by_ssh.checks().values()) == {"passed"}
    for name in ("one", "two", "three"):
        assert by_ssh.inside_of(name, "hostname") == f"{name}\n"
    assert by_ssh.run("exec", "-m", "three", "--", "sh", "-c", "exit 7").code == 7


def test_files_and_logs_come_by_ssh(by_ssh: Project) -> None:
    content = bytes(range(256)) * 4000
    by_ssh.write("sent", content)
    by_ssh.good("cp", "sent", "three:/root/sent")
    by_ssh.good("cp", "three:/root/sent", "back")
    assert (by_ssh.folder / "back").read_bytes() == content
    assert "begun" in by_ssh.good("logs", "-m", "two")
    by_ssh.good("restart", "-m", "two", "job")
    assert by_ssh.good("logs", "-m", "two").count("begun") == 2


@pytest.mark.usefixtures("by_ssh")
def test_resources_bind(cluster: Cluster) -> None:
    node = cluster.nodes[1]
    form = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}"
    found = [
        node.docker("inspect", "--format", form, each)
        for each in node.docker("ps", "--quiet", "--filter", "name=_two").split()
    ]
    assert found == [f"{100 * 2**20} {500_000_000}\n"]


def test_a_host_that_ssh_cannot_reach_is_named(by_ssh: Project) -> None:
    away = {"PROVISION_SWARM_NODES": "node3=ssh://nobody@nowhere.invalid"}
    said = by_ssh.run("exec", "-m", "three", "--", "true", env=away)
    assert said.code == 1
    assert "the engine of node3 (ssh://nobody@nowhere.invalid)" in said.stderr


def test_a_volume_of_a_driver_goes_with_its_machine(cluster: Cluster, tmp_path: Path) -> None:
    """Its driver reaches one folder from every node, so the machine is bound to none of them."""
    folder = tmp_path / "data"
    folder.mkdir()
    project = make_project(tmp_path / "project", "swarm")
    project.environment["PROVISION_ALLOW"] = "privileges"
    project.spec(SHARED.replace("FOLDER", str(folder)))
    first = cluster.nodes[0]
    project.up()
    left = project.state()["node"]
    try:
        first.docker("node", "update", "--availability", "drain", left)
        until("it to run elsewhere", lambda: project.state()["node"] not in ("", left))
        until("it to run", lambda: project.state()["state"] == "running")
        assert project.actions() == {"shared": "none"}
        assert project.inside("wc -l </srv/data/starts").strip() == "2"
        assert (folder / "starts").read_text().count("\n") == 2
    finally:
        first.docker("node", "update", "--availability", "active", left)
        project.good("down", "--volumes", "--images")
    for node in cluster.nodes:
        assert node.docker("volume", "ls", "--quiet", "--filter", "name=shared") == ""


def test_a_lost_majority_is_told_and_waited_out(cluster: Cluster, tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", "swarm")
    project.spec("version: 1\nname: vote\nbase: debian:12\n")
    project.up()
    _, *others = cluster.nodes

    def leads() -> bool:
        told = cluster.nodes[0].docker("info", "--format", "{{.Swarm.Error}}").strip()
        return not told

    try:
        for node in others:
            node.cut()
        until("the first manager to be alone", lambda: not leads())
        said = project.run("down")
        assert said.code == 3, said.all
        assert "the Swarm has no leader: most of its managers do not answer" in said.stderr
        assert "docker swarm init --force-new-cluster" in said.stderr
    finally:
        for node in others:
            node.mend()
    until("a leader", leads, patience=240)  # a busy host takes its time to elect one
    project.good("down", "--volumes", "--images")
    until("all managers to be reachable", lambda: cluster.managers() == 3)
