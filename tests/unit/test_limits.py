"""Limits of services: what a machine must have for them, and what an engine cannot give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision import spec
from provision.backends.docker import capabilities, limits
from provision.backends.docker.backend import Docker
from provision.errors import HostLacks, SpecError
from provision.recipe.limits import Limit, machine_limits
from provision.state import StateDir

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Environment


def load(folder: Path, *asked: str) -> Environment:
    services = "".join(f"  s{n}: {{command: a, limits: {{{text}}}}}\n" for n, text in enumerate(asked))
    file = folder / "dev.yaml"
    file.write_text(f"version: 1\nname: dev\nbase: debian:12\nservices:\n{services}")
    return spec.load(file, backend="docker", settings={}, host={}, allows=spec.everything)


@pytest.mark.parametrize(
    ("asked", "machine"),
    [
        (["nofile: 512"], {}),
        (["nofile: 65536"], {"nofile": Limit(soft=1024, hard=65536)}),
        (["nofile: 65536", "nofile: 4096"], {"nofile": Limit(soft=1024, hard=65536)}),
        (["memlock: 67108864"], {"memlock": Limit(soft=67108864, hard=67108864)}),
        (["memlock: 67109000"], {"memlock": Limit(soft=67108864, hard=67108864)}),
        (["memlock: unlimited"], {"memlock": Limit(soft=-1, hard=-1)}),
        (["memlock: -1", "memlock: 67108864"], {"memlock": Limit(soft=-1, hard=-1)}),
        (["core: unlimited"], {"core": Limit(soft=0, hard=-1)}),
        (["nproc: 4096"], {}),
        (["nproc: 5000"], {"nproc": Limit(soft=5000, hard=5000)}),
        (["core: 0"], {}),
        (["core: 1048576"], {"core": Limit(soft=0, hard=1048576)}),
        (["stack: 8388608"], {}),
        (["stack: 16777216"], {"stack": Limit(soft=8388608, hard=16777216)}),
    ],
)
def test_the_largest_is_the_machines(asked: list[str], machine: dict[str, Limit], tmp_path: Path) -> None:
    assert machine_limits(load(tmp_path, *asked).machines[0]) == machine


FULL, LESS = "000001ffffffffff", "000001fffeffffff"
WHOLE, ROOTLESS = "         0          0 4294967295\n", "         0       1000          1\n"
OWN = "the engine's own limit"


@pytest.mark.parametrize(
    ("rights", "users", "asked", "said"),
    [
        (FULL, WHOLE, "nofile: 65536", ""),
        (FULL, WHOLE, "nofile: 2000000", "nofile 2000000 is more than 1048576, the host's fs.nr_open"),
        (FULL, WHOLE, "memlock: 67108864", ""),
        (LESS, WHOLE, "nofile: 20000", ""),
        (LESS, WHOLE, "nofile: 65536", f"nofile 65536 is more than 20000, {OWN}"),
        (LESS, WHOLE, "memlock: 67108864", f"memlock 67108864 is more than 8388608, {OWN}"),
        (LESS, WHOLE, "core: 1048576", ""),
        (LESS, WHOLE, "core: unlimited", ""),
        (FULL, WHOLE, "memlock: unlimited", ""),
        (LESS, WHOLE, "memlock: unlimited", f"memlock unlimited is more than 8388608, {OWN}"),
        (FULL, ROOTLESS, "nofile: 65536", f"nofile 65536 is more than 20000, {OWN}"),
        (None, WHOLE, "memlock: 67108864", ""),
    ],
)
def test_what_an_engine_cannot_give_is_said_with_its_place(
    rights: str | None,
    users: str,
    asked: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proc = tmp_path / "proc"
    (proc / "sys" / "fs").mkdir(parents=True)
    (proc / "sys" / "fs" / "nr_open").write_text("1048576\n")
    if rights:
        engine = proc / "71"
        engine.mkdir()
        (engine / "comm").write_text("dockerd\n")
        (engine / "status").write_text(f"Name:\tdockerd\nCapEff:\t{rights}\n")
        (engine / "uid_map").write_text(users)
        (engine / "limits").write_text(
            "Limit                     Soft Limit           Hard Limit           Units     \n"
            "Max open files            20000                20000                files     \n"
            "Max locked memory         8388608              8388608              bytes     \n"
            "Max core file size        0                    unlimited            bytes     \n"
        )
    monkeypatch.setattr(limits, "PROC", proc)
    monkeypatch.setattr(limits, "is_local", lambda: True)
    found = "\n".join(limits.refused_limits(load(tmp_path, asked)))
    assert f"dev.yaml:5: service s0: {said}" in found if said else found == ""


def test_plan_refuses_what_up_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = load(tmp_path, "nofile: 65536")
    monkeypatch.setattr(capabilities, "refused_limits", lambda _: ["dev.yaml:5: nofile"])
    with pytest.raises(HostLacks, match="cannot grant a service its limits") as refused:
        Docker().plan(environment, StateDir.of(tmp_path, environment.name, "docker"))
    assert refused.value.evidence == ("dev.yaml:5: nofile",)


def test_open_files_are_never_unlimited(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as refused:
        load(tmp_path, "nofile: -1")
    assert "at least 0" in refused.value.problems[0].message
