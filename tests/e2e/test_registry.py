"""A registry between two hosts: a real one, with TLS and a password; and what goes wrong with one."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from provision.docker_client.credentials import Login
from provision.oci import artifact
from provision.oci.client import Client
from provision.oci.errors import Damaged, RegistryFailed
from provision.oci.reference import parse
from provision.progress import Silent
from tests.conftest import Project, Said, make_project
from tests.cosign_program import SUITES, make_keys, unpack
from tests.cosign_program import reason_against as cosign_lacks
from tests.registry_server import PASSWORD, USER, Cutting, Server, serve
from tests.second_host import ADDRESS, reason_against, second_host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provision.oci.model import Manifest
    from provision.oci.reference import Repository

KIND = "application/vnd.provision.test.v1"
SPEC = """
    version: 1
    name: shared
    base: debian:12
    run: [{{name: mark, script: 'echo {mark} >/srv/mark'}}]
    checks: [{{file: /srv/mark, contains: '{mark}'}}]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("registry"), tls=True, password=True, everywhere=True) as running:
        yield running


def host(folder: Path, server: Server, *, password: str = PASSWORD, ca: bool = True) -> Project:
    project = make_project(folder / "project", "docker")
    settings = {"repository": server.repository} | ({"ca": str(server.ca)} if ca else {})
    configuration = folder / "config" / "provision" / "config.yaml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(json.dumps({"registry": settings}))
    project.environment = {
        "PROVISION_STATE_DIR": str(folder / "state"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        **server.login(folder / "docker", password),
    }
    return project


def up(project: Project) -> Said:
    said = project.run("up")
    assert said.code == 0, said.all
    return said


def images(*names: str, engine: str = "") -> list[str]:
    chosen = ["--host", engine] if engine else []
    words = ["docker", *chosen, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", *names]
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout.split()


@dataclass(frozen=True, kw_only=True)
class Shared:
    """An image that a first host has pushed and has no longer, and what stands in a file of it."""

    mark: str
    reference: str


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Shared:
    mark = str(uuid4())
    first = host(tmp_path_factory.mktemp("first"), server)
    first.spec(SPEC.format(mark=mark))
    try:
        said = up(first)
        assert "is not there" in said.stderr
        assert "building the image" in said.stderr
        pushed = first.run("push", "--format", "json").json()["pushed"]
        assert pushed[0]["sent"] > 0
        again = first.run("push", "--format", "json").json()["pushed"]
        assert (again[0]["sent"], again[0]["digest"]) == (0, pushed[0]["digest"])
    finally:
        first.run("down", "--volumes", "--images")
    assert images("provision/shared") == []
    return Shared(mark=mark, reference=pushed[0]["reference"])


def test_a_second_host_builds_nothing(tmp_path: Path, server: Server, shared: Shared) -> None:
    second = host(tmp_path, server)
    second.spec(SPEC.format(mark=shared.mark))
    planned = second.run("plan", "--format", "json").json()
    assert planned["pulls"] == [
        {"name": planned["images"][0]["name"], "what": f"the image {planned['images'][0]['name']}",
         "source": server.repository, "found": True, "reason": ""}
    ]  # fmt: skip
    text = second.run("plan").stdout
    assert "will be pulled from" in text
    assert "will be built" not in text
    assert images("provision/shared") == [], "a plan only looks"
    said = up(second)
    assert f"pulling the image {planned['images'][0]['name']} from {server.repository}" in said.stderr
    assert "building" not in said.stderr
    assert images("provision/shared") == [planned["images"][0]["name"]]
    assert images(server.repository.rpartition(":")[0]) == []
    assert second.actions() == {"shared": "none"}
    second.good("down", "--images")
    assert images("provision/shared") == [], "`down` knows a pulled image"

    # Docker takes it too, by the tag that is the same for every architecture.
    found = subprocess.run(
        ["docker", "pull", shared.reference],
        capture_output=True, check=False, text=True, env={**os.environ, **second.environment},
    )  # fmt: skip
    subprocess.run(["docker", "image", "rm", shared.reference], capture_output=True, check=False)
    assert found.returncode == 0, found.stderr


@pytest.mark.thorough
@pytest.mark.skipif(bool(reason_against()), reason=reason_against())
def test_an_empty_engine_of_a_second_host_builds_nothing(
    tmp_path: Path, server: Server, shared: Shared
) -> None:
    """With an engine that has no image, not even the base, and verifies the registry's certificate itself."""
    there = dataclasses.replace(server, address=ADDRESS)
    second = host(tmp_path / "second", there)
    second.spec(SPEC.format(mark=shared.mark))
    with second_host(tmp_path / "untrusting") as engine:
        second.environment["DOCKER_HOST"] = engine
        said = second.run("pull")
        assert said.code == 1, said.all
        assert "certificate of the registry" in said.stderr
        assert f"/etc/docker/certs.d/{there.host}" in said.stderr
    with second_host(tmp_path / "engine", ca=server.ca, registry=there.host) as engine:
        second.environment["DOCKER_HOST"] = engine
        said = up(second)
        assert "pulling the image provision/shared" in said.stderr
        assert "building" not in said.stderr
        assert second.inside("cat /srv/mark").strip() == shared.mark
        assert [each.partition(":")[0] for each in images(engine=engine)] == ["provision/shared"]
        second.good("down", "--volumes", "--images")
        assert images(engine=engine) == []


@pytest.fixture(scope="module", params=SUITES)
def cosign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(str(request.param), tmp_path_factory.mktemp("cosign"))


def with_keys(project: Project, folder: Path, cosign: Path, **keys: str) -> None:
    """Have a host with cosign, and keys in its configuration."""
    configuration = folder / "config" / "provision" / "config.yaml"
    settings = json.loads(configuration.read_text())
    settings["registry"] |= keys
    configuration.write_text(json.dumps(settings))
    project.environment["PATH"] = f"{cosign.parent}:{os.environ['PATH']}"
    project.environment["COSIGN_PASSWORD"] = "open sesame"


@pytest.mark.skipif(bool(cosign_lacks()), reason=cosign_lacks())
def test_only_what_the_key_has_signed_is_pulled(
    tmp_path: Path, server: Server, shared: Shared, cosign: Path
) -> None:
    """With the real cosign: what one signs is verified; nothing unsigned, and no other key's."""
    for name in ("ours", "theirs"):
        make_keys(cosign, tmp_path / name, "open sesame")
    mark = str(uuid4())
    first = host(tmp_path / "first", server)
    first.spec(SPEC.format(mark=mark))
    with_keys(first, tmp_path / "first", cosign, sign=str(tmp_path / "ours" / "cosign.key"))
    try:
        up(first)
        first.good("push")
    finally:
        first.run("down", "--volumes", "--images")

    second = host(tmp_path / "second", server)
    with_keys(second, tmp_path / "second", cosign, verify=str(tmp_path / "ours" / "cosign.pub"))
    second.spec(SPEC.format(mark=shared.mark))
    said = second.run("pull")
    assert said.code == 1, said.all
    assert f"is not signed by the key {tmp_path / 'ours' / 'cosign.pub'}" in said.stderr
    assert "no signatures found" in said.stderr
    assert images("provision/shared") == []
    second.spec(SPEC.format(mark=mark))
    second.good("pull")
    assert len(images("provision/shared")) == 1
    second.good("down", "--images")
    assert images("provision/shared") == []

    third = host(tmp_path / "third", server)
    with_keys(third, tmp_path / "third", cosign, verify=str(tmp_path / "theirs" / "cosign.pub"))
    third.spec(SPEC.format(mark=mark))
    try:
        said = up(third)
        assert "is not signed by the key" in said.stderr
        assert "building the image" in said.stderr
    finally:
        third.run("down", "--images")


@pytest.mark.skipif(shutil.which("cosign") is not None, reason="this host has cosign")
def test_without_cosign_nothing_is_pulled_that_has_to_be_signed(
    tmp_path: Path, server: Server, shared: Shared
) -> None:
    second = host(tmp_path, server)
    second.spec(SPEC.format(mark=shared.mark))
    with_keys(second, tmp_path, tmp_path / "nothing", verify="cosign.pub")
    said = second.run("pull")
    assert (said.code, "there is no cosign" in said.stderr) == (3, True), said.all


@pytest.mark.parametrize(
    ("fault", "message", "hint"),
    [
        ("password", "refuses access to team/environments as team", "docker login 127.0.0.1:"),
        ("ca", "certificate of the registry", "/etc/docker/certs.d/127.0.0.1:"),
        ("absent", "does not answer", "curl https://127.0.0.1:"),
        ("nothing pushed", "does not have what shared is made of", "push` where it is built"),
    ],
)
def test_a_fault_is_a_plain_error(
    tmp_path: Path, server: Server, fault: str, message: str, hint: str
) -> None:
    asked = server if fault != "absent" else Server(folder=server.folder, port=1, ca=server.ca)
    project = host(tmp_path, asked, password="wrong" if fault == "password" else PASSWORD, ca=fault != "ca")
    project.spec(SPEC.format(mark=uuid4()))
    said = project.run("pull")
    assert said.code == (2 if fault == "nothing pushed" else 1), said.all
    assert message in said.stderr
    assert hint in said.stderr
    assert "Traceback" not in said.stderr
    planned = project.run("plan", "--format", "json").json()["pulls"]
    assert [each["found"] for each in planned] == [False]
    assert planned[0]["reason"]


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_containers_have_no_saved_state_to_share(tmp_path: Path, server: Server, verb: str) -> None:
    project = host(tmp_path, server)
    project.spec(SPEC.format(mark=uuid4()))
    said = project.run(verb, "--memory")
    assert (said.code, "have no saved states to share" in said.stderr) == (2, True), said.all


def test_up_builds_where_the_registry_does_not_answer(tmp_path: Path, server: Server) -> None:
    project = host(tmp_path, Server(folder=server.folder, port=1, ca=server.ca))
    project.spec(SPEC.format(mark=uuid4()))
    try:
        said = up(project)
        assert "does not answer" in said.stderr
        assert "building the image" in said.stderr
    finally:
        project.run("down", "--images")


def test_the_registry_of_a_spec_takes_a_word(tmp_path: Path, server: Server) -> None:
    project = host(tmp_path, server)
    (tmp_path / "config" / "provision" / "config.yaml").unlink()
    project.spec(SPEC.format(mark=uuid4()) + f"    registry: {server.repository}\n")
    said = project.run("pull")
    assert said.code == 2
    assert "is not allowed" in said.stderr
    assert project.run("plan", "--format", "json").json()["pulls"] == []
    assert project.run("plan", "--allow", "registry", "--format", "json").json()["pulls"]


# --- disks: in chunks -------------------------------------------------------------------------


def client(server: Server, port: int | None = None) -> Client:
    return Client(
        repository=repository(port or server.port),
        login=Login(user=USER, password=PASSWORD),
        authority=server.ca,
        writes=True,
    )


def repository(port: int) -> Repository:
    found = parse(f"127.0.0.1:{port}/team/environments")
    assert found
    return found


def stored(server: Server, tag: str) -> Manifest:
    found = client(server).manifest(tag)
    assert found
    return found


def make_disk(folder: Path, *, inserted: bytes = b"") -> list[Path]:
    """A file that no other has a piece of, with something inserted into its middle; and a small one."""
    folder.mkdir()
    source = folder.parent / "content"
    if not source.exists():
        source.write_bytes(os.urandom(12 << 20))
    content = source.read_bytes()
    half = len(content) // 2
    (folder / "disk.qcow2").write_bytes(content[:half] + inserted + content[half:])
    (folder / "initrd").write_bytes(b"small")
    return [folder / "disk.qcow2", folder / "initrd"]


def test_a_changed_disk_sends_what_changed(tmp_path: Path, server: Server) -> None:
    first, second = make_disk(tmp_path / "a"), make_disk(tmp_path / "b", inserted=bytes(8192))
    tag = str(uuid4())
    done = artifact.push(client(server), f"{tag}-a", KIND, first, {"name": "a"}, Silent())
    assert done.sent == done.size > 12 << 20
    changed = artifact.push(client(server), f"{tag}-b", KIND, second, {"name": "b"}, Silent())
    assert changed.sent < done.size / 4
    out = tmp_path / "out"
    got, about = artifact.pull(client(server), stored(server, f"{tag}-b"), out, Silent(), known=[first[0]])
    assert [(out / each.name).read_bytes() == each.read_bytes() for each in second] == [True, True]
    assert sorted(path.name for path in out.iterdir()) == ["disk.qcow2", "initrd"]
    assert got.sent < done.size / 4, "what this host has is not taken again"
    assert about == {"name": "b"}


def test_a_damaged_blob_is_refused_and_nothing_is_left(tmp_path: Path, server: Server) -> None:
    tag = str(uuid4())
    artifact.push(client(server), tag, KIND, make_disk(tmp_path / "a"), {}, Silent())
    manifest = stored(server, tag)
    digest = manifest.data["layers"][3]["digest"]
    blob = server.blobs()[digest]
    content = blob.read_bytes()
    blob.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    with pytest.raises(Damaged) as raised:
        artifact.pull(client(server), manifest, tmp_path / "out", Silent())
    assert digest in raised.value.message
    assert not (tmp_path / "out").exists()
    blob.unlink()
    with pytest.raises(RegistryFailed):
        artifact.pull(client(server), manifest, tmp_path / "out", Silent())


def test_a_cut_connection_is_an_error_and_the_next_pull_goes_on(tmp_path: Path, server: Server) -> None:
    tag, files = str(uuid4()), make_disk(tmp_path / "a")
    artifact.push(client(server), tag, KIND, files, {}, Silent())
    manifest = stored(server, tag)
    cutting = Cutting(server.port, after=8 << 20)
    try:
        with pytest.raises(RegistryFailed, match="does not answer"):
            artifact.pull(client(server, cutting.port), manifest, tmp_path / "out", Silent())
    finally:
        cutting.close()
    assert list((tmp_path / "out" / artifact.CHUNKS).iterdir())
    done, _ = artifact.pull(client(server), manifest, tmp_path / "out", Silent())
    assert 0 < done.sent < done.size - (2 << 20), "what had come is not taken again"
    assert (tmp_path / "out" / "disk.qcow2").read_bytes() == files[0].read_bytes()
