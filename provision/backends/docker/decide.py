"""What `up` has to do, from the environment of the spec and what was observed; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from provision.backends import causes, in_place
from provision.backends.base import Plan, PlannedAction, PlannedBuild, losing
from provision.backends.container_image import image_names
from provision.backends.container_labels import RECIPE, RENDERING
from provision.backends.docker.ownership import refuse_strangers
from provision.backends.docker.render import volume_names
from provision.backends.docker.sysctls import notes_on_sysctl_files
from provision.backends.volumes import notes_on_volumes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.backends.docker.observe import Observed, Surroundings
    from provision.backends.in_place import Changes
    from provision.model import Environment, Machine
    from provision.rendering import Rendering

REBUILD = "--rebuild"
OWN_DISK = "what was written in it outside its volumes"


def decide(
    environment: Environment, rendering: Rendering, observed: Observed, *, rebuild: bool = False
) -> Plan:
    """The actions, each with its cause; what is no longer in the spec only with the surroundings.

    Args:
        environment: what the spec describes.
        rendering: of it.
        observed: what is there.
        rebuild: trust nothing that was built before.

    Raises:
        EnvironmentFailed: something that is not the environment's own has a name that it needs.
    """
    around = observed.surroundings
    refuse_strangers(environment.id, observed.seen, around.namesakes if around else ())
    plan = Plan(
        machines=tuple(_action(each, rendering, observed, rebuild=rebuild) for each in environment.machines),
        build=tuple(_builds(environment, rendering, observed, rebuild=rebuild)),
        notes=notes_on_sysctl_files(environment),
    )
    return plan if around is None else _among(plan, environment, around)


def rendering_of(name: str, observed: Observed) -> str:
    """The hash of what a container is: of its label, or of what was applied to it since."""
    if name in observed.parts:
        return observed.parts[name].made
    return observed.containers[name].labels.get(RENDERING, "")


def is_changed(name: str, observed: Observed) -> bool:
    """Whether something was applied to a container since it was created: its image has that not."""
    container = observed.containers.get(name)
    return container is not None and container.labels.get(RENDERING) != rendering_of(name, observed)


def changes_in_place(machine: Machine, rendering: Rendering, observed: Observed) -> Changes | None:
    """What to apply to a running container instead of creating it anew; None if it has to be created."""
    name, container = machine.name, observed.containers.get(machine.name)
    if container is None or not container.running or name not in observed.parts:
        return None
    if observed.stale_secrets.get(name) or observed.replaced_files.get(name):
        return None
    now = in_place.parts_of(rendering.made_of[name], rendering.outside[name])
    return in_place.changes(machine, in_place.former_parts(observed.parts[name], now), now)


def needs_surroundings(environment: Environment, plan: Plan) -> bool:
    """Whether a plan that was made without them may lack something."""
    return plan.changes or environment.several


def _among(plan: Plan, environment: Environment, around: Surroundings) -> Plan:
    """The plan with what is to be removed, and what else a person should know."""
    names = {machine.name for machine in environment.machines}
    gone = tuple(
        PlannedAction(machine=name, action="remove", cause="the spec no longer has it")
        for name in dict.fromkeys(around.there)
        if name not in names
    )
    wanted = {machine.name: volume_names(environment, machine) for machine in environment.machines}
    there = tuple(
        losing(each, OWN_DISK, [full for full in wanted[each.machine].values() if full in around.volumes])
        if each.action == "recreate"
        else each
        for each in plan.machines
    )
    gone = tuple(losing(each, OWN_DISK, ()) for each in gone)
    plan = replace(plan, machines=(*there, *gone))
    made = [name for name, action in plan.actions.items() if action != "create"]
    files = [note for name in plan.named("create", "recreate") for note in around.notes_on_files[name]]
    volumes = notes_on_volumes(wanted, around.volumes, made)
    return replace(plan, notes=(*plan.notes, *volumes, *files, *around.notes_on_ports))


def _action(machine: Machine, rendering: Rendering, observed: Observed, *, rebuild: bool) -> PlannedAction:
    container = observed.containers.get(machine.name)
    if container is None:
        return PlannedAction(machine=machine.name, action="create", cause="there is no container yet")
    if rebuild:
        return PlannedAction(machine=machine.name, action="recreate", cause=REBUILD)
    if rendering_of(machine.name, observed) != rendering.digests[machine.name]:
        why = causes.cause(observed.aspects.get(machine.name), causes.aspects(machine))
        applied = changes_in_place(machine, rendering, observed)
        return PlannedAction(machine=machine.name, action="change" if applied else "recreate", cause=why)
    if not container.running and not container.restarting:
        why = "it is paused" if container.paused else "it is not running"
        return PlannedAction(machine=machine.name, action="start", cause=why)
    if outdated := [
        *(f"secret {name} has a new value" for name in observed.stale_secrets.get(machine.name, ())),
        *(f"the file {path} was replaced" for path in observed.replaced_files.get(machine.name, ())),
    ]:
        return PlannedAction(machine=machine.name, action="refresh", cause=", ".join(outdated))
    if container.health == "healthy":
        return PlannedAction(machine=machine.name, action="none")
    return PlannedAction(machine=machine.name, action="wait", cause="it is not ready yet")


def _builds(
    environment: Environment, rendering: Rendering, observed: Observed, *, rebuild: bool
) -> Iterator[PlannedBuild]:
    """The images to build; of machines that share one, the first says why."""
    machines = {machine.name: machine for machine in environment.machines}
    actions = {name: _action(each, rendering, observed, rebuild=rebuild).action
               for name, each in machines.items()}  # fmt: skip
    planned: set[str] = set()
    for name, image in image_names(environment, rendering.recipes).items():
        if actions[name] == "change" or (
            actions[name] not in ("create", "recreate") and is_changed(name, observed)
        ):
            continue  # it is built when the machine is created anew
        built = observed.seen.images.get(image)
        labels = built.labels if built else {}
        if image in planned or (not rebuild and labels.get(RECIPE) == rendering.recipes[name]):
            continue
        planned.add(image)
        former = causes.of_the_image(observed.aspects.get(name))
        now = causes.of_the_image(causes.aspects(machines[name])) or {}
        why = REBUILD if rebuild else causes.cause(former, now, "it is not on this host")
        yield PlannedBuild(image=image, cause=why)
