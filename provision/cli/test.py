"""provision test."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision.cli.diff import show_comparison
from provision.cli.options import (
    as_arguments,
    html_option,
    lock_options,
    timeout_option,
    with_request_and_backends,
)
from provision.cli.show import MARKS, count, say, table
from provision.progress import Plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.comparison import Comparison
    from provision.engine import Request
    from provision.model import Outcome, Result


@click.command("test")
@lock_options
@with_request_and_backends("A backend to test; repeat it for several.")
@click.option(
    "--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write a JUnit report as well."
)
@html_option
@click.option(
    "--jobs", metavar="N", help="Run so many at the same time, instead of what the host has room for."
)
@click.option("--shard", metavar="I/N", help="Run one of N shares, so that N jobs together run all.")
@click.option("--rerun-failed", is_flag=True, help="Run only what failed in the last run.")
@click.option("--keep", is_flag=True, help="Leave the environments up.")
@click.option("--offline", is_flag=True, help="Download nothing; report at once what is missing.")
@click.option("--no-diff", is_flag=True, help="Do not compare the backends' machines with each other.")
@timeout_option
def command(
    request: Request,
    names: tuple[str, ...],
    junit: Path | None,
    html: Path | None,
    jobs: str | None,
    shard: str | None,
    rerun_failed: bool,  # noqa: FBT001
    keep: bool,  # noqa: FBT001
    offline: bool,  # noqa: FBT001
    no_diff: bool,  # noqa: FBT001
    timeout: float,
) -> None:
    """Bring a spec up in several backends, side by side, verify each, take them down.

    The environments are called NAME-test and get free ports: your own is left alone.
    With a `matrix` in the spec, each variation; as many at a time as the host has room for.
    Prints one table of checks and environments, and how their machines differ. The exit code is 1
    unless every check passed and every difference is explained.
    """
    from provision import matrix
    from provision.jobs import parse_jobs
    from provision.shards import parse_shard
    from provision.verify.report import write_junit

    at_once = None if jobs is None else parse_jobs(jobs)
    share = None if shard is None else parse_shard(shard)
    own, all_trials = matrix.variations(request, names)
    selection = matrix.select(own, all_trials, shard=share, rerun_failed=rerun_failed, together=not no_diff)
    trials = selection.trials
    outcome = matrix.run(
        own, trials, Plain(sys.stderr), at_once=at_once,
        keep=keep, timeout=timeout, offline=offline, inventories=not no_diff,
    ) if trials else {}  # fmt: skip
    comparisons = matrix.compared(trials, outcome)
    failed = matrix.failed(outcome, comparisons)
    if outcome:
        matrix.remember(own, all_trials, outcome, failed)
    runs = {called: each.results for called, each in outcome.items()}
    for note in selection.notes:
        say(note)
    if runs:
        _show(runs)
    for comparison in comparisons:
        if comparison.unexplained:
            show_comparison(comparison, everything=False)
    say(_summary(runs, comparisons), bold=True)
    for each in trials.values() if keep else ():
        words = as_arguments(replace(each.request, name=each.name))
        click.echo(f"{each.name} is still up; to remove it: provision down {words} --volumes", err=True)
    if junit:
        differences = {
            f"{each.left} and {each.right}": [_as_result(own, each)] for each in comparisons
        }  # fmt: skip
        write_junit(junit, request.name or request.spec.stem, {**runs, **differences}, selection.notes)
    if html:
        from provision.page import pages

        pages.write(html, pages.of_test(own, runs, pages.drawing(request), comparisons, selection.notes))
    if failed:
        raise click.exceptions.Exit(1)


def _outcomes(runs: Mapping[str, Sequence[Result]]) -> dict[tuple[str, str], set[str]]:
    """Each check's outcomes; `absent` if a backend has no such check."""
    found = [{(r.machine, r.check): r.outcome for r in results} for results in runs.values()]
    checks = dict.fromkeys(check for outcomes in found for check in outcomes)
    return {check: {outcomes.get(check, "absent") for outcomes in found} for check in checks}


def _as_result(own: str, comparison: Comparison) -> Result:
    """A comparison as a check, for reports that know only checks."""
    from provision.model import Result

    lines = [
        f"{each.section} {each.subject} {each.attribute}".rstrip()
        + f": {comparison.left} {each.left}, {comparison.right} {each.right}"
        for each in comparison.unexplained
    ]
    outcome: Outcome = "failed" if lines else "passed"
    return Result(machine=own, check="diff", outcome=outcome, message="\n".join(lines), seconds=0.0)


def _summary(runs: Mapping[str, Sequence[Result]], comparisons: Sequence[Comparison]) -> str:
    """`27 checks passed twice, 0 unexplained differences`."""
    if not runs:
        return "nothing to test"
    passed = sum(outcomes == {"passed"} for outcomes in _outcomes(runs).values())
    often = {1: "once", 2: "twice"}.get(len(runs), f"{len(runs)} times")
    words = [f"{passed} check{'' if passed == 1 else 's'} passed {often}"]
    if comparisons:
        number = sum(len(each.unexplained) for each in comparisons)
        words.append(f"{number} unexplained difference{'' if number == 1 else 's'}")
    return ", ".join(words)


def _show(runs: Mapping[str, Sequence[Result]]) -> None:
    found = [{(r.machine, r.check): r.outcome for r in results} for results in runs.values()]
    rows = [
        (*check, *(MARKS[outcomes[check]][0] if check in outcomes else "" for outcomes in found))
        for check in _outcomes(runs)
    ]
    table(["MACHINE", "CHECK", *runs], rows)
    for backend, results in runs.items():
        for result in results:
            if result.outcome != "passed":
                say(f"{MARKS[result.outcome][0]} {backend}: {result.machine}: {result.check}")
                for line in result.message.splitlines():
                    say(f"    {line}")
        say(f"{backend}: {count(results)}", bold=True)
