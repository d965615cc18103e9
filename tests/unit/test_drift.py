"""A machine beside itself as it was: what counts as a change by hand, and how it is remembered."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from provision.errors import EnvironmentFailed, UsageError
from provision.inventory import in_order, record
from provision.inventory.compare import compare
from provision.inventory.model import Fact, Inventory
from provision.inventory.rules import of_drift
from provision.state import StateDir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.inventory.model import Difference

CASES = yaml.safe_load(Path(__file__).with_name("drift.yaml").read_text("utf-8"))


def inventory(facts: Mapping[str, Mapping[str, str]], backend: str = "docker") -> Inventory:
    return Inventory(
        machine="dev",
        backend=backend,
        taken="2026-11-26T12:00:00+00:00",
        options=("shm_size",),
        facts=in_order(
            Fact(section=name.split(" ", 1)[0], subject=name.split(" ", 1)[1], attributes=attributes)
            for name, attributes in facts.items()
        ),
    )


def named(difference: Difference) -> str:
    return f"{difference.section} {difference.subject} {difference.attribute}".rstrip(" ")


@pytest.mark.parametrize("form", ["docker", "vm"])
@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_what_is_drift(case: dict[str, Any], form: str) -> None:
    found = compare(inventory(case["before"], form), inventory(case["after"], form), of_drift())
    assert sorted(named(each) for each in found if each.reason is None) == sorted(case.get("drift", []))
    assert sorted(named(each) for each in found if each.reason) == sorted(case.get("living", []))


def test_what_is_kept_is_what_was_taken_and_small(tmp_path: Path) -> None:
    facts = {f"files /etc/{number}": {"mode": "0644", "content": "\udcff"} for number in range(1000)}
    path = StateDir(folder=tmp_path, name="dev", id="0").inventory_of("dev")
    record.keep(path, inventory(facts))
    assert record.load(path) == {"dev": inventory(facts)}
    assert path.stat().st_size * 5 < len(record.as_json("dev", [inventory(facts)]))
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["dev.json.gz"]


DAMAGED = {
    "empty": b"\x1f\x8b",
    "cut": gzip.compress(b"{}")[:-5],
    "of another version": gzip.compress(b'{"version": 99}'),
    "no text": gzip.compress(b"\xff"),
    "noise": b"\x1f\x8bxx" * 9,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_one_is_an_error_with_a_way_out(tmp_path: Path, content: bytes) -> None:
    from provision.drift import recorded

    state_dir = StateDir(folder=tmp_path, name="dev", id="0")
    path = state_dir.inventory_of("dev")
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(UsageError):
        record.load(path)
    with pytest.raises(EnvironmentFailed, match="the recorded inventory of dev cannot be read") as caught:
        recorded(state_dir, "dev")
    assert f"remove {path}" in caught.value.hint


def test_where_none_is_recorded_up_records_one(tmp_path: Path) -> None:
    from provision.drift import recorded

    with pytest.raises(EnvironmentFailed, match="there is no inventory of dev") as caught:
        recorded(StateDir(folder=tmp_path, name="dev", id="0"), "dev")
    assert "`provision up --record` records one" in caught.value.hint


def test_forgotten_where_machines_are_others(tmp_path: Path) -> None:
    state_dir = StateDir(folder=tmp_path, name="dev", id="0")
    record.keep(state_dir.inventory_of("dev"), inventory({}))
    state_dir.forget_inventories()
    assert not state_dir.inventory_of("dev").exists()
    state_dir.forget_inventories()
