"""What a spec is called while it is tried, and what is said of its forms in the end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from provision.cli.test import _summary
from provision.engine import Request
from provision.inventory.model import Fact, Inventory
from provision.matrix import LONGEST_NAME, Run, Trial, compared, name_of
from provision.model import Outcome, Result


@pytest.mark.parametrize("number", [None, 1, 9, 10, 123])
@pytest.mark.parametrize("name", ["a", "dev", "a-b", "x" * 41, "x" * 35 + "-" + "y" * 5, "x" * 33 + "-" * 8])
def test_its_name_is_valid_and_never_the_environments_own(name: str, number: int | None) -> None:
    found = name_of(name, number)
    assert found != name
    assert re.fullmatch(r"[a-z][a-z0-9-]*", found)
    assert len(found) <= LONGEST_NAME
    assert "--" not in found or "--" in name


def trial(backend: str, base: str | None = None, **settings: str) -> Trial:
    request = Request(spec=Path("dev.yaml"), backend=backend, base=base, settings=settings)
    return Trial(request=request, name="dev-test")


def came_up(backend: str, mode: str, *outcomes: Outcome) -> Run:
    fact = Fact(section="files", subject="/etc/a", attributes={"mode": mode})
    inventory = Inventory(machine="dev", backend=backend, taken="", facts=(fact,))
    return Run(results=results(*outcomes), inventories={"dev": inventory})


def results(*outcomes: Outcome) -> tuple[Result, ...]:
    return tuple(
        Result(machine="dev", check=f"check {number}", outcome=each, message="", seconds=0.1)
        for number, each in enumerate(outcomes)
    )


def test_the_forms_of_one_variation_are_compared_and_no_others() -> None:
    trials = {
        "docker 12": trial("docker", "debian:12", a="1"),
        "vm 12": trial("vm", "debian:12", a="1"),
        "docker 13": trial("docker", "debian:13", a="1"),
        "vm 13": trial("vm", "debian:13", a="2"),
        "vm 11": trial("vm", "debian:11"),
    }
    runs = {called: came_up(each.request.backend, called) for called, each in trials.items()}
    found = compared(trials, runs)
    assert [(each.left, each.right) for each in found] == [("docker 12", "vm 12")]
    assert [(each.subject, each.left, each.right) for each in found[0].unexplained] == [
        ("/etc/a", "docker 12", "vm 12")
    ]


def test_what_did_not_come_up_is_compared_with_nothing() -> None:
    trials = {"docker": trial("docker"), "vm": trial("vm")}
    runs = {"docker": came_up("docker", "0644"), "vm": Run(results=results("failed"))}
    assert compared(trials, runs) == ()


@pytest.mark.parametrize(
    ("runs", "modes", "expected"),
    [
        ([["passed"], ["passed"]], ["0644", "0644"], "1 check passed twice, 0 unexplained differences"),
        ([["passed"] * 2] * 2, ["0644", "0600"], "2 checks passed twice, 1 unexplained difference"),
        ([["passed", "failed"], ["passed"] * 2], [], "1 check passed twice"),
        ([["passed"] * 2], [], "2 checks passed once"),
        ([["passed"]] * 3, [], "1 check passed 3 times"),
    ],
)
def test_the_last_line(runs: list[list[Outcome]], modes: list[str], expected: str) -> None:
    backends = ("docker", "vm", "other")
    comparisons = compared(
        {name: trial(name) for name, _ in zip(backends, modes, strict=False)},
        {name: came_up(name, mode) for name, mode in zip(backends, modes, strict=False)},
    )
    found = {name: results(*each) for name, each in zip(backends, runs, strict=False)}
    assert _summary(found, comparisons) == expected
