"""provision up."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from provision import hints
from provision.cli.options import as_arguments, with_request
from provision.cli.port_ranges import port_ranges, spelled
from provision.cli.show import answer_to, count, progress, say, show_result
from provision.cli.trust import load_asking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.backends.base import Plan
    from provision.drift import Recording
    from provision.engine import Request
    from provision.model import Environment, PortStatus
    from provision.progress import Progress


@click.command("up")
@with_request
@click.option("--no-verify", is_flag=True, help="Do not verify the environment once it is up.")
@click.option("--rebuild", is_flag=True, help="Build again, without any cache.")
@click.option(
    "--record/--no-record",
    default=None,
    help="Record each machine's inventory for `diff --since-up`. Default: unless it is emulated.",
)
@click.option("--offline", is_flag=True, help="Download nothing; report at once what is missing.")
@click.option("--yes", is_flag=True, help="Do not ask before a virtual machine's disk is thrown away.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=900,
              show_default=True, metavar="SECONDS",
              help="Time for each machine to become ready, setup included.")  # fmt: skip
def command(
    request: Request,
    no_verify: bool,  # noqa: FBT001 - click's flag
    rebuild: bool,  # noqa: FBT001
    record: bool | None,  # noqa: FBT001
    offline: bool,  # noqa: FBT001
    yes: bool,  # noqa: FBT001
    timeout: float,
) -> None:
    """Bring the environment up and verify it; unchanged machines are left alone."""
    begun = time.monotonic()
    environment = load_asking(request)
    bring_up(
        request, environment, begun,
        verifies=not no_verify, rebuild=rebuild, record=record, offline=offline, yes=yes, timeout=timeout,
    )  # fmt: skip


def bring_up(
    request: Request,
    environment: Environment,
    begun: float,
    *,
    verifies: bool,
    rebuild: bool = False,
    record: bool | None = None,
    offline: bool = False,
    yes: bool = False,
    timeout: float,
) -> None:
    """Bring a loaded environment up, verify it, and say what a person needs next.

    Args:
        request: what was asked for.
        environment: what it means.
        begun: when the person began to wait, by the monotonic clock.
        verifies: whether the checks are run.
        rebuild: trust nothing that was built before.
        record: whether to take inventories; None: where they cost little.
        offline: download nothing.
        yes: do not ask.
        timeout: the seconds that each machine has.

    Raises:
        ProvisionError: it did not come up, or a check failed.
    """
    from provision import engine
    from provision.errors import EnvironmentFailed

    if verifies:
        engine.prepare_to_verify(environment)
    shown = progress()
    for layer in environment.layers:
        shown.note(f"applying {layer}")
    for demand in environment.demands:
        if not demand.given:
            shown.note(f"{demand.what}: {answer_to(demand)}; {demand.word} allows it")

    def approve(plan: Plan) -> None:
        _show(plan, shown)
        _ask(plan, environment, yes=yes)

    plan = engine.up(
        environment, request.backend, shown,
        rebuild=rebuild, timeout=timeout, offline=offline, approve=approve,
    )  # fmt: skip
    if plan.build or plan.named("create", "recreate"):
        _keep_limit(shown)
    recording = None if not verifies else _record(environment, request.backend, record)
    results = () if not verifies else engine.verify(environment, request.backend, progress=shown)
    for result in results:
        if result.outcome != "passed":
            show_result(result)
    failed = [result for result in results if result.outcome == "failed"]
    if failed:
        raise EnvironmentFailed(
            f"{environment.name} is up in {request.backend}, but {count(results)}",
            hint=f"fix it, then run {hints.command('verify')}",
        )
    if recording:
        recording.finish(shown)
    _report(environment, request, plan, begun, count(results) if results else "")


def _show(plan: Plan, shown: Progress) -> None:
    """Say what is about to be done, as `plan` does."""
    from provision.cli.plan import WORDS, consequences

    for build in plan.build:
        shown.note(f"the image {build.image} is built first: {build.cause}")
    for planned in plan.machines:
        if planned.action not in ("none", "wait"):
            shown.note(f"{planned.machine}: {WORDS[planned.action]} ({planned.cause})")
    for line in consequences(plan):
        shown.note(line)


def _ask(plan: Plan, environment: Environment, *, yes: bool) -> None:
    """On a terminal, let the person decide whether a disk is thrown away.

    Raises:
        UsageError: the answer is no.
    """
    from provision.errors import UsageError

    losing = [planned.machine for planned in plan.machines if planned.precious]
    if not losing or yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    words = f"{', '.join(losing)} will lose {'its' if len(losing) == 1 else 'their'} disk. Go on?"
    if not click.confirm(words, err=True):
        raise UsageError(
            f"{environment.name} is as it was",
            hint=f"{hints.command('up', '--yes')} does not ask; a volume keeps what is to outlive a machine",
        )


def _keep_limit(shown: Progress) -> None:
    """Keep the caches within the limit of the person's configuration; it fails no `up`."""
    from provision.errors import ProvisionError
    from provision.garbage import keep_limit

    try:
        keep_limit(shown)
    except ProvisionError as error:
        shown.note(f"the caches were not looked at: {error.message}")


def _record(environment: Environment, backend: str, wanted: bool | None) -> Recording | None:  # noqa: FBT001
    """Begin to record what is in machines that were made or changed; beside the checks it costs little.

    An emulated machine would take ten seconds and more, so it must be wanted there.
    """
    from provision import backends, engine
    from provision.backends.base import MayBeSlow

    making = backends.find(backend)
    slow = isinstance(making, MayBeSlow) and making.is_slow(environment)
    if not (not slow if wanted is None else wanted):
        return None
    state_dir = engine.state_of(environment, backend)
    if all(state_dir.inventory_of(each.name).exists() for each in environment.machines):
        return None
    from provision.drift import Recording

    return Recording(environment, backend)


def _report(environment: Environment, request: Request, plan: Plan, begun: float, checked: str) -> None:
    """Print what a person needs next: whether it is up, its links, how to open a shell."""
    from provision import engine

    done, unchanged = ("is up", "") if plan.changes else ("is already up", " (no changes)")
    took = f"{time.monotonic() - begun:.1f} s"
    results = f"{checked}, " if checked else ""
    summary = f"{environment.name} {done} in {request.backend}{unchanged}: {results}{took}"
    say(summary, bold=True)
    if not plan.changes:
        return
    for link in _links(engine.published(environment, request.backend)):
        say(f"  {link}")
    machine = f" -m {environment.machines[-1].name}" if len(environment.machines) > 1 else ""
    say(f"  provision shell {as_arguments(request)}{machine}")


def _links(published: Mapping[str, Sequence[PortStatus]]) -> list[str]:
    """Where the machines can be reached; a link where the port speaks HTTP."""
    lines = []
    for machine, ports in published.items():
        for group in port_ranges(ports):
            port, (where, inside) = group[0], spelled(group)
            speaks = len(group) == 1 and port.protocol == "tcp" and _speaks_http(port.address, port.host)
            shown = f"http://{where}/" if speaks else f"{where}/{port.protocol}"
            lines.append(f"{shown}  → {machine}:{inside}")
    return lines


def _speaks_http(address: str, port: int) -> bool:
    import socket

    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False
