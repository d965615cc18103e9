"""A dozen kills at moments that a seed chooses; `make soak` goes on for as long as it is told."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.conftest import make_project
from tests.soak.containers import Containers
from tests.soak.engines import Engine
from tests.soak.machines import Machines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Project

KILLS = 12
SEED = 20261127


def quiet(tmp_path: Path, backend: str) -> tuple[Project, Path]:
    """A project whose state, caches and temporary files are its own, so that nothing may be left in them."""
    project = make_project(tmp_path / "project", backend)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    project.environment = {
        "TMPDIR": str(temporary), "PROVISION_STATE_DIR": str(tmp_path / "state"), "SOAK_TOKEN": "secret",
    }  # fmt: skip
    return project, temporary


def test_a_dozen_kills_leave_nothing_and_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, temporary = quiet(tmp_path, "docker")
    monkeypatch.setenv("PROVISION_STATE_DIR", project.environment["PROVISION_STATE_DIR"])
    chance = random.Random(SEED)
    soak = Containers(
        project=project, random=chance, temporary=temporary, engine=Engine(name=f"soak{os.getpid()}")
    )
    soak.verbs = tuple(verb for verb in soak.verbs if verb[0] != "gc")  # the engine has others' images
    soak.set_version(0)
    try:
        struck = [soak.round() for _ in range(KILLS)]
        soak.good("down", "--volumes", "--images")
        soak.require_nothing_left()
    finally:
        soak.remove()
    assert len({each.by for each in struck}) > 2


@pytest.mark.thorough
def test_a_killed_machine_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, temporary = quiet(tmp_path, "vm")
    project.environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    monkeypatch.setenv("PROVISION_STATE_DIR", project.environment["PROVISION_STATE_DIR"])
    chance = random.Random(SEED)
    soak = Machines(project=project, random=chance, temporary=temporary)
    soak.set_version(0)
    try:
        for _ in range(5):
            soak.round()
        soak.good("down", "--volumes", "--images")
        soak.require_nothing_left()
    finally:
        soak.remove()
