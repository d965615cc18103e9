"""What of libvirt's is an environment's own: by what it was asked to make, and what libvirt says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision import process, spec
from provision.backends.vm import BACKEND
from provision.backends.vm.vagrant import libvirt
from provision.backends.vm.vagrant.libvirt import DRIVER
from provision.errors import EnvironmentFailed
from provision.model import Usage
from provision.process import Completed
from provision.state import StateDir

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Environment

SPEC = "version: 1\nname: dev\nbase: debian:12\nvolumes: {data: /data}\n"


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    (tmp_path / ".git").mkdir()
    (tmp_path / "dev.yaml").write_text(SPEC)
    return spec.load(tmp_path / "dev.yaml", backend="vm", host={})


@pytest.fixture
def state_dir(environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))
    return StateDir.of(environment.project, "dev", "vm", environment.spec)


@pytest.fixture
def virsh(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What libvirt has: domains with their descriptions, and volumes; what was deleted."""
    has: dict[str, list[str]] = {"domains": [], "volumes": [], "deleted": []}

    def ask(*words: str) -> Completed:
        code, said = 0, ""
        if words[0] == "desc":
            code, said = (0, "Source: /home/me/Vagrantfile") if words[1] in has["domains"] else (1, "")
        elif words[0] == "vol-list":
            said = "".join(f" {name}   /pool/{name}\n" for name in has["volumes"])
        elif words[0] == "vol-delete":
            has["volumes"].remove(words[-1])
            has["deleted"].append(words[-1])
        return Completed(argv=words, code=code, stdout=said, stderr="")

    monkeypatch.setattr(libvirt, "_virsh", ask)
    monkeypatch.setattr(process, "find", lambda _program: "/usr/bin/virsh")
    return has


def test_a_domain_of_others_is_in_the_way_with_its_folder(
    environment: Environment, state_dir: StateDir, virsh: dict[str, list[str]]
) -> None:
    DRIVER.refuse_strangers(environment, state_dir)
    virsh["domains"] = [f"{environment.unique_name}-dev"]
    with pytest.raises(EnvironmentFailed) as caught:
        DRIVER.refuse_strangers(environment, state_dir)
    assert caught.value.evidence == (
        f"the libvirt domain {environment.unique_name}-dev (Source: /home/me/Vagrantfile)",
    )


def test_a_volume_that_was_not_made_for_it_is_in_the_way_and_never_deleted(
    environment: Environment, state_dir: StateDir, virsh: dict[str, list[str]]
) -> None:
    name = f"{environment.unique_name}.dev.data"
    virsh["volumes"] = [f"{name}.qcow2", "others.qcow2"]
    with pytest.raises(EnvironmentFailed) as caught:
        DRIVER.refuse_strangers(environment, state_dir)
    assert name in caught.value.evidence[0]
    assert DRIVER.volumes(state_dir) == ()
    DRIVER.remove_volumes(state_dir)
    assert virsh["deleted"] == []


def test_its_own_volumes_stay_its_own_when_the_spec_has_others(
    environment: Environment, state_dir: StateDir, virsh: dict[str, list[str]], tmp_path: Path
) -> None:
    DRIVER.remember_volumes(environment, state_dir)
    old, new = (f"{environment.unique_name}.dev.{name}" for name in ("data", "other"))
    virsh["volumes"] = [f"{old}.qcow2", "others.qcow2"]
    DRIVER.refuse_strangers(environment, state_dir)
    (tmp_path / "dev.yaml").write_text(SPEC.replace("data: /data", "other: /data"))
    changed = spec.load(tmp_path / "dev.yaml", backend="vm", host={})
    DRIVER.remember_volumes(changed, state_dir)
    virsh["volumes"].append(f"{new}.qcow2")
    assert DRIVER.volumes(state_dir) == (old, new)
    DRIVER.remove_volumes(state_dir)
    assert virsh["deleted"] == [f"{old}.qcow2", f"{new}.qcow2"]
    assert virsh["volumes"] == ["others.qcow2"]


