"""Kernel parameters of containers: files without effect, and what is said where the engine refuses one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision import spec
from provision.backends.docker import sysctls
from provision.backends.docker.sysctls import notes_on_sysctl_files, refused_sysctls, sysctl_refused

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Environment

RUNC = "OCI runtime create failed: runc create failed: error during container init: "


def load(folder: Path, text: str) -> Environment:
    file = folder / "dev.yaml"
    file.write_text(f"version: 1\nname: dev\nbase: debian:12\n{text}\n")
    return spec.load(file, backend="docker", settings={}, host={})


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        (
            "open /proc/sys/net/core/rmem_max: no such file or directory: unknown",
            "net.core.rmem_max",
            "-b vm",
        ),
        (
            "write /proc/sys/net/core/somaxconn: invalid argument: unknown",
            "net.core.somaxconn",
            "rejects this value",
        ),
        (
            "write sysctl key net.core.somaxconn: open /proc/sys/net/core/somaxconn: no such file",
            "net.core.somaxconn",
            "-b vm",
        ),
        ("exec: no such file or directory", None, ""),
    ],
)
def test_what_an_engine_refuses_is_named_with_its_place(
    line: str, said: str | None, hint: str, tmp_path: Path
) -> None:
    environment = load(tmp_path, "sysctls: {net.core.rmem_max: 1, net.core.somaxconn: x}")
    error = sysctl_refused([RUNC + line], environment)
    if said is None:
        assert error is None
        return
    assert error is not None
    assert said in error.message
    assert f"dev.yaml:4: {said}: " in error.evidence[0]
    assert hint in error.hint


@pytest.mark.parametrize(
    ("path", "noted"),
    [
        ("/etc/sysctl.d/10-x.conf", True),
        ("/usr/lib/sysctl.d/10-x.conf", True),
        ("/etc/sysctl.conf", True),
        ("/etc/sysctl.dist", False),
        ("/etc/app/sysctl.conf", False),
    ],
)
def test_a_file_that_only_a_boot_reads_is_noted(path: str, noted: bool, tmp_path: Path) -> None:
    notes = notes_on_sysctl_files(load(tmp_path, f"files: {{{path}: {{content: x}}}}"))
    assert [path in note for note in notes] == ([True] if noted else [])


@pytest.mark.parametrize(
    ("text", "local", "said"),
    [
        ("{net.core.somaxconn: 1024}", True, ""),
        ("{net.core.somaxcon: 1024}", True, "dev.yaml:4: this kernel has no net.core.somaxcon"),
        ("{net.core.somaxcon: 1024}", False, ""),
        ("{net.ipv4.conf.eth7.forwarding: 1}", True, ""),
        ("{net.ipv6.neigh.eth7.mcast_solicit: 1}", True, ""),
    ],
)
def test_a_parameter_that_the_kernel_lacks_is_refused_before_the_start(
    text: str,
    local: bool,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "proc/sys/net/core").mkdir(parents=True)
    (tmp_path / "proc/sys/net/core/somaxconn").touch()
    monkeypatch.setattr(sysctls, "PROC", tmp_path / "proc")
    monkeypatch.setattr(sysctls, "is_local", lambda: local)
    found = "\n".join(refused_sysctls(load(tmp_path, f"sysctls: {text}")))
    assert said in found if said else found == ""
