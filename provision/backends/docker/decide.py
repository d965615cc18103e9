"""What `up` has to do, from the environment of the spec and what was observed; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from provision.backends import causes
from provision.backends.base import Plan, PlannedAction, PlannedBuild
from provision.backends.docker.ownership import RECIPE, RENDERING, refuse_strangers
from provision.backends.docker.render import image_names, volume_names
from provision.backends.docker.sysctls import notes_on_sysctl_files
from provision.backends.volumes import notes_on_volumes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.backends.docker.observe import Observed, Surroundings
    from provision.model import Environment, Machine
    from provision.rendering import Rendering

REBUILD = "--rebuild"


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
    plan = replace(plan, machines=(*plan.machines, *gone))
    wanted = {machine.name: volume_names(environment, machine) for machine in environment.machines}
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
    if container.labels.get(RENDERING) != rendering.digests[machine.name]:
        why = causes.cause(observed.aspects.get(machine.name), causes.aspects(machine))
        return PlannedAction(machine=machine.name, action="recreate", cause=why)
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
    planned: set[str] = set()
    for name, image in image_names(environment, rendering.recipes).items():
        built = observed.seen.images.get(image)
        labels = built.labels if built else {}
        if image in planned or (not rebuild and labels.get(RECIPE) == rendering.recipes[name]):
            continue
        planned.add(image)
        former = causes.of_the_image(observed.aspects.get(name))
        now = causes.of_the_image(causes.aspects(machines[name])) or {}
        why = REBUILD if rebuild else causes.cause(former, now, "it is not on this host")
        yield PlannedBuild(image=image, cause=why)