def test_with_a_damaged_record_the_id_in_their_names_tells(
    environment: Environment, state_dir: StateDir, virsh: dict[str, list[str]]
) -> None:
    DRIVER.remember_volumes(environment, state_dir)
    state_dir.path_of(libvirt.VOLUMES).write_text("{")
    virsh["volumes"] = [f"{environment.unique_name}.dev.data.qcow2", "dev-99999999.dev.data.qcow2"]
    assert DRIVER.volumes(state_dir) == (f"{environment.unique_name}.dev.data",)


def test_a_machine_s_own_disk_is_its_own_only_if_it_was_made_here(
    environment: Environment, state_dir: StateDir, virsh: dict[str, list[str]]
) -> None:
    """Vagrant forgets a machine whose domain was removed by hand; its disk stays in the pool."""
    disk = f"{environment.unique_name}-dev.img"
    virsh["volumes"] = [disk]
    with pytest.raises(EnvironmentFailed) as caught:
        DRIVER.refuse_strangers(environment, state_dir)
    assert caught.value.evidence == (f"the disk {disk} in libvirt's pool default",)
    virsh["volumes"] = []
    DRIVER.remember_volumes(environment, state_dir)
    virsh["volumes"] = [disk]
    DRIVER.refuse_strangers(environment, state_dir)
    state_dir.path_of(libvirt.VOLUMES).write_text("{")
    DRIVER.refuse_strangers(environment, state_dir)


# --- what a machine takes

DOMSTATS = """Domain: 'dev-box'
  cpu.time=%d
  cpu.user=1
  balloon.current=2097152
  balloon.maximum=2097152
  balloon.rss=1024
  block.count=2
  block.0.name=vda
  block.0.physical=4096
  block.1.physical=8192

"""


def test_a_machine_takes_what_domstats_says() -> None:
    before, after = (libvirt.numbers(DOMSTATS % time) for time in (10**9, 2 * 10**9))
    found = libvirt.usage_of("dev", before, after, 2.0)
    assert found == Usage(machine="dev", cpu=50.0, memory=1024 * 1024, limit=2 << 30, disk=4096)


@pytest.mark.parametrize("text", ["", "Domain: 'dev-box'\n  balloon.current=2097152\n"])
def test_a_machine_that_does_not_run_takes_nothing(text: str) -> None:
    assert libvirt.usage_of("dev", libvirt.numbers(text), libvirt.numbers(text), 1.0) is None


@pytest.mark.parametrize(
    ("uri", "provider", "wanted", "handed"),
    [
        ("qemu+ssh://me@big/system", "libvirt", "", True),
        ("qemu+ssh://me@big/system", "", "libvirt", True),
        ("qemu+ssh://me@big/system", "", "", False),
        ("qemu+ssh://me@big/system", "qemu", "", False),
        ("qemu+tls://big/system", "libvirt", "", False),
        ("qemu:///system", "libvirt", "", False),
        ("", "libvirt", "", False),
    ],
)
def test_a_verb_goes_where_libvirt_is_for_those_who_want_libvirt(
    uri: str, provider: str, wanted: str, handed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", uri)
    monkeypatch.setenv("PROVISION_PROVIDER", wanted)
    text = "version: 1\nname: dev\nbase: debian:12\n"
    path = tmp_path / "provision.yaml"
    path.write_text(f"{text}backends: {{vm: {{provider: {provider}}}}}\n" if provider else text)
    address, variables = BACKEND.handed_to(lambda: spec.load(path, backend="vm", settings={}))
    assert address == ("ssh://me@big" if handed else "")
    assert variables == ({"LIBVIRT_DEFAULT_URI": "qemu:///system"} if handed else {})


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("qemu:///system", ""),
        ("qemu:///system?socket=/tmp/virt/sock", ""),
        ("qemu+ssh://me@big.example.org/system", "big.example.org"),
        ("qemu+tls://big/system", "big"),
        ("qemu+tcp://localhost/system", ""),
        ("qemu://[::1]/system", ""),
    ],
)
def test_libvirt_on_another_host_is_refused(address: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert libvirt.other_host(address) == host
    if host:
        monkeypatch.setenv("LIBVIRT_DEFAULT_URI", address)
        found = DRIVER.hypervisor()
        assert not found.usable
        assert f"is on {host}" in found.detail
