"""What an `up` that failed or was interrupted leaves: reported, or removed again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal

from provision import backends, engine, process
from provision.engine import EnvironmentRef
from provision.errors import ProvisionError
from provision.hints import command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.model import Environment, MachineState
    from provision.progress import Progress

OnFailure = Literal["keep", "destroy", "shell"]
ANSWERS_WITHIN = 5.0  # seconds
ANSWERS = ("running", "unhealthy", "starting")


def machines_of(environment: Environment, backend: str) -> Mapping[str, MachineState]:
    """The machines that are there, by name; none if the backend does not answer."""
    try:
        return backends.find(backend).remains(engine.state_of(environment, backend)).machines
    except ProvisionError:
        return {}


def machines_soon(
    environment: Environment, backend: str, within: float = ANSWERS_WITHIN
) -> Mapping[str, MachineState] | None:
    """Like `machines_of`, after an interrupt; None if the backend does not answer within these seconds.

    An engine that is busy with the end of a build may take minutes.
    """
    found: list[Mapping[str, MachineState]] = []
    asking = threading.Thread(target=lambda: found.append(machines_of(environment, backend)), daemon=True)
    asking.start()
    asking.join(within)
    if found:
        return found[0]
    process.end_children()  # the commands of that thread
    return None


def left(machines: Mapping[str, MachineState] | None) -> str:
    """What an interrupted `up` leaves, and how to go on; None: that is not known. Pure."""
    up, down = command("up"), command("down")
    if machines is None:
        return f"what is left was not found out in time; {command('status')} tells, {up} goes on from there"
    if not machines:
        return f"no machine is there; {up} goes on from what was built"
    states = ", ".join(f"{name} is {state}" for name, state in machines.items())
    return f"{states}; {up} goes on from there, {down} removes the machines"


def inside(
    machines: Mapping[str, MachineState], failed: str, *, several: bool
) -> tuple[str | None, str | None] | None:
    """The machine to look into after a failure, and how `-m` names it; None where none answers. Pure.

    Args:
        machines: those that are there.
        failed: the one that failed, where that is known.
        several: the environment has several.
    """
    running = [name for name, state in machines.items() if state in ANSWERS]
    chosen = failed if failed in running else (running[0] if running and not failed else None)
    if chosen is None:
        return None
    return chosen, chosen if several else None


def way_on(hint: str, machines: Mapping[str, MachineState], failed: str, *, several: bool) -> str:
    """A hint that also says how to look inside, and how to go on; pure."""
    found = inside(machines, failed, several=several)
    more = [f"{command('shell', machine=found[1])} looks inside"] if found else []
    if command("up").rstrip("`") not in hint:
        more.append(f"{command('up')} goes on from there")
    return "; ".join([*([hint] if hint else []), *more])


def destroy(
    environment: Environment, backend: str, before: Mapping[str, MachineState], progress: Progress
) -> str:
    """Remove the machines that a failed `up` made; what was done, in words.

    Where some were there before, all stay: what is in them is somebody's.
    """
    if before:
        names = ", ".join(before)
        return f"nothing was destroyed: {names} existed before; {command('down')} removes the machines"
    state_dir = engine.state_of(environment, backend)
    ref = EnvironmentRef(name=environment.name, backend=backends.find(backend), state_dir=state_dir)
    removed = engine.down(ref, progress, volumes=False, images=False)
    if not removed.machines:
        return "there was no machine to destroy"
    return "the machines were destroyed; --on-failure keep leaves them to look at"
