"""The disk of a QEMU machine between two hosts, through a real registry."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from provision import spec
from provision.backends import find
from provision.backends.vm.qemu import shared_memory
from provision.backends.vm.qemu.launch import DISKS
from provision.engine import state_of
from provision.oci import artifact
from provision.oci.client import Client
from provision.oci.reference import parse
from provision.progress import Silent
from tests.conftest import Project, make_project
from tests.registry_server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.registry_server import Server

SPEC = """
    version: 1
    name: shared-disk
    base: debian:12
    run: [{{name: mark, script: 'echo {mark} >/srv/mark'}}]
    services: {{web: {{command: sleep infinity}}}}
    backends: {{vm: {{provider: qemu}}}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("registry")) as running:
        yield running


def host(folder: Path, server: Server, mark: str) -> Project:
    project = make_project(folder / "project", "vm")
    project.environment = {
        "PROVISION_STATE_DIR": str(folder / "state"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PROVISION_REGISTRY": server.repository,
    }
    project.spec(SPEC.format(mark=mark))
    return project


def build(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the disk of the machine, without booting it."""
    with monkeypatch.context() as patched:
        for name, value in project.environment.items():
            patched.setenv(name, value)
        environment = spec.load(project.folder / "provision.yaml", backend="vm", allows=spec.everything)
        backend, state_dir = find("vm"), state_of(environment, "vm")
        rendering = backend.render(environment, state_dir.rendering, backend.choose(environment, state_dir))
        state_dir.make()
        rendering.write(state_dir.rendering)
        DISKS.ensure(environment.machines[0], state_dir, rendering, Silent(), rebuild=False)


def disks(project: Project) -> dict[str, str]:
    folder = project.folder.parent / "cache" / "provision" / "disks"
    found = folder.glob("*/disk.qcow2")
    return {path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_a_disk_is_pulled_as_it_was_pushed(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = str(uuid4())
    first, second = host(tmp_path / "first", server, mark), host(tmp_path / "second", server, mark)
    said = first.run("push")
    assert said.code == 2
    assert "is not built as the spec is now" in said.stderr
    build(first, monkeypatch)
    pushed = first.run("push", "--format", "json").json()["pushed"]
    assert pushed[0]["sent"] > 0
    assert first.run("push", "--format", "json").json()["pushed"][0]["sent"] == 0
    planned = second.run("plan", "--format", "json").json()["pulls"]
    assert [(each["what"], each["found"]) for each in planned] == [("the disk of shared-disk", True)]
    assert disks(second) == {}
    pulled = second.run("pull", "--format", "json").json()["pulled"]
    assert pulled[0]["digest"] == pushed[0]["digest"]
    assert disks(second) == disks(first)
    assert second.run("pull", "--format", "json").json()["pulled"] == []
    assert second.run("plan", "--format", "json").json()["pulls"] == []


def test_a_changed_step_sends_what_it_changed(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    host_of_it = host(tmp_path / "host", server, str(uuid4()))
    build(host_of_it, monkeypatch)
    whole = host_of_it.run("push", "--format", "json").json()["pushed"][0]["size"]
    host_of_it.spec(SPEC.format(mark=f"{uuid4()} >/srv/another; echo changed"))
    build(host_of_it, monkeypatch)
    change = host_of_it.run("push", "--format", "json").json()["pushed"][0]["sent"]
    assert 0 < change < whole / 10, f"{change} bytes of {whole} for two files of a line"


@pytest.mark.thorough
def test_a_second_host_boots_what_was_pulled(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = str(uuid4())
    first, second = host(tmp_path / "first", server, mark), host(tmp_path / "second", server, mark)
    build(first, monkeypatch)
    first.good("push")
    try:
        said = second.run("up")
        assert said.code == 0, said.all
        assert "pulling the disk of shared-disk" in said.stderr
        assert "building the disk" not in said.stderr
        assert second.inside("cat /srv/mark").strip() == mark
        assert disks(second) == disks(first)
    finally:
        second.run("down", "--volumes", "--images")


BOOT = "cat /proc/sys/kernel/random/boot_id"


def test_a_second_host_starts_from_the_memory_that_the_first_has_saved(
    tmp_path: Path, server: Server
) -> None:
    """The project lies at the same path, as it does in CI: then all that the memory depends on is equal."""
    first = host(tmp_path, server, str(uuid4()))
    second, third = (replace_caches(first, tmp_path / name) for name in ("second", "third"))
    said = first.run("push", "--memory")
    assert (said.code, "is not built as the spec is now" in said.stderr) == (2, True), said.all
    try:
        first.good("up")
        booted = first.inside(BOOT)
        said = first.run("push", "--memory")
        assert (said.code, "then push" in said.stderr) == (2, True), "it is in use"
        first.good("down")
        pushed = first.run("push", "--memory", "--format", "json").json()["pushed"]
        assert [each["kind"] for each in pushed] == ["disk", "memory"]
        again = first.run("push", "--memory", "--format", "json").json()["pushed"]
        assert [each["sent"] for each in again] == [0, 0]

        wants_memory(second, tmp_path / "second")
        said = second.run("up")
        assert said.code == 0, said.all
        assert "pulling the saved state of shared-disk" in said.stderr
        assert "booting" not in said.stderr
        assert second.inside(BOOT) == booted
        assert second.inside("cut -d' ' -f2 /run/provision-guest/authorized_keys") == key_of(second)
        assert key_of(second) != key_of(first)
        second.good("verify")
    finally:
        for project in (first, second):
            project.run("down", "--volumes", "--images")

    put_another_in_its_place(server, pushed[1]["reference"], tmp_path)
    said = third.run("pull", "--memory")
    assert (said.code, "it is no saved state of provision" in said.stderr) == (1, True), said.all
    assert list((tmp_path / "third").rglob("*.kept")) == []
    assert list((tmp_path / "third").rglob("memory.qcow2")) == []


def replace_caches(project: Project, folder: Path) -> Project:
    """The same project on a host that has nothing yet."""
    environment = {
        **project.environment,
        "PROVISION_STATE_DIR": str(folder / "state"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    return dataclasses.replace(project, environment=environment)


def wants_memory(project: Project, folder: Path) -> None:
    """Say so in the person's own configuration."""
    configuration = folder / "config" / "provision" / "config.yaml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text("registry: {memory: true}\n")
    project.environment["XDG_CONFIG_HOME"] = str(folder / "config")


def key_of(project: Project) -> str:
    """The public key by which a host enters its machine."""
    found = Path(project.environment["PROVISION_STATE_DIR"]).rglob("key.pub")
    return next(found).read_text().split()[1] + "\n"


def put_another_in_its_place(server: Server, reference: str, folder: Path) -> None:
    """A state that would have QEMU read another file of the host."""
    made = folder / "memory.qcow2"
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", str(made), "1G"]
    subprocess.run(words, check=True)
    repository = parse(server.repository)
    assert repository is not None
    client = Client(repository=repository, writes=True)
    artifact.push(client, reference.rpartition(":")[2], shared_memory.TYPE, [made], {}, Silent())
