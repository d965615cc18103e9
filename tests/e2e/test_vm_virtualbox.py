"""VirtualBox's own VBoxManage is the judge: Vagrant applies the rendering, and it tells what came of it.

Without the kernel driver no machine starts; all that comes before is real. Vagrant is told
that VBoxManage is a version it knows, for it chooses its driver by that.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from provision import backends, spec
from provision.backends.vm.vagrant.boxes import ensure_box, forget_box
from provision.backends.vm.vagrant.virtualbox import DRIVER as VIRTUALBOX
from provision.progress import Silent
from provision.resources import cache
from provision.state import StateDir
from tests.conftest import ROOT, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.conftest import Project

VERSION_FOR_VAGRANT = "7.0.20r163906"
DRIVER = Path("/dev/vboxdrv")
LONG = 600
SPEC = """
version: 1
name: judged
base: debian:12
resources: {{cpus: 3, memory: 1536MiB, disk: 12GiB}}
workspace: {{source: ., path: /workspace, user: dev}}
users: {{dev: {{uid: 1234}}}}
volumes: {{data: /srv/data}}
ports: ["{port}:8080", "9090"]
backends: {{vm: {{provider: virtualbox}}}}
"""


@dataclass(frozen=True, kw_only=True)
class VirtualBox:
    """A VBoxManage whose settings, machines and boxes are those of these tests alone."""

    home: Path
    environment: Mapping[str, str]

    def ask(self, *words: str) -> str:
        return self.run("VBoxManage", *words, check=True).stdout

    def run(
        self, *words: str, folder: Path | None = None, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a program that finds this VBoxManage, and only what belongs to it."""
        done = subprocess.run(
            words,
            cwd=folder or self.home,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONG,
            check=False,
        )
        assert not check or done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}"
        return done

    def machines(self) -> list[str]:
        """The identities of all machines, masters of linked clones too."""
        return [line.rpartition("{")[2].rstrip("}") for line in self.ask("list", "vms").splitlines()]

    def facts(self, *words: str) -> dict[str, str]:
        """What is printed as NAME=VALUE or NAME: VALUE."""
        sign = "=" if "--machinereadable" in words else ":"
        pairs = (line.partition(sign) for line in self.ask(*words).splitlines())
        return {name.strip().strip('"'): value.strip().strip('"') for name, _, value in pairs}

    def remove_all(self) -> None:
        """Remove every machine, disk and box, and end VirtualBox's own service."""
        try:
            for machine in reversed(self.machines()):  # clones were made after their masters
                self.ask("unregistervm", machine, "--delete")
            for disk in self.ask("list", "hdds").splitlines():
                name, _, identity = disk.partition(":")
                if name == "UUID":
                    self.ask("closemedium", "disk", identity.strip(), "--delete")
        finally:
            self._end_services()
            shutil.rmtree(self.home)
            shutil.rmtree(f"/tmp/.vbox-{self.environment['VBOX_IPC_SOCKETID']}-ipc", ignore_errors=True)

    def _end_services(self) -> None:
        for service in self._services():
            with suppress(psutil.NoSuchProcess):
                service.terminate()
        for _ in range(600):
            if not self._services():
                return
            time.sleep(0.1)
        pytest.fail("VirtualBox's service does not end")

    def _services(self) -> list[psutil.Process]:
        """VirtualBox leaves a service running for some seconds after the last question."""
        mine = ("VBOX_IPC_SOCKETID", self.environment["VBOX_IPC_SOCKETID"])
        found = []
        for each in psutil.process_iter():
            with suppress(psutil.Error):  # it has ended, or is another user's
                if each.name().startswith("VBox") and mine in each.environ().items():
                    found.append(each)
        return found


@dataclass(frozen=True, kw_only=True)
class Made:
    """A machine that `vagrant up` made in a rendered folder, and could not start."""

    project: Project
    rendering: Path
    port: int
    box: str
    up: subprocess.CompletedProcess[str]
    identity: str
    facts: Mapping[str, str]


