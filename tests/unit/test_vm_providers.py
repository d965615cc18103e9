"""What hypervisors that no test can start say of their machines, as states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision.backends.vm import drivers
from provision.backends.vm.driver import (
    ForwardsLater,
    HasGuestConsole,
    HoldsPorts,
    KeepsVolumes,
    OpensLoopback,
    SavesState,
    StartsProvisioned,
    TakesBoxes,
)
from provision.backends.vm.qemu import driver as qemu
from provision.backends.vm.vagrant import hyperv, libvirt, parallels, virtualbox, vmware_desktop
from provision.backends.vm.validation import unsupported
from provision.spec import load

if TYPE_CHECKING:
    from pathlib import Path

    from provision.backends.vm.driver import Driver

ID = "0f1e2d3c-0000-4000-8000-00000000000A"
OTHER = "11111111-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("listed", "state"),
    [
        ("", "absent"),
        (f"{OTHER} Running\r\n", "absent"),
        (f"{OTHER} Off\r\n{ID.lower()} Running\r\n", "running"),
        (f"{ID} Saved\r\n", "stopped"),
        (f"{ID} Off\r\n{OTHER} Running\r\n", "stopped"),
    ],
)
def test_states_of_hyperv(listed: str, state: str) -> None:
    assert hyperv.state_among(listed, ID) == state


@pytest.mark.parametrize(
    ("listed", "state"),
    [
        ("", "absent"),
        (f"{{{OTHER}}}  running\n", "absent"),
        (f"{{{OTHER}}}  stopped\n{{{ID.lower()}}}  running\n", "running"),
        (f"{{{ID}}}  suspended\n", "stopped"),
    ],
)
def test_states_of_parallels(listed: str, state: str) -> None:
    assert parallels.state_among(listed, ID) == state


def test_states_of_vmware(tmp_path: Path) -> None:
    file = tmp_path / "a.vmx"
    assert vmware_desktop.state_among(f"Total running VMs: 1\n{file}\n", file) == "absent"
    file.write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    assert vmware_desktop.state_among("Total running VMs: 0\n", file) == "stopped"
    assert vmware_desktop.state_among(f"Total running VMs: 1\n{tmp_path}/b.vmx\n", file) == "stopped"
    assert vmware_desktop.state_among(f"Total running VMs: 1\n{tmp_path}/link/a.vmx\n", file) == "running"


@pytest.mark.parametrize(
    ("provider", "ports", "refused"),
    [
        ("libvirt", '["127.0.0.1:8080:80", "[::1]:8081:80"]', 0),
        ("libvirt", '["127.0.0.1:8080:80", "[::1]:8080:80"]', 2),
        ("libvirt", '["80", "127.0.0.2::80"]', 0),
        ("qemu", '["127.0.0.1:8080:80", "127.0.0.2:8080:80"]', 0),
        ("qemu", '["127.0.0.1:8080:80", "[::1]:8080:80"]', 1),
    ],
)
def test_ports_that_a_provider_cannot_forward_are_refused(
    provider: str, ports: str, refused: int, tmp_path: Path
) -> None:
    file = tmp_path / "dev.yaml"
    file.write_text(f"version: 1\nname: dev\nbase: debian:12\nports: {ports}\n")
    environment = load(file, backend="vm", host={})
    assert len(list(unsupported(environment, drivers.find(provider)))) == refused


# A list of the contract's type: mypy holds each of them to it.
ALL: list[Driver] = [
    qemu.DRIVER,
    libvirt.DRIVER,
    virtualbox.DRIVER,
    parallels.DRIVER,
    vmware_desktop.DRIVER,
    hyperv.DRIVER,
]
OPTIONAL: tuple[type, ...] = (
    *(KeepsVolumes, TakesBoxes, HasGuestConsole, StartsProvisioned),
    *(SavesState, HoldsPorts, ForwardsLater, OpensLoopback),
)
CAN: dict[str, set[type]] = {
    "qemu": {KeepsVolumes, HasGuestConsole, StartsProvisioned, SavesState, HoldsPorts, OpensLoopback},
    "libvirt": {KeepsVolumes, TakesBoxes, HoldsPorts, ForwardsLater},
    "virtualbox": {KeepsVolumes, TakesBoxes, OpensLoopback},
    "parallels": {TakesBoxes},
    "vmware_desktop": {TakesBoxes},
    "hyperv": {TakesBoxes},
}


def test_every_driver_is_found_by_its_name() -> None:
    assert [driver.name for driver in ALL] == list(drivers.names())
    assert [drivers.find(driver.name) for driver in ALL] == ALL


@pytest.mark.parametrize("driver", ALL, ids=lambda driver: driver.name)
def test_what_only_some_drivers_can_do(driver: Driver) -> None:
    assert {protocol for protocol in OPTIONAL if isinstance(driver, protocol)} == CAN[driver.name]
