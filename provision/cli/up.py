"""provision up."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from provision import hints
from provision.cli.options import as_arguments, completed, lock_options, timeout_option, with_request
from provision.cli.port_ranges import port_ranges, spelled
from provision.cli.show import answer_to, count, progress, say, show_error, show_result
from provision.cli.trust import load_asking
from provision.errors import EnvironmentFailed, ProvisionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provision.aftermath import OnFailure
    from provision.backends.base import Plan
    from provision.drift import Recording
    from provision.engine import Request
    from provision.model import Environment, MachineState, PortStatus, Result
    from provision.progress import Progress
    from provision.sharing import Policy


@click.command("up")
@lock_options
@with_request
@click.option("--no-verify", is_flag=True, help="Do not verify the environment once it is up.")
@click.option("--rebuild", is_flag=True, help="Build again, without any cache.")
@click.option(
    "--record/--no-record",
    default=None,
    help="Record each machine's inventory for `diff --since-up`. Default: unless it is emulated.",
)
@click.option(
    "--pull",
    type=click.Choice(["never", "missing", "always"]),
    default="missing",
    show_default=True,
    help="When to look in the registry, if there is one, before anything is built.",
)
@click.option("--offline", is_flag=True, help="Download nothing; report at once what is missing.")
@click.option("--yes", is_flag=True, help="Do not ask before a virtual machine's disk is thrown away.")
@timeout_option
@click.option(
    "--on-failure",
    type=click.Choice(["keep", "destroy", "shell"]),
    default="keep",
    show_default=True,
    help="What to do with the machines if this fails: keep them, remove those it made, or open a shell"
    " in the one that failed.",
)
def command(
    request: Request,
    no_verify: bool,  # noqa: FBT001 - click's flag
    rebuild: bool,  # noqa: FBT001
    record: bool | None,  # noqa: FBT001
    pull: Policy,
    offline: bool,  # noqa: FBT001
    yes: bool,  # noqa: FBT001
    timeout: float,
    on_failure: OnFailure,
) -> None:
    """Bring the environment up and verify it; unchanged machines are left alone."""
    begun = time.monotonic()
    if on_failure == "shell" and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("--on-failure shell needs a terminal.")
    environment = load_asking(request)
    bring_up(
        request, environment, begun,
        verifies=not no_verify, rebuild=rebuild, record=record, pull=pull, offline=offline, yes=yes,
        timeout=timeout, on_failure=on_failure,
    )  # fmt: skip


def bring_up(
    request: Request,
    environment: Environment,
    begun: float,
    *,
    verifies: bool,
    rebuild: bool = False,
    record: bool | None = None,
    pull: Policy = "missing",
    offline: bool = False,
    yes: bool = False,
    timeout: float,
    on_failure: OnFailure = "keep",
) -> None:
    """Bring a loaded environment up, verify it, and say what a person needs next.

    Args:
        request: what was asked for.
        environment: what it means.
        begun: when the person began to wait, by the monotonic clock.
        verifies: whether the checks are run.
        rebuild: trust nothing that was built before.
        record: whether to take inventories; None: where they cost little.
        pull: when to look in the registry.
        offline: download nothing.
        yes: do not ask.
        timeout: the seconds that each machine has.
        on_failure: what is done with the machines if it fails.

    Raises:
        ProvisionError: it did not come up, or a check failed.
    """
    from provision import engine

    shown = progress()
    for layer in environment.layers:
        shown.note(f"applying {layer}")
    for demand in environment.demands:
        if not demand.given:
            shown.note(f"{demand.what}: {answer_to(demand)}; {demand.word} allows it")

    def approve(plan: Plan) -> None:
        _show(plan, shown)
        _ask(plan, environment, yes=yes)

    if verifies:
        engine.prepare_to_verify(environment)
    with _aftermath(request, environment, shown, on_failure):
        plan = engine.up(
            environment, request.backend, shown,
            rebuild=rebuild, timeout=timeout, pull=pull, offline=offline, approve=approve,
        )  # fmt: skip
        if plan.build or plan.named("create", "recreate"):
            _keep_limit(shown)
        recording = _record(environment, request.backend, record) if verifies else None
        results = engine.verify(environment, request.backend, progress=shown) if verifies else ()
        _require_passed(environment, request, results)
        if recording:
            recording.finish(shown)
    _report(environment, request, plan, begun, count(results) if results else "")


def _require_passed(environment: Environment, request: Request, results: Sequence[Result]) -> None:
    """Show what did not pass, and raise EnvironmentFailed if a check failed."""
    for result in results:
        if result.outcome != "passed":
            show_result(result)
    failed = [result for result in results if result.outcome == "failed"]
    if failed:
        raise EnvironmentFailed(
            f"{environment.name} is up in {request.backend}, but {count(results)}",
            hint=f"fix it, then run {hints.command('verify')}",
            machine=failed[0].machine,
        )


@contextmanager
def _aftermath(
    request: Request, environment: Environment, shown: Progress, on_failure: OnFailure
) -> Iterator[None]:
    """Say what is left after an interrupt, and do after a failure what was asked for."""
    from provision import aftermath

    backend = request.backend
    before = aftermath.machines_of(environment, backend) if on_failure == "destroy" else {}
    try:
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(completed(aftermath.left(aftermath.machines_soon(environment, backend)), request))
        raise
    except EnvironmentFailed as error:
        if on_failure == "destroy":
            error.hint = "; ".join(
                filter(None, [error.hint, _destroyed(environment, backend, before, shown)])
            )
            raise
        machines = aftermath.machines_of(environment, backend)
        error.hint = aftermath.way_on(error.hint, machines, error.machine, several=environment.several)
        if on_failure == "shell":
            _look_inside(request, environment, error, machines)
        raise


def _destroyed(
    environment: Environment, backend: str, before: Mapping[str, MachineState], shown: Progress
) -> str:
    from provision import aftermath

    try:
        return aftermath.destroy(environment, backend, before, shown)
    except ProvisionError as error:
        return f"the machines could not be destroyed: {error.message}"


def _look_inside(
    request: Request, environment: Environment, error: ProvisionError, machines: Mapping[str, MachineState]
) -> None:
    """Show the error, then open a shell in the machine that failed; the exit code stays the error's."""
    from provision import aftermath, engine
    from provision.cli.shell import open_shell

    found = aftermath.inside(machines, error.machine, several=environment.several)
    if found is None:
        error.hint = f"no machine runs to open a shell in; {error.hint}"
        return
    error.hint = completed(error.hint, request)
    show_error(error)
    say(f"a shell in {found[0]}; exit leaves it, and the machine stays", err=True)
    ref = engine.resolve(request)
    open_shell(ref, engine.target(ref, found[0]))
    raise click.exceptions.Exit(error.exit_code)


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
    from provision.garbage import keep_limit

    try:
        keep_limit(shown)
    except ProvisionError as error:
        shown.note(f"the caches were not looked at: {error.message}")


def _record(environment: Environment, backend: str, wanted: bool | None) -> Recording | None:  # noqa: FBT001
    """Begin to record what is in machines that were made or changed; next to the checks it costs little.

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
            speaks = len(group) == 1 and port.protocol == "tcp" and speaks_http(port.address, port.host)
            shown = f"http://{where}/" if speaks else f"{where}/{port.protocol}"
            lines.append(f"{shown}  → {machine}:{inside}")
    return lines


def speaks_http(address: str, port: int) -> bool:
    """Whether something that listens there answers in HTTP, within a second."""
    import socket

    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False