@pytest.fixture(scope="module")
def virtualbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualBox]:
    folder = cache() / "virtualbox"
    subprocess.run([ROOT / "scripts/virtualbox-root", folder], timeout=LONG, check=True)
    home = tmp_path_factory.mktemp("virtualbox")
    found = VirtualBox(
        home=home,
        environment={
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_HOME": str(home / "vagrant"),
            "VBOXMANAGE_VERSION": VERSION_FOR_VAGRANT,
            "VBOX_IPC_SOCKETID": f"provision-{os.getpid()}",
            "VBOX_USER_HOME": str(home / "settings"),
        },
    )
    try:
        found.ask("setproperty", "machinefolder", str(home / "machines"))
        yield found
    finally:
        found.remove_all()


@pytest.fixture(scope="module")
def made(virtualbox: VirtualBox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """What plain `vagrant up` makes of the rendering, with the box that is made of the machine's image."""
    project = make_project(tmp_path_factory.mktemp("judged") / "project", "vm")
    port = free_port()
    project.spec(SPEC.format(port=port))
    rendering = project.folder / "out/rendering"
    project.good("render", "-b", "vm", "-o", str(rendering))
    environment = spec.load(
        project.folder / "provision.yaml", backend="vm", settings={}, host={}, allows=spec.everything
    )
    (machine,) = environment.machines
    rendered = backends.find("vm").render(environment, rendering)
    box = ensure_box(
        machine,
        "virtualbox",
        StateDir(folder=rendering.parent, name="judged", id="00000000"),
        rendered,
        Silent(),
        rebuild=False,
    )
    assert box.made is not None
    chosen = {"boxes": {"judged": {"name": box.name, "url": box.url}}}
    (rendering / "host.json").write_text(json.dumps(chosen))
    words = ("--provider", "virtualbox", "--no-provision", "--no-destroy-on-error", "--no-color")
    up = virtualbox.run("vagrant", "up", *words, folder=rendering)
    written = rendering / ".vagrant/machines/judged/virtualbox/id"
    assert written.exists(), up.stdout
    identity = written.read_text()
    facts = virtualbox.facts("showvminfo", identity, "--machinereadable")
    yield Made(
        project=project,
        rendering=rendering,
        port=port,
        box=box.name,
        up=up,
        identity=identity,
        facts=facts,
    )
    assert box.made.release(written)


def test_vagrant_comes_as_far_as_the_kernel_driver(made: Made) -> None:
    assert made.up.returncode == 1
    assert 'Command: ["startvm"' in made.up.stdout
    judged = StateDir.of(made.project.folder, "judged", "vm")
    assert made.facts["name"] == f"{judged.unique_name}-judged"
    assert made.facts["VMState"] in ("poweroff", "aborted")


def test_processors_and_memory_are_those_of_the_spec(made: Made) -> None:
    assert made.facts["cpus"] == "3"
    assert made.facts["memory"] == "1536"


def test_the_disk_has_grown_to_what_the_spec_asks(made: Made, virtualbox: VirtualBox) -> None:
    assert virtualbox.facts("showmediuminfo", "disk", made.facts["SATA-0-0"])["Capacity"] == "12288 MBytes"


def test_the_box_is_imported_once_for_all_its_clones(made: Made, virtualbox: VirtualBox) -> None:
    (master,) = virtualbox.home.glob("vagrant/boxes/**/virtualbox/master_id")
    assert sorted(virtualbox.machines()) == sorted([master.read_text().strip(), made.identity])


def test_ports_are_forwarded_from_the_loopback_address(made: Made) -> None:
    rules = [value.split(",") for name, value in made.facts.items() if name.startswith("Forwarding(")]
    forwards = {int(guest): (kind, address, int(host)) for _, kind, address, host, _, guest in rules}
    assert set(forwards) == {22, 8080, 9090}
    assert forwards[8080] == ("tcp", "127.0.0.1", made.port)
    kind, address, host = forwards[9090]
    assert (kind, address) == ("tcp", "127.0.0.1")
    assert f"9090 (guest) => {host} (host)" in made.up.stdout  # another where 9090 is taken here


def test_the_workspace_is_shared_under_the_name_that_the_machine_mounts(made: Made) -> None:
    assert made.facts["SharedFolderPathMachineMapping1"] == str(made.project.folder)
    name = made.facts["SharedFolderNameMachineMapping1"]
    assert f"mount -t vboxsf -o rw {name} " in (made.rendering / "judged/machine/attach").read_text()
    assert "SharedFolderPathMachineMapping2" not in made.facts


def test_the_volume_is_a_disk_with_the_serial_that_the_machine_looks_for(
    made: Made, virtualbox: VirtualBox
) -> None:
    volume = Path(made.facts["SATA-1-0"])
    assert volume.parent == made.rendering.parent
    assert virtualbox.facts("showmediuminfo", "disk", str(volume))["Capacity"] == "10240 MBytes"
    key = "VBoxInternal/Devices/ahci/0/Config/Port1/SerialNumber"
    serial = virtualbox.facts("getextradata", made.identity, key)["Value"]
    assert serial in (made.rendering / "judged/machine/attach").read_text()


def test_the_console_is_written_beside_the_rendering(made: Made) -> None:
    assert made.facts["uartmode1"] == f"file,{made.rendering.parent}/console-judged.log"


def test_the_volume_outlives_its_machine(made: Made, virtualbox: VirtualBox) -> None:
    """The last of those that want the machine."""
    virtualbox.run("vagrant", "destroy", "--force", folder=made.rendering, check=True)
    assert made.identity not in virtualbox.machines()
    assert not Path(made.facts["SATA-0-0"]).exists()
    assert Path(made.facts["SATA-1-0"]).exists()


def test_what_vagrant_clones_goes_with_its_box(
    made: Made, virtualbox: VirtualBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (master,) = virtualbox.machines()
    for name, value in virtualbox.environment.items():
        monkeypatch.setenv(name, value)
    VIRTUALBOX.forget_copies(made.box)
    forget_box(made.box, "virtualbox")
    assert master not in virtualbox.machines()
    assert made.box not in virtualbox.run("vagrant", "box", "list").stdout


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


# What `up` says where VirtualBox cannot be used: nothing is made.


def test_a_host_without_vboxmanage(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    vagrant = shutil.which("vagrant")
    assert vagrant is not None
    (programs / "vagrant").symlink_to(vagrant)
    project = make_project(tmp_path / "project", "vm")
    project.spec(SPEC.format(port=free_port()))
    said = project.run("up", "-b", "vm", env={"PATH": str(programs)})
    assert said.code == 3
    assert "virtualbox cannot be used on this host" in said.stderr
    assert "no VBoxManage command" in said.stderr
    assert "hint: install VirtualBox" in said.stderr
    assert not project.state_dir("judged").rendering.exists()


@pytest.mark.skipif(DRIVER.exists() and "CI" not in os.environ, reason=f"this host has {DRIVER}")
def test_a_host_without_the_kernel_driver(tmp_path: Path, virtualbox: VirtualBox) -> None:
    assert not DRIVER.exists()
    before = virtualbox.machines()
    project = make_project(tmp_path / "project", "vm")
    project.spec(SPEC.format(port=free_port()))
    said = project.run("up", "-b", "vm", env={**virtualbox.environment, "HOME": os.environ["HOME"]})
    assert said.code == 3, said.all
    assert "virtualbox cannot be used on this host" in said.stderr
    assert f"{DRIVER} is missing" in said.stderr
    assert "hint: load its kernel driver" in said.stderr
    assert virtualbox.machines() == before
    assert not project.state_dir("judged").rendering.exists()
