"""An engine on another host: where it is, what is copied there, which ports come back, whose it is."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from provision import spec
from provision.backends.container_labels import MACHINE
from provision.backends.docker.backend import Docker
from provision.backends.docker.copies import copied_folders, is_copy
from provision.backends.docker.elsewhere import refused_elsewhere
from provision.backends.docker.forwards import words_of
from provision.changes import difference, scan
from provision.cli import host
from provision.cli.host import addresses_of
from provision.docker_client.endpoint import LOCAL, address_in, other_host
from provision.docker_client.multiplexing import share_connections
from provision.docker_client.queries import Container
from provision.engine import Request
from provision.errors import SpecError, UsageError
from provision.handover.session import Elsewhere
from provision.inventory import record
from provision.inventory.model import Fact, Inventory
from provision.model import PortStatus, identify
from provision.process import Completed
from provision.spec.personal import hosts
from provision.ssh_address import ssh_words
from provision.state import StateDir, on_host
from provision.state import address_of as address_in_host
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.model import Environment

pytestmark = pytest.mark.usefixtures("no_processes")

FAR = "ssh://me@big:2222"


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "ssh://context"),
        ({"DOCKER_HOST": FAR}, FAR),
        ({"DOCKER_HOST": FAR, "DOCKER_CONTEXT": "default"}, FAR),
        ({"DOCKER_CONTEXT": "default"}, LOCAL),
        ({"DOCKER_CONTEXT": "chosen"}, "ssh://context"),
        ({"DOCKER_CONTEXT": "none"}, None),
    ],
)
def test_the_engine_is_the_one_that_docker_would_use(
    variables: Mapping[str, str], address: str | None, tmp_path: Path
) -> None:
    folder = tmp_path / ".docker"
    kept = folder / "contexts" / "meta" / hashlib.sha256(b"chosen").hexdigest()
    kept.mkdir(parents=True)
    (kept / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": "ssh://context"}}}))
    (folder / "config.json").write_text('{"currentContext": "chosen"}')
    assert address_in(variables, tmp_path) == address


@pytest.mark.parametrize(
    ("address", "elsewhere", "words"),
    [
        (LOCAL, False, None),
        ("unix:///run/podman/podman.sock", False, None),
        ("npipe:////./pipe/docker_engine", False, None),
        ("tcp://127.0.0.1:2375", False, None),
        ("tcp://localhost:2375", False, None),
        ("tcp://docker:2376", True, None),
        ("ssh://big", True, ("ssh", "--", "big")),
        (FAR, True, ("ssh", "-l", "me", "-p", "2222", "--", "big")),
        (None, False, None),
    ],
)
def test_what_counts_as_another_host(
    address: str | None, elsewhere: bool, words: tuple[str, ...] | None
) -> None:
    assert other_host(address) == (address if elsewhere else "")
    assert ssh_words(address or "") == words


def test_an_environment_on_another_host_is_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))
    places = [
        StateDir.of(tmp_path, "dev", "docker", host=on_host(address)) for address in ("", FAR, "ssh://b")
    ]
    assert len({place.folder for place in places}) == 3
    assert [place.address for place in places] == ["", FAR, "ssh://b"]
    assert on_host("") == ""
    assert address_in_host(on_host(FAR)) == FAR
    assert identify(tmp_path, "dev", on_host(FAR)) == places[1].id
    assert identify(tmp_path, "dev") == places[0].id, "those here keep the ids that they had"


SPEC = """
version: 1
name: dev
base: debian:12
users: {dev: {}}
workspace: {source: work, path: /workspace, user: dev}
mounts: {/srv/data: {source: data, read_only: true}, /etc/one: {source: one}}
volumes: {kept: /kept}
secrets: {password: {file: one}}
services: {web: {script: sleep infinity, ready: {tcp: 80}}}
ports: ["8080:80", "127.0.0.2:8081:80", "81"]
"""


def _environment(folder: Path, text: str = SPEC, host: str = on_host(FAR)) -> Environment:
    for name in ("work", "data"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "one").write_text("1\n")
    path = folder / "provision.yaml"
    path.write_text(text)
    environment = spec.load(path, backend="docker", settings={}, allows=spec.everything)
    return replace(environment, host=host)


def test_a_rendering_for_another_host_names_no_file_of_this_one(tmp_path: Path) -> None:
    environment = _environment(tmp_path)
    rendering = Docker().render(environment, tmp_path / "rendering")
    compose = rendering.files["compose.yaml"].content.decode()
    service = compose.partition("\nnetworks:")[0]
    assert "type: bind" not in service
    assert "secrets:" not in service
    assert str(tmp_path) not in service
    assert "published" not in service
    assert service.count("host_ip: 127.0.0.1") == 2, "one for each port of the machine"
    here = Docker().render(replace(environment, host=""), tmp_path / "rendering")
    assert "type: bind" in here.files["compose.yaml"].content.decode()
    assert here.recipes == rendering.recipes, "the image is the same wherever it is built"


def test_folders_are_volumes_that_no_spec_can_name(tmp_path: Path) -> None:
    environment = _environment(tmp_path)
    [machine] = environment.machines
    workspace, data = copied_folders(environment, machine)
    assert (workspace.path, workspace.user, workspace.read_only) == ("/workspace", "dev", False)
    assert (data.path, data.user, data.read_only) == ("/srv/data", "root", True)
    assert is_copy(workspace.volume)
    assert not is_copy(f"{environment.unique_name}_kept")
    assert not is_copy(f"{environment.unique_name}_copy.of")
    assert copied_folders(replace(environment, host=""), machine) == ()


def test_a_copy_sends_what_changed_and_removes_what_is_gone(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("1")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "gone").write_text("1")
    (tmp_path / "turned").write_text("1")
    os.mkfifo(tmp_path / "left out")
    former = scan(tmp_path)
    assert set(former) == {"kept", "folder", "folder/gone", "turned"}
    assert difference({}, former) == (("folder", "folder/gone", "kept", "turned"), ())
    assert difference(former, former) == ((), ())
    (tmp_path / "folder" / "gone").unlink()
    (tmp_path / "folder" / "new").symlink_to("../kept")
    (tmp_path / "turned").unlink()
    (tmp_path / "turned").mkdir()
    (tmp_path / "kept").chmod(0o755)
    changed, gone = difference(former, scan(tmp_path))
    assert changed == ("folder/new", "kept", "turned")
    assert gone == ("folder/gone", "turned")


def test_ports_are_forwarded_from_where_they_are_published() -> None:
    def port(guest: int, host: int, address: str = "127.0.0.1") -> PortStatus:
        return PortStatus(guest=guest, host=host, address=address, protocol="tcp")

    container = Container(
        name="dev-1", running=True, paused=False, restarting=False, health="", exit_code=0, address=None,
        image="", labels={MACHINE: "dev"}, ports=(port(80, 32768), port(81, 32769)),
    )  # fmt: skip
    places = (port(80, 8080), port(80, 8081, "::1"), port(99, 1))
    assert words_of(container, places) == (
        "127.0.0.1:8080:127.0.0.1:32768",
        "[::1]:8081:127.0.0.1:32768",
    )


@pytest.mark.parametrize(
    ("keys", "host", "reason"),
    [
        ('ports: ["53/udp"]', FAR, "cannot publish 53/udp: its engine is at ssh://me@big:2222"),
        ('ports: ["80"]', "tcp://big:2375", "cannot publish port 80: its engine is at tcp://big:2375"),
        ("workspace: {source: work, forward: [ssh-agent]}", FAR, "cannot have your SSH agent"),
        ('ports: ["80"]', FAR, ""),
        ('ports: ["53/udp"]', "", ""),
    ],
)
def test_what_another_host_cannot_give_is_refused(keys: str, host: str, reason: str, tmp_path: Path) -> None:
    text = f"version: 1\nname: dev\nbase: debian:12\n{keys}\n"
    found = [each.message for each in refused_elsewhere(_environment(tmp_path, text, on_host(host)))]
    assert [reason in each for each in found] == ([True] if reason else [])


def test_the_hosts_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("hosts:\n  big: {docker: 'ssh://me@big'}\n  near: {vm: 'ssh://near:22'}\n")
    known = hosts(path)
    assert known == {"big": {"docker": "ssh://me@big"}, "near": {"vm": "ssh://near:22"}}
    assert addresses_of("big", known) == {"docker": "ssh://me@big"}
    with pytest.raises(UsageError) as refused:
        addresses_of("small", known)
    assert "your configuration has no host small" in refused.value.message
    assert "known: big, near" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hosts: big", "hosts must be a map"),
        ("hosts: {big: {docker: big}}", "docker of the host big must begin with ssh:// or tcp:// or unix://"),
        ("hosts: {big: {}}", "the host big needs an address"),
        ("hosts: {big: {vm: 'tcp://big'}}", "vm of the host big must begin with ssh://"),
        (
            "hosts: {big: {docker: 'ssh://big', libvirt: 'qemu+ssh://big/system'}}",
            "the host big has no key libvirt",
        ),
    ],
)
def test_what_is_wrong_with_hosts_is_said_at_its_place(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"{text}\n")
    with pytest.raises(SpecError) as refused:
        hosts(path)
    assert message in str(refused.value.problems[0].message)


def test_commands_of_docker_share_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "ssh").write_text("#!/bin/sh\n")
    (programs / "ssh").chmod(0o755)
    monkeypatch.setattr("provision.runtime.SOCKETS", tmp_path)
    monkeypatch.setenv("PATH", str(programs))
    share_connections(LOCAL)
    share_connections("tcp://big:2375")
    assert os.environ["PATH"] == str(programs)
    share_connections(FAR)
    ours, rest = os.environ["PATH"].split(os.pathsep)
    assert rest == str(programs)
    text = (tmp_path / ours / "ssh").read_text()
    assert '*" docker system dial-stdio")' in text
    assert text.count(f"exec {programs}/ssh") == 2
    share_connections(FAR)
    assert os.environ["PATH"].split(os.pathsep) == [ours, rest]


BIG = Elsewhere(address="ssh://big", name="big", variables={})
ON_BIG = Inventory(
    machine="dev", backend="vm", taken="then", facts=(Fact(section="users", subject="dev", attributes={}),)
)


def _command(monkeypatch: pytest.MonkeyPatch, places: Mapping[str, Elsewhere | UsageError]) -> Request:
    """A request of a verb whose backends are where `places` says, or on this host."""

    def elsewhere(request: Request) -> Elsewhere | None:
        found = places.get(request.backend)
        if isinstance(found, UsageError):
            raise found
        return found

    monkeypatch.setattr(host, "elsewhere", elsewhere)
    monkeypatch.setattr(
        host, "_call", lambda _there, request: SimpleNamespace(environment="dev", backend=request.backend)
    )
    return Request(spec=Path("provision.yaml"), backend="docker", settings={})


@pytest.mark.parametrize(
    ("names", "places", "handed"),
    [
        ((), {}, None),
        ((), {"vm": BIG}, None),
        (("docker", "vm"), {}, None),
        (("docker", "vm"), {"vm": BIG}, "vm"),
        (("docker", "vm"), {"vm": BIG, "docker": UsageError("no address for docker")}, "vm"),
        (("docker",), {"vm": BIG}, None),
    ],
)
def test_one_form_elsewhere_takes_the_others_along(
    names: Sequence[str],
    places: Mapping[str, Elsewhere | UsageError],
    handed: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = _command(monkeypatch, places)
    found: list[str] = []
    monkeypatch.setattr(host, "_hand_over", lambda _there, form: found.append(form.backend))
    host.hand_over_if_elsewhere(request, names)
    assert found == ([handed] if handed else [])


def test_inventories_come_from_where_a_form_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Sequence[str]] = []
    answers = [
        Completed(argv=(), code=0, stdout=record.as_json("dev", [ON_BIG]), stderr=""),
        Completed(argv=(), code=1, stdout="", stderr="… asking\nerror: dev is not running\n"),
    ]

    def ask(there: Elsewhere, call: SimpleNamespace, _progress: object, *words: str) -> Completed:
        assert (there, call.backend) == (BIG, "vm")
        asked.append(words)
        return answers[len(asked) - 1]

    monkeypatch.setattr("provision.handover.session.ask", ask)
    of = host.inventories_elsewhere(_command(monkeypatch, {"vm": BIG}))
    assert of("docker", None) is None
    assert of("vm", "dev") == {"dev": ON_BIG}
    with pytest.raises(Unreachable, match="there is no inventory of dev in vm on big") as refused:
        of("vm", None)
    assert refused.value.evidence[-1] == "error: dev is not running"
    assert asked == [("inventory", "--format", "json", "-m", "dev"), ("inventory", "--format", "json")]


def test_a_form_without_an_address_is_an_error_for_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    of = host.inventories_elsewhere(_command(monkeypatch, {"vm": UsageError("no address for vm")}))
    assert of("docker", None) is None
    with pytest.raises(UsageError, match="no address for vm"):
        of("vm", None)
