"""Machines of two architectures: what each is, and that the same rendering becomes either."""

from __future__ import annotations

import os
import platform
import subprocess
from typing import TYPE_CHECKING

import pytest

from provision.backends.vm.architecture import (
    AARCH64,
    ARCHITECTURES,
    OVERRIDE,
    X86_64,
    architecture,
    required,
)
from provision.backends.vm.qemu.driver import DRIVER
from provision.backends.vm.qemu.snapshot import host_processor
from provision.backends.vm.vagrant import libvirt
from provision.bases.catalogue import archive, find
from provision.errors import HostLacks
from tests.renderings import Case, anywhere

if TYPE_CHECKING:
    from pathlib import Path

    from provision.backends.vm.acceleration import Accelerator
    from provision.backends.vm.architecture import Architecture

EVERYWHERE = ("virtio-blk-pci,drive=root", "virtio-net-pci,netdev=net,romfile=", "virtio-rng-pci",
              "virtio-balloon-pci,free-page-reporting=on", "virtio-serial-pci")  # fmt: skip
NAMES = [
    ("x86_64", X86_64),
    ("AMD64", X86_64),  # Windows
    ("amd64", X86_64),  # FreeBSD
    ("aarch64", AARCH64),
    ("arm64", AARCH64),  # macOS
    ("riscv64", None),
    ("i686", None),
]


@pytest.fixture(autouse=True)
def _no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OVERRIDE, raising=False)


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_a_host_has_machines_of_its_own_architecture(
    monkeypatch: pytest.MonkeyPatch, name: str, expected: Architecture | None
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: name)
    assert architecture() is expected
    if expected is None:
        found = DRIVER.examine()
        assert not found.usable
        assert name in found.detail
        assert "x86_64 and aarch64" in found.detail
        with pytest.raises(HostLacks, match=name):
            required()
    else:
        assert required() is expected
        assert expected.is_native


def test_another_architecture_is_never_native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv(OVERRIDE, "aarch64")
    assert architecture() is AARCH64
    assert not AARCH64.is_native


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rendered script, and beside it a QEMU that only says how it was called."""
    folder = tmp_path_factory.mktemp("start")
    case = Case(spec="single", backend="vm", provider="qemu")
    case.render(anywhere(case.load(folder / "project"))).write(folder / "rendering")
    for each in ARCHITECTURES:
        (folder / each.program).write_text('#!/bin/sh\necho "${0##*/}"\nprintf "%s\\n" "$@"\n')
        (folder / each.program).chmod(0o755)
    (folder / "uname").write_text('#!/bin/sh\necho "$UNAME"\n')
    (folder / "uname").chmod(0o755)
    state = folder / "state"
    state.mkdir()
    for name in ("single.qcow2", "key"):
        (state / name).touch()
    (state / "key.pub").write_text("ssh-ed25519 AAAA provision\n")
    (state / "image").mkdir()
    (state / "image" / "disk.qcow2").touch()
    return folder / "rendering" / "single.sh"


def started(script: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    folder = script.parent.parent
    environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "STATE": str(folder / "state")}
    words = ["sh", str(script), "-more", "words"]
    return subprocess.run(
        words, env={**environment, "NET": "user", **variables}, capture_output=True, text=True, check=False
    )


@pytest.mark.processes
@pytest.mark.parametrize(("name", "expected"), [each for each in NAMES if each[1]])
@pytest.mark.parametrize("variable", ["UNAME", "ARCHITECTURE"])
def test_the_script_becomes_the_qemu_of_the_host(
    script: Path, variable: str, name: str, expected: Architecture
) -> None:
    done = started(script, **{"UNAME": "?", variable: name})
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()
    assert words[0] == expected.program
    assert words[words.index("-machine") + 1] == expected.machine
    assert words[words.index("-cpu") + 1] == expected.emulated
    assert expected.kernel in words[words.index("-append") + 1]
    assert set(EVERYWHERE) <= set(words)
    assert set(expected.devices) <= set(words)
    assert ("vmgenid,guid=auto" in words) == (expected is X86_64)
    assert words[-2:] == ["-more", "words"]
    for other in ARCHITECTURES:
        if other is not expected:
            assert not any(other.kernel.split()[0] in word for word in words)


@pytest.mark.processes
def test_the_script_takes_the_processor_that_it_is_told(script: Path) -> None:
    words = started(script, ARCHITECTURE="aarch64", ACCEL="hvf", CPU="host").stdout.splitlines()
    assert words[words.index("-accel") + 1] == "hvf"
    assert words[words.index("-cpu") + 1] == "host"


@pytest.mark.processes
def test_the_script_says_where_it_has_no_machine(script: Path) -> None:
    done = started(script, UNAME="riscv64")
    assert done.returncode == 1
    assert done.stderr == "there is no machine for riscv64, only for x86_64 and aarch64\n"


@pytest.mark.parametrize(
    ("host", "accelerator", "expected"),
    [
        ("x86_64", "kvm", {"driver": "kvm", "cpu_mode": "host-passthrough"}),
        ("x86_64", "emulation", {"driver": "qemu", "cpu_mode": "custom", "cpu_model": "qemu64"}),
        ("aarch64", "kvm", {"driver": "kvm", "cpu_mode": "host-passthrough", "machine_type": "virt",
                            "machine_arch": "aarch64", "loader": libvirt.LOADER}),
        ("aarch64", "emulation", {"driver": "qemu", "cpu_mode": "custom", "cpu_model": "cortex-a72",
                           "machine_type": "virt", "machine_arch": "aarch64", "loader": libvirt.LOADER}),
    ],
)  # fmt: skip
def test_libvirt_is_told_what_the_host_is(
    monkeypatch: pytest.MonkeyPatch, host: str, accelerator: Accelerator, expected: dict[str, str]
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: host)
    assert libvirt.processor(accelerator) == expected


@pytest.mark.parametrize(
    ("base", "host", "mirrors"),
    [
        ("ubuntu:24.04", "x86_64", {"http://archive.ubuntu.com/ubuntu", "http://security.ubuntu.com/ubuntu"}),
        ("ubuntu:24.04", "aarch64", {"http://ports.ubuntu.com/ubuntu-ports"}),
        ("debian:12", "aarch64", {"http://deb.debian.org/debian", "http://deb.debian.org/debian-security"}),
    ],
)
def test_a_base_is_made_from_a_mirror_that_has_the_architecture(
    monkeypatch: pytest.MonkeyPatch, base: str, host: str, mirrors: set[str]
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: host)
    found = archive(find(base))
    assert found is not None
    assert {pocket.url for pocket in found.pockets(find(base))} == mirrors


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (
            "processor\t: 0\nmodel name\t: one\ncpu MHz\t: 1\nflags\t: a b\n",
            "flags\t: a b\nmodel name\t: one",
        ),
        (
            "processor\t: 0\nBogoMIPS\t: 1\nFeatures\t: fp\nCPU part\t: 0xd08\n",
            "CPU part\t: 0xd08\nFeatures\t: fp",
        ),
    ],
)
def test_a_state_is_of_one_kind_of_processor(tmp_path: Path, told: str, kept: str) -> None:
    """That of an aarch64 host says its kind in other words, and a state of another is not loaded."""
    file = tmp_path / "cpuinfo"
    file.write_text(told)
    assert host_processor(file) == kept
