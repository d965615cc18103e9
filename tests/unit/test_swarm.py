"""The Swarm backend without a Swarm: what it decides, refuses, and calls things."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from provision.backends import causes
from provision.backends.container_image import image_names
from provision.backends.container_labels import MACHINES, RENDERING
from provision.backends.swarm import capabilities, decide, network, secrets
from provision.backends.swarm.observe import Observed, in_registry, require_manager
from provision.backends.swarm.options import parse_nodes, registry_of
from provision.backends.swarm.render import (
    groups_of,
    literal,
    render_environment,
    service_name,
    volume_names,
    waves,
)
from provision.docker_client.swarm import Membership, Node, Service, Task
from provision.errors import EnvironmentFailed, HostLacks
from tests.unit.test_decisions import cases, compare, load

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Environment
    from provision.rendering import Rendering

pytestmark = pytest.mark.usefixtures("no_processes")
Case = dict[str, Any]
NODES = ("n1", "n2", "n3")


def node(name: str, **differs: Any) -> Node:
    made = Node(id=name, name=name, ready=True, available=True, availability="active", manager="reachable",
                address="10.0.0.1")  # fmt: skip
    return replace(made, **differs)


def task(service: Service, slot: int, **differs: Any) -> Task:
    made = Task(
        id=f"{service.name}.{slot}", service=service.id, slot=slot, node="n1", state="running",
        desired="running", message="", container="c", labels={}, created="2",
    )  # fmt: skip
    return replace(made, **differs)


def secret_names(environment: Environment, case: Case, *, now: bool) -> dict[str, str]:
    values = case.get("values", {}) if now else {}
    names = {each.name for machine in environment.machines for each in machine.secrets}
    return {name: f"id.{name}.{values.get(name, 'old')}" for name in names}


def observed(case: Case, was: Environment | None, wanted: Environment, former: Rendering | None,
             rendering: Rendering) -> Observed:  # fmt: skip
    services: dict[str, Service] = {}
    tasks: list[Task] = []
    for group in groups_of(was) if was and former else ():
        full = service_name(wanted, group.name)
        known = secret_names(was, case, now=False) if was else {}
        service = Service(
            id=full, name=full, replicas=len(group.machines), image="",
            labels={MACHINES: " ".join(each.name for each in group.machines),
                    RENDERING: former.digests[group.first.name] if former else ""},
            secrets=tuple(known[each.name] for each in group.first.secrets),
        )  # fmt: skip
        services[full] = replace(service, **case.get("services", {}).get(group.name, {}))
        for slot, machine in enumerate(group.machines, 1):
            if differs := case.get("former", {}).get(machine.name):
                tasks.append(task(service, slot, id="former", desired="shutdown", created="1", **differs))
            tasks.append(task(service, slot, **case.get("tasks", {}).get(machine.name, {})))
    built = {"was": former, "wanted": rendering}.get(case.get("images", "was"))
    named = image_names(wanted if built is rendering else was or wanted, built.recipes) if built else {}
    return Observed(
        self_node="n1",
        nodes={name: node(name, **case.get("nodes", {}).get(name, {})) for name in NODES},
        services=services,
        strangers=tuple(case.get("strangers", ())),
        tasks=tuple(sorted(tasks, key=lambda each: each.created, reverse=True)),
        secrets=frozenset(),
        wanted_secrets=secret_names(wanted, case, now=True),
        images=frozenset(named.values()),
        aspects={each.name: causes.aspects(each) for each in was.machines} if was else {},
        homes=case.get("homes", {}),
        registry="registry:5000",
    )


@cases("decisions_swarm.yaml")
def test_decisions(case: Case, tmp_path: Path) -> None:
    was = load(tmp_path, case["was"], "swarm") if "was" in case else None
    former = render_environment(was, tmp_path / "rendering") if was else None
    wanted = load(tmp_path, case["wanted"], "swarm")
    rendering = render_environment(wanted, tmp_path / "rendering")
    seen = observed(case, was, wanted, former, rendering)
    rebuild = case.get("rebuild", False)
    if "refused" in case:
        with pytest.raises(EnvironmentFailed, match=case["refused"]):
            decide.decide(wanted, rendering, seen, rebuild=rebuild)
        return
    plan = decide.decide(wanted, rendering, seen, rebuild=rebuild)
    compare(plan, case, wanted)
    assert list(plan.notes) == case.get("notes", [])


def test_count_is_replicas_unless_machines_differ(tmp_path: Path) -> None:
    spec: Case = {"machines": {
        "same": {"count": 3},
        "named": {"count": 2, "hostname": "${{ machine.name }}.example.org"},
        "differ": {"count": 2, "env": {"NUMBER": "${{ machine.index }}"}},
        "one": {},
    }}  # fmt: skip
    groups = {group.name: len(group.machines) for group in groups_of(load(tmp_path, spec, "swarm"))}
    assert groups == {"same": 3, "named": 2, "differ-1": 1, "differ-2": 1, "one": 1}


def test_services_start_in_the_order_of_needs(tmp_path: Path) -> None:
    spec: Case = {"machines": {
        "web": {"needs": ["api", "db"]}, "api": {"count": 2, "needs": ["db"]}, "db": {}, "mail": {},
    }}  # fmt: skip
    order = waves(groups_of(load(tmp_path, spec, "swarm")))
    assert [[group.name for group in wave] for wave in order] == [["db", "mail"], ["api"], ["web"]]


REFUSED: dict[str, tuple[Case, str]] = {
    "a port on loopback": ({"ports": ["18080:8080"]}, "publishes port 8080 on this host's loopback"),
    "a port on one address": ({"ports": ["10.0.0.1:18080:8080"]}, "publishes port 8080 on 10.0.0.1"),
    "a kernel": ({"requires": ["kernel"]}, "dev requires a kernel of its own"),
    "systemd": ({"requires": ["systemd"]}, "dev requires systemd"),
    "kvm": ({"requires": ["kvm"]}, "dev requires KVM inside"),
    "a gpu": ({"requires": ["gpu"]}, "dev requires a GPU"),
    "an agent": (
        {"workspace": {"source": ".", "path": "/w", "forward": ["ssh-agent"]}}, "forwards an SSH agent"
    ),
    "a long name": ({"machines": {"m" * 41: {}}, "name": "e" * 24}, "is longer than 63 letters"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, tmp_path: Path) -> None:
    text, message = REFUSED[case]
    problems = list(capabilities.refusals(load(tmp_path, text, "swarm")))
    assert [problem for problem in problems if message in problem.message and problem.hint]


def test_a_port_of_every_address_is_not_refused(tmp_path: Path) -> None:
    environment = load(tmp_path, {"ports": [{"guest": 80, "address": "0.0.0.0"}]}, "swarm")
    assert list(capabilities.refusals(environment)) == []


@pytest.mark.parametrize(("constraint", "fits"), [
    ("node.hostname==n2", True), ("node.hostname == N2", True), ("node.hostname!=n2", False),
    ("node.role==worker", False), ("node.role==manager", True), ("node.labels.disk==ssd", True),
    ("node.labels.disk!=ssd", False), ("node.labels.other==x", False), ("engine.labels.x==y", True),
])  # fmt: skip
def test_whether_a_node_meets_a_constraint(constraint: str, *, fits: bool) -> None:
    assert decide.fits(node("n2", labels={"disk": "ssd"}), constraint) is fits


def test_a_bound_service_stays_where_its_volumes_are(tmp_path: Path) -> None:
    spec: Case = {"machines": {
        "old": {"volumes": {"data": "/data"}}, "new": {"volumes": {"data": "/data"}},
        "there": {"volumes": {"data": "/data"}, "backends": {"swarm": {"constraints": ["node.id==n3"]}}},
        "here": {"workspace": {"source": ".", "path": "/w"}, "volumes": {"data": "/data"}},
        "free": {},
        "shared": {"volumes": {"data": "/data"}, "backends": {"swarm": {"volume_driver": "nfs"}}},
    }}  # fmt: skip
    environment = load(tmp_path, spec, "swarm")
    rendering = render_environment(environment, tmp_path / "rendering")
    seen = observed({"homes": {"old": "n2", "here": "n2"}}, None, environment, None, rendering)
    found = decide.homes(groups_of(environment), seen)
    assert {name: found[name] for name in ("old", "there", "here")} == {
        "old": "n2",
        "there": "n3",
        "here": "n1",
    }
    assert found["new"] in NODES
    assert set(found) == {"old", "new", "there", "here"}


def test_names_in_the_swarm_are_not_those_of_containers(tmp_path: Path) -> None:
    environment = load(tmp_path, {"volumes": {"data": "/data"}}, "swarm")
    names = volume_names(environment, environment.machines[0])
    assert names == {"data": f"dev-{environment.id}-s_data"}
    assert service_name(environment, "dev") == f"dev-{environment.id}-s_dev"


@pytest.mark.parametrize(("text", "written"), [
    ("plain", '"plain"'), ("$HOME ${X}", '"$$HOME $${X}"'), ("{{.Task.Slot}}", '"{{\\"{{\\"}}.Task.Slot}}"'),
])  # fmt: skip
def test_nothing_is_filled_into_a_value(text: str, written: str) -> None:
    assert literal(text) == written


def test_a_secret_is_named_by_its_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = load(tmp_path, {"secrets": {"pass": {"env": "PASS"}}}, "swarm")
    named = []
    for value in ("one", "two", "one"):
        monkeypatch.setenv("PASS", value)
        named.append(secrets.wanted(environment)["pass"])
    assert named[0] == named[2] != named[1]
    assert all(name.startswith(f"{environment.id}.pass.") and len(name) <= 64 for name in named)


@pytest.mark.parametrize(("ipvs", "option", "virtual"), [
    (True, "auto", True), (False, "auto", False), (True, "dnsrr", False), (False, "vip", True),
])  # fmt: skip
def test_how_machines_find_each_other(
    ipvs: bool, option: str, virtual: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "has_ipvs", lambda: ipvs)
    environment = load(tmp_path, {"backends": {"swarm": {"network": option}}}, "swarm")
    expected = (
        {"ENDPOINT": "vip", "PUBLISH": "ingress"} if virtual else {"ENDPOINT": "dnsrr", "PUBLISH": "host"}
    )
    assert network.variables(environment) == expected


def test_where_nodes_and_the_registry_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_nodes("a=ssh://a, b=unix:///x=y,,c") == {"a": "ssh://a", "b": "unix:///x=y"}
    assert in_registry("provision/dev:1", "r:5000") == "r:5000/provision/dev:1"
    assert in_registry("provision/dev:1", "") == "provision/dev:1"
    environment = load(tmp_path, {"backends": {"swarm": {"registry": "r:5000/team"}}}, "swarm")
    monkeypatch.setenv("PROVISION_REGISTRY", "r.example.org/team/environments")
    assert registry_of(environment) == "r:5000/team"
    monkeypatch.setenv("PROVISION_SWARM_REGISTRY", "other:5000")
    assert registry_of(environment) == "other:5000"
    monkeypatch.delenv("PROVISION_SWARM_REGISTRY")
    assert registry_of(load(tmp_path, {}, "swarm")) == "r.example.org/team/environments"
    monkeypatch.delenv("PROVISION_REGISTRY")
    assert registry_of(load(tmp_path, {}, "swarm")) == ""
    spec = {"registry": "s.example.org/team"}
    assert registry_of(load(tmp_path, spec, "swarm")) == "", "no spec says where `up` pushes"


VOTE = Membership(manager=True, active=True, node="n1", error="the swarm does not have a leader")
LEADS = Membership(manager=True, active=True, node="n1")


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([LEADS], ""),
        ([VOTE, VOTE, LEADS], ""),
        ([VOTE] * 9, "the Swarm has no leader: most of its managers do not answer"),
        ([replace(LEADS, manager=False)], "the Docker engine is a worker of its Swarm, not a manager"),
        ([replace(LEADS, manager=False, active=False)], "the Docker engine is not part of a Swarm"),
        ([replace(VOTE, manager=False, active=False)], "the Docker engine is not part of a Swarm"),
    ],
)
def test_a_leader_is_waited_for(
    answers: list[Membership], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, clock = iter(answers), count(step=10)
    monkeypatch.setattr("provision.docker_client.swarm.membership", lambda: next(given))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    if not message:
        assert require_manager() == LEADS
        return
    with pytest.raises(HostLacks) as refused:
        require_manager()
    assert refused.value.message == message
    assert refused.value.hint
    assert list(refused.value.evidence) == ([answers[0].error] if answers[0].error else [])
