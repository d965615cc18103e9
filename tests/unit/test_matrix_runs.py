"""What a spec is called while it is tried, and what is said of its forms in the end."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from provision import engine, matrix
from provision.backends.base import Plan
from provision.cli.test import _summary
from provision.engine import Request
from provision.errors import UsageError
from provision.inventory.model import Fact, Inventory
from provision.matrix import (
    IDEMPOTENT,
    LONGEST_NAME,
    MARK,
    Run,
    Trial,
    compared,
    failed,
    name_of,
    select,
    variations,
    with_missing,
)
from provision.model import Outcome, Result
from provision.progress import Silent
from provision.shards import Shard

if TYPE_CHECKING:
    from collections.abc import Callable


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


# --- which of them are run

TRIALS = {
    "docker 12": trial("docker", "debian:12"),
    "vm 12": trial("vm", "debian:12"),
    "docker 13": trial("docker", "debian:13"),
    "vm 13": trial("vm", "debian:13"),
    "docker 11": trial("docker", "debian:11"),
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("shard", "together", "expected", "note"),
    [
        (None, True, list(TRIALS), None),
        ((1, 2), True, ["docker 12", "vm 12", "docker 11"], "shard 1/2: 3 of 5 environments"),
        ((2, 2), True, ["docker 13", "vm 13"], "shard 2/2: 2 of 5 environments"),
        ((4, 4), True, [], "shard 4/4: none of 5 environments"),
        ((1, 2), False, ["docker 12", "docker 13", "docker 11"], "shard 1/2: 3 of 5 environments"),
        ((2, 2), False, ["vm 12", "vm 13"], "shard 2/2: 2 of 5 environments"),
    ],
)
def test_a_shard_never_separates_what_is_compared(
    shard: tuple[int, int] | None, together: bool, expected: list[str], note: str | None
) -> None:
    share = Shard(index=shard[0], count=shard[1]) if shard else None
    found = select("dev", TRIALS, shard=share, rerun_failed=False, together=together)
    assert list(found.trials) == expected
    assert found.notes == ((note,) if note else ())


@pytest.mark.parametrize(
    ("shard", "together", "expected", "notes"),
    [
        (None, True, ["docker 13", "vm 13", "docker 11"], ("failed in the last run: 3 of 5 environments",)),
        (None, False, ["vm 13", "docker 11"], ("failed in the last run: 2 of 5 environments",)),
        (
            Shard(index=2, count=2),
            True,
            ["docker 13", "vm 13"],
            ("shard 2/2: 2 of 5 environments", "failed in the last run: 2 of 2 environments"),
        ),
        (
            Shard(index=3, count=5),
            False,
            [],
            ("shard 3/5: 1 of 5 environments", "failed in the last run: none of 1 environment"),
        ),
    ],
)
def test_only_what_failed_in_the_last_run(
    shard: Shard | None, together: bool, expected: list[str], notes: tuple[str, ...]
) -> None:
    matrix.remember("dev", TRIALS, {called: Run(results=()) for called in TRIALS}, ["vm 13", "docker 11"])
    found = select("dev", TRIALS, shard=shard, rerun_failed=True, together=together)
    assert list(found.trials) == expected
    assert found.notes == notes


def test_each_environment_of_another_name_has_a_last_run_of_its_own() -> None:
    matrix.remember("dev", TRIALS, {"vm 13": Run(results=())}, ["vm 13"])
    with pytest.raises(UsageError, match="no earlier test of other is recorded"):
        select("other", TRIALS, shard=None, rerun_failed=True, together=True)


def test_the_variables_of_one_variation_do_not_reach_the_next(tmp_path: Path) -> None:
    spec = tmp_path / "dev.yaml"
    spec.write_text(
        "version: 1\nname: dev\nbase: debian:12\nvars: {a: x, b: x, c: x}\nmatrix:\n"
        "  - {backend: docker, vars: [{a: 1}, {b: 2}]}\n  - {backend: docker, base: debian:13}\n"
    )
    _, found = variations(Request(spec=spec, backend="docker", settings={"c": "3"}), ["docker"])
    assert [(each.request.base, each.request.settings) for each in found.values()] == [
        (None, {"a": "1", "c": "3"}),
        (None, {"b": "2", "c": "3"}),
        ("debian:13", {"c": "3"}),
    ]


# --- what failed


def checked(*names: str, came_up: bool = True, outcome: Outcome = "passed") -> Run:
    found = (Result(machine="dev", check=name, outcome=outcome, message="", seconds=0) for name in names)
    return Run(results=tuple(found), came_up=came_up)


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ({"docker 12": checked("a"), "vm 12": checked("a")}, []),
        ({"docker 12": checked("a", "b"), "vm 12": checked("a")}, ["vm 12"]),
        ({"docker 12": checked("b"), "vm 12": checked("a")}, ["docker 12", "vm 12"]),
        ({"docker 12": checked("b"), "docker 13": checked("a")}, []),  # not forms of one variation
        ({"docker 12": checked("up", came_up=False, outcome="failed"), "vm 12": checked("a")}, ["docker 12"]),
        ({"docker 12": checked("a", outcome="skipped"), "vm 12": checked("a")}, ["docker 12"]),
    ],
)
def test_a_check_is_missing_where_another_form_of_the_variation_has_it(
    runs: dict[str, Run], expected: list[str]
) -> None:
    trials = {called: TRIALS[called] for called in runs}
    completed = with_missing(trials, runs)
    assert list(failed(completed, ())) == expected
    missing = {each.message for run in completed.values() for each in run.results if each.message}
    assert all(" has this check, " in each for each in missing)


def test_both_forms_failed_where_they_differ() -> None:
    trials = {"docker": trial("docker"), "vm": trial("vm"), "docker 13": trial("docker", "debian:13")}
    runs = {called: came_up("docker", called, "passed") for called in trials}
    assert failed(runs, compared(trials, runs)) == ("docker", "vm")


# --- how they are run


class Bench:
    """Stands for an engine: counts how many environments are up at the same time, and which came down."""

    def __init__(self, folder: Path, hold: Callable[[str], object]) -> None:
        self.folder = folder
        self.hold = hold
        self.lock = threading.Lock()
        self.up_now: set[str] = set()
        self.most = 0
        self.begun: list[str] = []
        self.down_again: list[str] = []

    def resolve(self, request: Request) -> Any:
        folder = self.folder / str(request.name)
        state_dir = SimpleNamespace(
            folder=folder, make=lambda: folder.mkdir(parents=True, exist_ok=True), rendering=folder / "none"
        )
        return SimpleNamespace(name=request.name, state_dir=state_dir)

    def up(self, environment: Any, *_: object, **__: object) -> Plan:
        with self.lock:
            first = environment.name not in self.up_now
            self.up_now.add(environment.name)
            self.most = max(self.most, len(self.up_now))
            self.begun += [environment.name] if first else []
        if first:
            self.hold(environment.name)
        return Plan(machines=())

    def down(self, ref: Any, *_: object, **__: object) -> None:
        with self.lock:
            self.up_now.discard(ref.name)
            self.down_again.append(ref.name)


def run_on(bench: Bench, monkeypatch: pytest.MonkeyPatch, *, count: int, at_once: int) -> dict[str, Run]:
    for name in ("resolve", "up", "down"):
        monkeypatch.setattr(engine, name, getattr(bench, name))
    monkeypatch.setattr(engine, "verify", lambda *_, **__: results("passed"))
    monkeypatch.setattr(
        Trial, "load", lambda self: SimpleNamespace(name=self.name, project=bench.folder, machines=())
    )
    trials = {f"docker {n}": replace(trial("docker", n=str(n)), name=f"dev-test-{n}") for n in range(count)}
    found = matrix.run(
        "dev", trials, Silent(), at_once=at_once, keep=False, timeout=9, offline=False, inventories=True
    )
    return dict(found)


@pytest.mark.parametrize(("count", "at_once", "most"), [(5, 1, 1), (5, 2, 2), (3, 3, 3), (2, 9, 2)])
def test_so_many_are_up_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, at_once: int, most: int
) -> None:
    meeting = threading.Barrier(most)
    meetings = count // most * most  # the rest would wait for others that never come

    def hold(name: str) -> None:
        if int(name.rpartition("-")[2]) < meetings:
            meeting.wait(30)

    bench = Bench(tmp_path, hold)
    found = run_on(bench, monkeypatch, count=count, at_once=at_once)
    assert bench.most == most
    assert list(found) == [f"docker {n}" for n in range(count)]
    assert {each.check for run in found.values() for each in run.results} == {"check 0", IDEMPOTENT}
    assert sorted(bench.down_again) == sorted(bench.begun) == [f"dev-test-{n}" for n in range(count)]


def test_an_interrupt_takes_down_what_is_up_and_begins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def hold(name: str) -> None:
        if name == "dev-test-0":
            raise KeyboardInterrupt  # as the main thread would be told by a signal
        released.wait(30)

    bench = Bench(tmp_path, hold)
    shutdown = ThreadPoolExecutor.shutdown

    def told(self: Any, *words: Any, **options: Any) -> None:
        shutdown(self, *words, **options)  # nothing pending is left from here on
        released.set()

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", told)
    with pytest.raises(KeyboardInterrupt):
        run_on(bench, monkeypatch, count=6, at_once=2)
    assert bench.up_now == set()
    assert sorted(bench.down_again) == sorted(bench.begun)
    assert len(bench.begun) < 6


def test_what_an_earlier_test_left_is_taken_down_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dev-test-1").mkdir()
    (tmp_path / "dev-test-1" / MARK).touch()
    bench = Bench(tmp_path, lambda _: None)
    run_on(bench, monkeypatch, count=2, at_once=1)
    assert bench.down_again == ["dev-test-0", "dev-test-1", "dev-test-1"]
