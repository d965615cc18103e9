"""What `up` has to do, in both backends: tables of what was asked and observed, without an engine.

The tables are decisions_docker.yaml, decisions_vm.yaml, launches_qemu.yaml and
ports.yaml. A case names two specs and what was observed beside; hashes are real, for both specs are rendered.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from provision import spec
from provision.backends import causes, in_place
from provision.backends.container_image import image_names
from provision.backends.container_labels import ID, RECIPE, RENDERING
from provision.backends.docker import decide as docker
from provision.backends.docker.containers import container_name
from provision.backends.docker.observe import Observed as ObservedContainers
from provision.backends.docker.observe import Surroundings as ContainerSurroundings
from provision.backends.docker.render import render_environment as render_containers
from provision.backends.docker.systemd import EngineChoices
from provision.backends.ports import decide_ports, key
from provision.backends.vm import decide as vm
from provision.backends.vm.drivers import find
from provision.backends.vm.observe import Observed as ObservedMachines
from provision.backends.vm.observe import SeenMachine
from provision.backends.vm.observe import Surroundings as MachineSurroundings
from provision.backends.vm.qemu.records import InstanceRecord, decide_course
from provision.backends.vm.render import render_environment as render_machines
from provision.docker_client.queries import Container, Image, Objects
from provision.errors import EnvironmentFailed
from provision.model import Machine

if TYPE_CHECKING:
    from provision.backends.base import Plan
    from provision.model import Environment, Port
    from provision.rendering import Rendering

pytestmark = pytest.mark.usefixtures("no_processes")
Case = dict[str, Any]
HERE = Path(__file__).parent


def cases(name: str) -> pytest.MarkDecorator:
    table = yaml.safe_load((HERE / name).read_text())
    return pytest.mark.parametrize("case", table, ids=[case["name"] for case in table])


def load(folder: Path, text: dict[str, Any], backend: str) -> Environment:
    """The environment of a spec: one machine `dev`, unless the case names others."""
    (folder / ".git").mkdir(exist_ok=True)
    file = folder / "dev.yaml"
    file.write_text(yaml.safe_dump({"version": 1, "name": "dev", "base": "debian:12", **text}))
    return spec.load(file, backend=backend, settings={}, host={}, allows=spec.everything)


def noted(case: Case, was: Environment | None) -> dict[str, Any]:
    """What the last `up` noted of its machines."""
    if was is None or case.get("aspects") == "lost":
        return {}
    return {machine.name: causes.aspects(machine) for machine in was.machines}


def parts(case: Case, was: Rendering | None) -> dict[str, in_place.MachineParts]:
    """What the last `up` noted of what they are made of."""
    if was is None or case.get("parts") == "lost":
        return {}
    return {
        name: in_place.MachineParts(
            instance="", made=case.get("made") or made,
            parts=in_place.parts_of(was.made_of[name], was.outside[name]),
        )
        for name, made in (was.digests if case["backend"] == "docker" else was.recipes).items()
    }  # fmt: skip


def compare(plan: Plan, case: Case, environment: Environment) -> None:
    """That a plan is what the case expects."""
    actions = {
        planned.machine: [planned.action, planned.cause] if planned.cause else planned.action
        for planned in plan.machines
    }
    assert actions == case["actions"]
    assert [planned.cause for planned in plan.build] == case.get("builds", [])
    assert plan.changes == bool(
        plan.build or any(planned.action not in ("none", "wait") for planned in plan.machines)
    )
    if "loses" in case:
        assert {planned.machine: planned.loses for planned in plan.machines if planned.loses} == case["loses"]
        kept = {p.machine: [name.rpartition(".")[2].rpartition("_")[2] for name in p.keeps]
                for p in plan.machines if p.keeps}  # fmt: skip
        assert kept == case.get("keeps", {})
    if "volumes" in case:
        expected = [note.replace("@", environment.unique_name) for note in case["notes"]]
        assert [note.replace(f"{environment.unique_name}_", f"{environment.unique_name}.dev.")
                for note in plan.notes] == expected  # fmt: skip


# --- containers


def container(
    environment: Environment, name: str, digest: str, *, owner: str | None = None, **differs: Any
) -> Container:
    found = Container(
        name=container_name(environment, name), running=True, paused=False, restarting=False,
        health="healthy", exit_code=0, address=None, image="", ports=(),
        labels={ID: owner or environment.id, RENDERING: digest},
    )  # fmt: skip
    return replace(found, **differs)


def observed_containers(
    case: Case, was: Environment | None, wanted: Environment, renderings: dict[str, Rendering]
) -> ObservedContainers:
    outside = case.get("observed", {})
    stale = {name: tuple(each.pop("stale_secrets", ())) for name, each in outside.items()}
    replaced = {name: tuple(each.pop("replaced_files", ())) for name, each in outside.items()}
    containers = {
        machine.name: container(
            wanted, machine.name, renderings["was"].digests[machine.name], **outside.get(machine.name, {})
        )
        for machine in (was.machines if was else ())
    }
    there = case.get("images", "was" if was else "none")
    built_for = was if was and there == "was" else wanted
    images = (
        {image: Image(id="", tags=(), size=0, architecture="",
                      labels={RECIPE: renderings[there].recipes[name]})
         for name, image in image_names(built_for, renderings[there].recipes).items()}
        if there != "none" else {}
    )  # fmt: skip
    asked = {machine.name for machine in wanted.machines}
    return ObservedContainers(
        seen=Objects(
            containers={each.name: each for each in containers.values()}, images=images, volumes={},
            networks={},
        ),
        containers={name: each for name, each in containers.items() if name in asked},
        stale_secrets=stale,
        replaced_files=replaced,
        aspects=noted(case, was),
        parts=parts({**case, "backend": "docker"}, renderings.get("was")),
        surroundings=ContainerSurroundings(
            there=tuple(containers), namesakes=tuple(containers.values()),
            volumes=tuple(case.get("volumes", ())), notes_on_ports=(),
            notes_on_files=dict.fromkeys(asked, ()),
        ),
    )  # fmt: skip


@cases("decisions_docker.yaml")
def test_decisions_of_containers(case: Case, tmp_path: Path) -> None:
    was = load(tmp_path, case["was"], "docker") if "was" in case else None
    wanted = load(tmp_path, case["wanted"], "docker")
    rendering = render_containers(wanted, tmp_path / "rendering", EngineChoices())
    renderings = {"wanted": rendering}
    if was is not None:
        renderings["was"] = render_containers(was, tmp_path / "rendering", EngineChoices())
    observed = observed_containers(case, was, wanted, renderings)
    rebuild = case.get("rebuild", False)
    if "refused" in case:
        with pytest.raises(EnvironmentFailed, match=case["refused"]):
            docker.decide(wanted, rendering, observed, rebuild=rebuild)
        return
    plan = docker.decide(wanted, rendering, observed, rebuild=rebuild)
    compare(plan, case, wanted)
    # Without the surroundings it lacks what is to be removed, what is lost, and notes; nothing else.
    alone = docker.decide(wanted, rendering, replace(observed, surroundings=None), rebuild=rebuild)
    decided = [(each.machine, each.action, each.cause) for each in alone.machines]
    assert decided == [(p.machine, p.action, p.cause) for p in plan.machines[: len(wanted.machines)]]
    assert alone == plan or docker.needs_surroundings(wanted, alone)


# --- virtual machines


def seen_machine(name: str, was: Rendering | None, wanted: Rendering, differs: dict[str, Any]) -> SeenMachine:
    if was is None or name not in was.digests:
        return replace(SeenMachine(state="absent"), **differs)
    seen = SeenMachine(state="running", definition=was.digests[name])
    if seen.definition == wanted.digests[name]:
        same = was.recipes[name] == wanted.recipes[name]
        seen = replace(seen, answer="ready" if same else "another recipe", applied=was.recipes[name])
    differs = {key: tuple(value) if isinstance(value, list) else value for key, value in differs.items()}
    return replace(seen, **differs)


@cases("decisions_vm.yaml")
def test_decisions_of_machines(case: Case, tmp_path: Path) -> None:
    driver = find("qemu")
    was = load(tmp_path, case["was"], "vm") if "was" in case else None
    former = render_machines(was, driver, tmp_path / "rendering") if was else None
    wanted = load(tmp_path, case["wanted"], "vm")
    rendering = render_machines(wanted, driver, tmp_path / "rendering")
    outside = case.get("observed", {})
    observed = ObservedMachines(
        machines={
            machine.name: seen_machine(machine.name, former, rendering, outside.get(machine.name, {}))
            for machine in wanted.machines
        },
        there=tuple(machine.name for machine in was.machines) if was else (),
        starts_provisioned=case.get("provisioned", True),
        aspects=noted(case, was),
        parts=parts({**case, "backend": "vm"}, former),
        surroundings=MachineSurroundings(
            volumes=tuple(case.get("volumes", ())), notes_on_ports=(), written=case.get("written", {})
        ),
    )
    compare(vm.decide(wanted, rendering, observed, rebuild=case.get("rebuild", False)), case, wanted)


@cases("launches_qemu.yaml")
def test_how_a_qemu_machine_starts(case: Case) -> None:
    made = InstanceRecord(definition="a", build="image", recipe="r", disk="d")
    former = replace(made, **case["former"]) if "former" in case else None
    decided = decide_course(former, replace(made, **case["wanted"]), has_disk=case.get("disk", False))
    assert decided == case["takes"]


# --- ports


class Host:
    """A host on which some ports are held; its free ones are counted from 50000."""

    def __init__(self, held: list[int]) -> None:
        self._held = held
        self._next = iter(range(50000, 60000))

    def is_free(self, port: Port, host: int) -> bool:
        return host not in self._held and port.address == "127.0.0.1"

    def free(self, port: Port) -> int:
        return next(number for number in self._next if self.is_free(port, number))


@cases("ports.yaml")
def test_the_ports_of_the_host(case: Case, tmp_path: Path) -> None:
    environment = load(tmp_path, {"ports": case["ports"]}, "docker")
    published = environment.machines[0].ports
    former = {key("dev", port): case["former"][port.guest] for port in published if "former" in case}
    choice = decide_ports(environment, former, case.get("elsewhere", {}), Host(case.get("held", [])))
    found = {port.guest: choice.chosen.get(key("dev", port)) for port in published}
    assert found == case["chosen"]
    assert [host for _, host in choice.taken] == case.get("taken", [])
    assert [holder for _, holder, _ in choice.others] == case.get("others", [])


# --- causes

# What a machine is called, and what is only looked at, is no part of it.
NO_ASPECT = {"name", "group", "index", "aliases", "checks"}


def test_every_part_of_a_machine_is_an_aspect(tmp_path: Path) -> None:
    machine = load(tmp_path, {}, "docker").machines[0]
    read: set[str] = set()

    class Watched:
        def __getattr__(self, name: str) -> Any:
            read.add(name)
            return getattr(machine, name)

    causes.aspects(Watched())  # type: ignore[arg-type]
    assert {each.name for each in fields(Machine)} - read == NO_ASPECT


def test_a_spec_that_is_only_laid_out_otherwise_has_the_same_aspects(tmp_path: Path) -> None:
    text = {"packages": ["one"], "services": {"web": {"command": "sleep 1"}}, "ports": ["80"]}
    before = causes.aspects(load(tmp_path, text, "docker").machines[0])
    after = causes.aspects(load(tmp_path, dict(reversed(text.items())), "docker").machines[0])
    assert before == after
