"""What `up` has to do, from the environment of the spec and what was observed; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from provision.backends import causes, in_place
from provision.backends.base import Plan, PlannedAction, losing
from provision.backends.vm.disks import disks
from provision.backends.volumes import notes_on_volumes

if TYPE_CHECKING:
    from provision.backends.base import Action
    from provision.backends.in_place import Changes
    from provision.backends.starting import Stands
    from provision.backends.vm.observe import Observed, SeenMachine
    from provision.model import Environment, Machine
    from provision.rendering import Rendering

OWN_DISK = "its own disk, with all that was written outside its volumes"
MADE_ANEW: tuple[Action, ...] = ("create", "recreate")
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
    machines = tuple(
        losing(
            each,
            _own_disk(around.written.get(each.machine)),
            [full for full in wanted.get(each.machine, {}).values() if full in around.volumes],
            precious=True,
        )
        if _loses_disk(each, observed)
        else each
        for each in plan.machines
    )
    return replace(plan, machines=machines, notes=(*volumes, *around.notes_on_ports))


def _own_disk(written: int | None) -> str:
    """What is lost with a machine's own disk, and how much that is, where it is known."""
    from provision.spec.quantities import shown_size

    size = f": {shown_size(written)} since it was ready" if written else ""
    return f"{OWN_DISK}{size}"


def _loses_disk(planned: PlannedAction, observed: Observed) -> bool:
    """Whether the machine's own disk is thrown away; one that runs its steps itself keeps it."""
    if planned.machine not in observed.there:
        return False
    if planned.action == "recreate":
        return observed.starts_provisioned
    return planned.action in ("create", "remove")


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
        if observed.starts_provisioned and _is_outdated(machine, rendering, observed):
            return "recreate", causes.cause(observed.aspects.get(machine.name), causes.aspects(machine))
        return "start", "it is not running"
    is_of_rendering = seen.definition == rendering.digests[machine.name]
    if is_of_rendering and seen.answer != "another recipe":
        return _of_unchanged(seen)
    changed = causes.cause(observed.aspects.get(machine.name), causes.aspects(machine))
    if is_of_rendering and not observed.starts_provisioned:
        return "change", changed
    applied = is_of_rendering and changes_in_place(machine, rendering, observed)
    return "change" if applied else "recreate", changed


def _is_outdated(machine: Machine, rendering: Rendering, observed: Observed) -> bool:
    """Whether a machine that does not run was made as another than it would be now, as far as is noted."""
    name = machine.name
    made = observed.parts.get(name)
    definition = observed.machines[name].definition
    other = definition is not None and definition != rendering.digests[name]
    return other or (made is not None and made.made != rendering.recipes[name])


def changes_in_place(machine: Machine, rendering: Rendering, observed: Observed) -> Changes | None:
    """What to apply to a running machine that started with all steps done; None if it has to be made anew."""
    seen, made = observed.machines[machine.name], observed.parts.get(machine.name)
    if made is None or seen.answer != "another recipe" or seen.stale_secrets:
        return None
    if made.made not in (seen.applied, in_place.CHANGING):
        return None
    now = in_place.parts_of(rendering.made_of[machine.name], rendering.outside[machine.name])
    return in_place.changes(machine, in_place.former_parts(made, now), now)


def _of_unchanged(seen: SeenMachine) -> tuple[Action, str]:
    """For a running machine that is made as it would be now."""
    if seen.answer == "none":
        return "start", "it does not answer"
    if seen.answer == "without its folders":
        return "start", "it was left without the host's folders"
    if not seen.connected:
        return "start", "its network has ended"
    if not seen.forwarded:
        return "change", "a port is no longer forwarded"
    if seen.stale_secrets:
        return "refresh", ", ".join(f"secret {name} has a new value" for name in seen.stale_secrets)
    return ("none", "") if seen.answer == "ready" else ("wait", "it is not ready yet")
