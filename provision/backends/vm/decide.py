"""What `up` has to do, from the environment of the spec and what was observed; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from provision.backends import causes
from provision.backends.base import Plan, PlannedAction
from provision.backends.vm.render import disks
from provision.backends.volumes import notes_on_volumes

if TYPE_CHECKING:
    from provision.backends.base import Action
    from provision.backends.starting import Stands
    from provision.backends.vm.observe import Observed, SeenMachine
    from provision.model import Environment, Machine
    from provision.rendering import Rendering

BOOTED: tuple[Action, ...] = ("create", "start", "recreate")


def decide(
    environment: Environment, rendering: Rendering, observed: Observed, *, rebuild: bool = False
) -> Plan:
    """The actions, each with its cause, and with the surroundings what a person should know.

    Args:
        environment: what the spec describes.
        rendering: of it.
        observed: what is there.
        rebuild: trust nothing that was built before: every machine is removed and created.
    """
    names = {machine.name for machine in environment.machines}
    plan = Plan(
        machines=(
            *(_action(machine, rendering, observed, rebuild=rebuild) for machine in environment.machines),
            *(
                PlannedAction(machine=name, action="remove", cause="the spec no longer has it")
                for name in observed.there
                if name not in names
            ),
        )
    )
    around = observed.surroundings
    if around is None:
        return plan
    wanted = {
        machine.name: {disk.volume: disk.name for disk in disks(environment, machine)}
        for machine in environment.machines
    }
    volumes = notes_on_volumes(wanted, around.volumes, observed.there)
    return replace(plan, notes=(*volumes, *around.notes_on_ports))


def stands_as(seen: SeenMachine, definition: str) -> Stands:
    """How a machine stands to one that was made as `definition`, for `start`."""
    if seen.state == "absent":
        return "absent"
    if seen.definition != definition:
        return "another"
    return seen.state


def _action(machine: Machine, rendering: Rendering, observed: Observed, *, rebuild: bool) -> PlannedAction:
    action, why = _action_and_cause(machine, rendering, observed, rebuild=rebuild)
    return PlannedAction(machine=machine.name, action=action, cause=why)


def _action_and_cause(
    machine: Machine, rendering: Rendering, observed: Observed, *, rebuild: bool
) -> tuple[Action, str]:
    seen = observed.machines[machine.name]
    if seen.state == "absent":
        return "create", "there is no machine yet"
    if rebuild:
        return "create", "--rebuild"
    if seen.state != "running":
        return "start", "it is not running"
    is_of_rendering = seen.definition == rendering.digests[machine.name]
    if is_of_rendering and seen.answer != "another recipe":
        return _of_unchanged(seen)
    changed = causes.cause(observed.aspects.get(machine.name), causes.aspects(machine))
    return "change" if is_of_rendering and not observed.starts_provisioned else "recreate", changed


def _of_unchanged(seen: SeenMachine) -> tuple[Action, str]:
    """For a running machine that is made as it would be now."""
    if seen.answer == "none":
        return "start", "it does not answer"
    if seen.answer == "without its folders":
        return "start", "it was left without the host's folders"
    if not seen.forwarded:
        return "change", "a port is no longer forwarded"
    if seen.stale_secrets:
        return "refresh", ", ".join(f"secret {name} has a new value" for name in seen.stale_secrets)
    return ("none", "") if seen.answer == "ready" else ("wait", "it is not ready yet")
