"""What a host decides about an environment, and that the environment itself says nothing of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from provision import spec
from provision.backends.docker.backend import Docker
from provision.backends.docker.systemd import EngineChoices
from provision.backends.vm import backend as vm
from provision.backends.vm import drivers
from provision.docker_client import queries
from provision.errors import HostLacks
from provision.state import StateDir

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Environment

HEAD = "version: 1\nname: dev\nbase: debian:12\n"


def load(folder: Path, text: str, backend: str) -> Environment:
    (folder / ".git").mkdir(exist_ok=True)
    (folder / "dev.yaml").write_text(HEAD + text)
    return spec.load(folder / "dev.yaml", backend=backend, settings={}, host={}, allows=spec.everything)


@pytest.mark.parametrize(
    ("named", "variable", "former", "usable", "expected"),
    [
        ("libvirt", "virtualbox", "qemu", "qemu", "libvirt"),
        ("", "virtualbox", "qemu", "qemu", "virtualbox"),
        ("", "", "libvirt", "qemu", "libvirt"),
        ("", "", None, "libvirt", "libvirt"),
        ("", "", None, None, "qemu"),  # no driver works here: the preferred one says what it lacks
    ],
)
def test_the_driver_is_the_specs_then_the_persons_then_the_one_it_has_then_the_hosts(
    named: str,
    variable: str,
    former: str | None,
    usable: str | None,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROVISION_PROVIDER", variable)
    monkeypatch.setattr(vm, "driver_of", lambda _state_dir: former)
    monkeypatch.setattr(drivers, "first_usable", lambda **_options: usable)
    environment = load(tmp_path, f"backends: {{vm: {{provider: {named}}}}}\n" if named else "", "vm")
    state_dir = StateDir.of(tmp_path, "dev", "vm", tmp_path / "dev.yaml")
    assert vm.VirtualMachines().choose(environment, state_dir).driver == expected
    assert environment.machines[0].options.get("provider", "") == named


SYSTEMD = "backends: {docker: {init: systemd}}\n"


@pytest.mark.parametrize("cgroups", ["1", "2"])
def test_systemd_in_a_container_is_rendered_for_the_engines_cgroups(
    cgroups: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "engine", lambda: SimpleNamespace(cgroups=cgroups))
    monkeypatch.setattr(queries, "features", lambda: queries.CURRENT)
    environment = load(tmp_path, SYSTEMD, "docker")
    state_dir = StateDir.of(tmp_path, "dev", "docker", tmp_path / "dev.yaml")
    choices = Docker().choose(environment, state_dir)
    compose = Docker().render(environment, tmp_path / "rendering", choices).files["compose.yaml"].content
    assert (b"cgroup: host" in compose, b"writable-cgroups" in compose) == (cgroups == "1", cgroups == "2")
    assert (choices == EngineChoices()) == (cgroups == "2")


def test_an_engine_that_does_not_answer_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent() -> None:
        raise HostLacks("the Docker engine does not answer")

    monkeypatch.setattr(queries, "engine", silent)
    monkeypatch.setattr(queries, "features", lambda: queries.CURRENT)
    state_dir = StateDir.of(tmp_path, "dev", "docker", tmp_path / "dev.yaml")
    assert Docker().choose(load(tmp_path, SYSTEMD, "docker"), state_dir) == EngineChoices()


@pytest.mark.parametrize(
    ("features", "choices"),
    [
        (queries.CURRENT, EngineChoices()),
        (
            queries.Features(api=(1, 41), buildkit=False),
            EngineChoices(start_interval=False, buildkit=False),
        ),
    ],
)
def test_what_an_engine_can_do_decides(
    features: queries.Features, choices: EngineChoices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without systemd, nothing slower than its features is asked: the ban on sockets would fail this."""
    monkeypatch.setattr(queries, "features", lambda: features)
    state_dir = StateDir.of(tmp_path, "dev", "docker", tmp_path / "dev.yaml")
    assert Docker().choose(load(tmp_path, "", "docker"), state_dir) == choices
