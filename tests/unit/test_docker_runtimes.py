"""Runtimes of containers: which have their own kernel, which need a word of trust, which are unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision import spec
from provision.backends.docker import capabilities
from provision.backends.docker.runtimes import has_own_kernel, is_harmless, refused_runtimes

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Environment

pytestmark = pytest.mark.usefixtures("no_processes")


def _environment(folder: Path, runtime: str) -> Environment:
    path = folder / "provision.yaml"
    path.write_text(
        "version: 1\nname: dev\nbase: debian:12\nrequires: [kernel]\n"
        f"backends: {{docker: {{runtime: {runtime}}}}}\n"
    )
    return spec.load(path, backend="docker", settings={}, allows=spec.everything)


@pytest.mark.parametrize(
    ("runtime", "own_kernel", "harmless"),
    [
        ("kata", True, True),
        ("kata-fc", True, True),
        ("io.containerd.kata.v2", True, True),
        ("io.containerd.kata-qemu.v2", True, True),
        ("krun", True, True),
        ("runsc", False, True),
        ("runsc-kvm", False, True),
        ("crun", False, True),
        ("io.containerd.runc.v2", False, True),
        ("nvidia", False, False),
        ("katamaran", False, False),
        ("sysbox-runc", False, False),
    ],
)
def test_what_a_runtime_is_taken_for(runtime: str, own_kernel: bool, harmless: bool, tmp_path: Path) -> None:
    environment = _environment(tmp_path, runtime)
    [machine] = environment.machines
    assert has_own_kernel(machine) == own_kernel
    assert is_harmless(runtime) == harmless
    assert ("kernel" in capabilities.supports(machine)) == own_kernel
    assert ("kernel" in capabilities.lacks(machine)) != own_kernel


@pytest.mark.parametrize(
    ("runtime", "known", "refused"),
    [
        ("kata", ("runc", "kata"), ()),
        ("kata", ("runc", "crun"), ("dev: runtime kata; the engine has crun, runc",)),
        ("kata", (), ("dev: runtime kata; the engine has none that it names",)),
        ("io.containerd.kata.v2", ("runc",), ()),  # a shim that the engine looks for itself
    ],
)
def test_a_runtime_that_an_engine_lacks_is_refused_with_those_it_has(
    runtime: str, known: tuple[str, ...], refused: tuple[str, ...], tmp_path: Path
) -> None:
    assert refused_runtimes(_environment(tmp_path, runtime), known) == refused


def test_a_spec_without_a_runtime_is_content_with_any_engine(tmp_path: Path) -> None:
    path = tmp_path / "provision.yaml"
    path.write_text("version: 1\nname: dev\nbase: debian:12\n")
    environment = spec.load(path, backend="docker", settings={}, allows=spec.everything)
    assert refused_runtimes(environment, ()) == ()
