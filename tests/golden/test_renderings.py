"""The bytes of renderings, held in folders: what a spec becomes, for people to read.

`RENEW_GOLDEN=1 pytest tests/golden` writes them anew; git then shows what changed.
"""

from __future__ import annotations

import os
import shutil
from fnmatch import fnmatch
from typing import TYPE_CHECKING

import pytest

from tests.renderings import CASES, HELD, Case, anywhere

if TYPE_CHECKING:
    from pathlib import Path

    from provision.rendering import Rendering

pytestmark = pytest.mark.usefixtures("no_processes")
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(autouse=True)
def _a_hostile_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever a rendering took from this host would show."""
    for name in ("EDITOR", "HOME", "TZ", "LANG", "USER", "PROVISION_BACKEND", "PROVISION_VAR_PROVIDER"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))


def rendered(case: Case, folder: Path) -> Rendering:
    return case.render(anywhere(case.load(folder)))


def bytes_of(case: Case, rendering: Rendering) -> dict[str, tuple[bytes, bool]]:
    """What is held of a rendering: each file's bytes, and whether it may be run."""
    return {
        path: (file.content, file.executable)
        for path, file in rendering.files.items()
        if any(fnmatch(path, pattern) for pattern in case.held)
    }


def held(folder: Path) -> dict[str, tuple[bytes, bool]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), bool(path.stat().st_mode & 0o100))
        for path in folder.rglob("*")
        if path.is_file()
    }


@each_case
def test_bytes_are_those_that_are_held(case: Case, tmp_path: Path) -> None:
    found = bytes_of(case, rendered(case, tmp_path / "project"))
    folder = HELD / case.name
    if os.environ.get("RENEW_GOLDEN"):
        shutil.rmtree(folder, ignore_errors=True)
        for path, (content, executable) in found.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
            (folder / path).chmod(0o755 if executable else 0o644)
    expected = held(folder)
    assert sorted(found) == sorted(expected)
    for path, (content, executable) in found.items():
        assert content.decode() == expected[path][0].decode(), (
            f"{case.name}/{path}: RENEW_GOLDEN=1 writes it anew"
        )
        assert executable == expected[path][1], f"{case.name}/{path}"


def test_nothing_is_held_that_no_case_renders() -> None:
    folders = {path.name for path in HELD.iterdir() if path.is_dir()}
    assert folders == {"specs", *(case.name for case in CASES)}


@each_case
def test_equal_specs_give_equal_bytes_wherever_they_lie(case: Case, tmp_path: Path) -> None:
    one = rendered(case, tmp_path / "one")
    other = rendered(case, tmp_path / "deep" / "er" / "other")
    assert one == other


@each_case
def test_no_path_of_this_host_is_rendered(case: Case, tmp_path: Path) -> None:
    """Not even where the project really lies: a folder of it may be moved as a whole."""
    rendering = case.render(case.load(tmp_path / "project"))
    told = [path for path, file in rendering.files.items() if str(tmp_path).encode() in file.content]
    assert told == []


def test_both_backends_lay_the_same_scripts_into_the_machine(tmp_path: Path) -> None:
    """A probe, a service, a setup step is written once; only what starts them is the backend's own."""
    docker, vm = (
        rendered(Case(spec="several", backend=backend), tmp_path / backend).files
        for backend in ("docker", "vm")
    )
    common = [path for path in docker if path.startswith(("machine/services/", "machine/setup"))]
    common += [f"machine/{name}" for name in ("as", "healthy", "setup", "wait")]
    common += ["steps/010-system.sh", "steps/020-users.sh", "steps/030-mirror.sh"]
    common += [path for path in docker if path.startswith("files/")]
    assert len(common) > 30
    assert [path for path in common if docker[path] != vm[f"several/{path}"]] == []


@pytest.mark.parametrize("provider", ["qemu", "libvirt", "virtualbox"])
def test_a_disk_begins_with_the_very_layers_of_the_container(provider: str, tmp_path: Path) -> None:
    """Word for word: only then the builder has them already, and the machine finds each step done."""
    docker = rendered(Case(spec="several", backend="docker"), tmp_path / "docker").files
    case = Case(spec="several", backend="vm", provider=provider)
    machine = rendered(case, tmp_path / provider).files
    container, disk = (
        files[path].content.decode().partition("\n\n")[2]
        for files, path in ((docker, "Dockerfile"), (machine, "several/Dockerfile"))
    )
    before, stage, after = disk.partition("\n\n# Up to here")[0].partition("\n\nFROM packages AS container")
    assert stage
    layers = before + after
    assert layers.count("RUN ") > 5
    assert container.startswith(layers)
    steps = [path for path in docker if path.startswith(("steps/", "files/"))]
    others = [path for path in steps if docker[path] != machine.get(f"several/{path}")]
    assert [path.partition("-")[2] for path in others] == ["machine.sh"]
