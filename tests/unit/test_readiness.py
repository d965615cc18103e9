"""How long a service may take: what the spec says as it is, what it leaves out longer on a slow machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from provision import spec
from provision.backends.readiness import (
    WITHOUT_PROBE,
    Ended,
    Failure,
    Judge,
    Overdue,
    Ready,
    Waiting,
    patience,
)
from provision.backends.vm import acceleration
from provision.backends.vm.apply import EMULATED, stretch
from provision.backends.vm.drivers import find
from provision.recipe.times import BEGINS
from provision.target import Output

if TYPE_CHECKING:
    from provision.model import Machine

SPEC = """
version: 1
name: x
base: debian:12
backends: {vm: {accelerator: ACCELERATOR}}
services:
  bare: {command: sleep infinity}
  asked: {command: sleep infinity, ready: {tcp: 80, timeout: 7s}}
  after: {command: sleep infinity, needs: [bare, asked]}
"""


def machine(folder: Path, accelerator: str = "auto") -> Machine:
    file = folder / "provision.yaml"
    file.write_text(SPEC.replace("ACCELERATOR", accelerator))
    return spec.load(file, backend="vm").machines[0]


def test_the_time_of_a_service_without_a_probe_is_stretched(tmp_path: Path) -> None:
    asked = machine(tmp_path)
    assert patience(asked) == {"bare": WITHOUT_PROBE, "asked": 7, "after": 2 * WITHOUT_PROBE}
    stretched = patience(asked, stretch=4)
    assert stretched == {"bare": 4 * WITHOUT_PROBE, "asked": 7, "after": 8 * WITHOUT_PROBE}


PROBED, STARTING = "", "starting"


@pytest.mark.parametrize(
    ("seen", "over"),
    [
        ([(0, {"asked": PROBED}), (7, {"asked": PROBED})], {}),
        ([(0, {"asked": PROBED}), (7.1, {"asked": PROBED})], {"asked": 7}),
        ([(0, {"asked": STARTING}), (20, {"asked": STARTING})], {}),
        ([(0, {"asked": STARTING}), (20, {"asked": PROBED}), (26, {"asked": PROBED})], {}),
        ([(0, {"asked": STARTING}), (20, {"asked": PROBED}), (28, {"asked": PROBED})], {"asked": 7}),
        ([(0, {"asked": STARTING}), (7 + BEGINS + 1, {"asked": STARTING})], {"asked": 7}),
        ([(0, {"after": STARTING}), (2 * WITHOUT_PROBE + BEGINS, {"after": STARTING})], {}),
        ([(0, {"after": STARTING}), (2 * WITHOUT_PROBE + BEGINS + 1, {"after": STARTING})],
         {"after": WITHOUT_PROBE}),
    ],
)  # fmt: skip
def test_the_time_of_a_service_counts_from_when_it_runs(
    tmp_path: Path, seen: list[tuple[float, dict[str, str]]], over: dict[str, float]
) -> None:
    overdue = Overdue(machine(tmp_path))
    for waited, states in seen:
        found = overdue.among(states, waited)
    assert found == over


@pytest.mark.parametrize(
    ("provider", "accelerator", "known", "expected"),
    [
        ("qemu", "auto", True, 1.0),
        ("qemu", "auto", False, EMULATED),
        ("qemu", "auto", None, EMULATED),
        ("qemu", "emulation", True, EMULATED),
        ("libvirt", "auto", True, 1.0),
        ("libvirt", "auto", False, EMULATED),
        ("virtualbox", "auto", False, 1.0),
    ],
)
def test_an_emulated_machine_is_given_longer(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
    accelerator: str,
    known: bool | None,
    expected: float,
) -> None:
    monkeypatch.delenv(acceleration.VARIABLE, raising=False)
    monkeypatch.setattr(acceleration, "known", lambda: known)
    assert stretch(machine(tmp_path, accelerator), find(provider)) == expected


CASES = yaml.safe_load((Path(__file__).parent / "readiness.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_what_a_machine_answers_is_judged(case: dict[str, Any], tmp_path: Path) -> None:
    judge = Judge(machine(tmp_path), timeout=60, was_up=case.get("was_up", False))
    for waited, code, *lines in case["looks"]:
        stdout = "".join(f"{line}\n" for line in lines).encode()
        verdict = judge.judge(Output(code=code, stdout=stdout, stderr=b""), waited)
    kind, *what = case["verdict"]
    assert kind == type(verdict).__name__.lower()
    if isinstance(verdict, Failure):
        message, log = what
        assert verdict.message.startswith(message)
        assert verdict.log == log
        assert verdict.hint
    elif isinstance(verdict, Waiting):
        assert [verdict.reason] == what
    elif isinstance(verdict, Ended):
        assert [list(verdict.names)] == what
    else:
        assert isinstance(verdict, Ready)
