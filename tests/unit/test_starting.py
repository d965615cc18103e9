"""`start`: what it does with machines as they stand, and that what was applied is kept exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision import applied, backends
from provision.backends.starting import decide_start
from provision.backends.vm.decide import stands_as
from provision.backends.vm.observe import SeenMachine
from provision.errors import ProvisionError
from provision.records import DamagedRecord
from provision.state import StateDir
from tests.renderings import CASES, Case

pytestmark = pytest.mark.usefixtures("no_processes")
TABLE = yaml.safe_load((Path(__file__).parent / "starting.yaml").read_text())


@pytest.mark.parametrize("case", TABLE, ids=[case["name"] for case in TABLE])
def test_what_start_does(case: dict[str, Any]) -> None:
    if "refused" in case:
        with pytest.raises(ProvisionError, match=case["refused"]) as refused:
            decide_start(case["stands"], case.get("chosen"))
        assert refused.value.hint
        return
    plan = decide_start(case["stands"], case.get("chosen"))
    assert list(plan.named("start")) == case["starts"]
    assert set(plan.actions) == set(case["stands"])
    assert set(plan.actions.values()) <= {"start", "none"}
    assert plan.changes == bool(case["starts"])


@pytest.mark.parametrize(
    ("seen", "stands"),
    [
        (SeenMachine(state="absent"), "absent"),
        (SeenMachine(state="stopped", definition="a"), "stopped"),
        (SeenMachine(state="running", definition="a"), "running"),
        (SeenMachine(state="stopped", definition="b"), "another"),
        (SeenMachine(state="running"), "another"),
    ],
)
def test_how_a_virtual_machine_stands(seen: SeenMachine, stands: str) -> None:
    assert stands_as(seen, "a") == stands


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_was_applied_is_rendered_the_same_again(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else `start` would take each machine for another."""
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))
    environment = case.load(tmp_path / "project")
    backend = backends.find(case.backend)
    state_dir = StateDir.of(tmp_path / "project", "any", case.backend, tmp_path / "project" / "any.yaml")
    assert applied.kept(state_dir) is None
    applied.keep(state_dir, environment)
    kept = applied.kept(state_dir)
    assert kept is not None
    unchecked = tuple(replace(machine, checks=()) for machine in environment.machines)
    assert kept == replace(environment, machines=unchecked, demands=())
    before, after = (backend.render(each, tmp_path / "rendering") for each in (environment, kept))
    assert after.files == before.files
    assert after.digests == before.digests


def test_a_damaged_record_says_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))
    state_dir = StateDir.of(tmp_path, "any", "docker", tmp_path / "any.yaml")
    state_dir.make()
    state_dir.path_of(applied.RECORD).write_text('{"version": 1, "when": "now"}')
    with pytest.raises(DamagedRecord, match="lacks environment") as damaged:
        applied.kept(state_dir)
    assert "provision down" in damaged.value.hint
