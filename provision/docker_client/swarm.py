"""A Swarm: what its managers know, as typed values, and changes to it.

Everything is asked of the engine that `docker` uses, which is to be a manager. A manager has no other node's
containers: for them, each function that takes a `host` asks the engine at that address.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from provision import process
from provision.docker_client import queries
from provision.docker_client.queries import refusal
from provision.errors import HostLacks
from provision.model import PortStatus
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

NAMESPACE = "com.docker.stack.namespace"
_UP = 10.0  # seconds that another node's engine may take to answer
_MANAGERS_ANSWER = 45.0  # an engine asks its managers for 20 seconds before it says that none leads


@dataclass(frozen=True, kw_only=True)
class Membership:
    """What an engine is in a Swarm: whether it manages one, its node's id, and why it doesn't answer."""

    manager: bool
    active: bool
    node: str
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A member, as the managers see it.

    Args:
        id: of the node.
        name: its host name.
        ready: it answers its managers.
        available: it takes new tasks: it is not drained or paused.
        availability: active, pause or drain.
        manager: leader, reachable or unreachable; empty for a worker.
        address: where the others reach it.
        labels: that its admin gave it, for constraints.
    """

    id: str
    name: str
    ready: bool
    available: bool
    availability: str
    manager: str
    address: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service, as it is wanted; `update` is how its last update stands: updating, completed, rollback_….

    `secrets` are the names of the Swarm's secrets that its tasks get, `ports` what all nodes publish.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    replicas: int
    image: str
    constraints: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    update: str = ""
    update_message: str = ""
    has_former: bool = False
    ports: tuple[tuple[int, int, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Task:
    """One run of one replica: `slot` counts replicas from 1.

    `state` is what it is (pending, preparing, starting, running, failed, rejected …), `desired` what the
    managers want of it; `message` is why it is not what it should be. `labels` are its container's.
    """

    id: str
    service: str
    slot: int
    node: str
    state: str
    desired: str
    message: str
    container: str
    labels: Mapping[str, str]
    created: str
    ports: tuple[tuple[int, int, str], ...] = ()
    addresses: tuple[str, ...] = field(default=())


def membership() -> Membership:
    """What the engine is in a Swarm.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    raw = json.loads(_output(["info", "--format", "{{json .}}"], within=_MANAGERS_ANSWER))
    if raw.get("ServerErrors"):
        raise refusal(raw["ServerErrors"])
    swarm = raw.get("Swarm") or {}
    return Membership(
        manager=bool(swarm.get("ControlAvailable")),
        active=swarm.get("LocalNodeState") == "active",
        node=swarm.get("NodeID") or "",
        error=swarm.get("Error") or "",
    )


def nodes() -> tuple[Node, ...]:
    """All members."""
    ids = _lines(["node", "ls", "--quiet"])
    return tuple(map(_node, _inspected("node", ids)))


def services(label: str) -> tuple[Service, ...]:
    """The services that carry a label, KEY or KEY=VALUE, or are called as given by `name=NAME`."""
    kind, _, name = label.partition("=")
    words = f"name={name}" if kind == "name" else f"label={label}"
    ids = _lines(["service", "ls", "--quiet", "--filter", words])
    return tuple(map(_service, _inspected("service", ids)))


def tasks(service_names: Iterable[str]) -> tuple[Task, ...]:
    """The tasks of services, former ones too, the newest first."""
    wanted = list(service_names)
    if not wanted:
        return ()
    listed = process.ask(["docker", "service", "ps", "--quiet", "--no-trunc", *wanted])
    ids = listed.stdout.split()
    if listed.code != 0 and not ids and "no such service" not in listed.stderr:
        raise refusal(listed.stderr.splitlines())
    found = map(_task, _inspected("task", ids, tolerant=True))
    return tuple(sorted(found, key=lambda task: task.created, reverse=True))


def secrets(label: str) -> Mapping[str, Mapping[str, str]]:
    """The labels of the secrets that carry a label, by name."""
    ids = _lines(["secret", "ls", "--quiet", "--filter", f"label={label}"])
    return {
        raw["Spec"]["Name"]: dict(raw["Spec"].get("Labels") or {})
        for raw in _inspected("secret", ids, tolerant=True)
    }


def create_secret(name: str, value: bytes, labels: Mapping[str, str]) -> None:
    """Create a secret; its value goes through a pipe."""
    words = [word for key, text in labels.items() for word in ("--label", f"{key}={text}")]
    process.run(["docker", "secret", "create", *words, name, "-"], stdin=value)


def remove_secrets(names: Sequence[str]) -> None:
    """Remove secrets; those that a service still uses stay."""
    process.run(["docker", "secret", "rm", *names], check=False)


def deploy(
    file: Path, stack: str, each_line: Callable[[str], None], *, cwd: Path, env: Mapping[str, str]
) -> None:
    """`docker stack deploy`, which creates and updates what the file has, and waits for nothing.

    Args:
        file: the stack's file.
        stack: its name.
        each_line: gets each line that it prints.
        cwd: where it runs.
        env: variables that the file names.
    """
    process.stream(
        ["docker", "stack", "deploy", "--detach=true", "--resolve-image", "never", "--with-registry-auth",
         "--compose-file", str(file), stack], each_line, cwd=cwd, env=env,
    )  # fmt: skip


def scale(replicas: Mapping[str, int]) -> None:
    """Have so many replicas of each service."""
    words = [f"{name}={count}" for name, count in replicas.items()]
    process.run(["docker", "service", "scale", "--detach", *words])


def force(service: str) -> None:
    """Have each task of a service made anew, one after the other."""
    process.run(["docker", "service", "update", "--detach", "--force", "--with-registry-auth", service])


def roll_back(service: str) -> None:
    """Have a service as it was before its last update."""
    process.run(["docker", "service", "rollback", "--detach", service])


def remove_services(names: Sequence[str]) -> None:
    """Remove services; their containers end on their own."""
    process.run(["docker", "service", "rm", *names])


def logs_words(task: str, options: Sequence[str] = ()) -> list[str]:
    """The command that prints a task's output, as its container wrote it; the managers ask its node."""
    return ["docker", "service", "logs", "--raw", *options, task]


def tag(image: str, name: str) -> None:
    """Give an image one more name."""
    process.run(["docker", "image", "tag", image, name])


def push(image: str, each_line: Callable[[str], None]) -> None:
    """Push an image to the registry in its name."""
    process.stream(["docker", "image", "push", image], each_line)


def in_registry(image: str) -> bool:
    """Whether the registry has an image, as the engine finds out.

    Raises:
        HostLacks: the engine does not answer.
    """
    path = f"/distribution/{image}/json"
    from provision.docker_client import api

    response = api.get(path)
    if response is not None:
        return response.status < 300
    words = ["docker", "manifest", "inspect", "--insecure", image]
    return process.ask(words).code == 0


# --- other nodes' engines, each at its address


def answers(host: str) -> str:
    """Why the engine at an address does not answer; empty if it does."""
    try:
        done = process.run(
            ["docker", "--host", host, "version", "--format", "{{.Server.Version}}"], check=False, timeout=_UP
        )
    except process.CommandFailed:
        return f"no answer within {_UP:g} s"
    return "" if done.code == 0 else (done.stderr.strip().splitlines() or ["it does not answer"])[-1]


def execute_at(host: str, container: str, words: Sequence[str], *, timeout: float) -> process.Completed:
    """Run a short command in a container of the engine at an address, as root, whatever its exit code.

    Raises:
        Unreachable: the engine does not answer, or the container does not run.
    """
    argv = ["docker", *_at(host), "exec", "--user", "root", "--workdir", "/", container, *words]
    try:
        done = process.run(argv, check=False, timeout=timeout)
    except process.CommandFailed as error:
        raise Unreachable(f"the container {container} does not answer", evidence=error.evidence) from error
    lines = done.stderr.splitlines()
    if done.code != 0 and lines and lines[0].startswith(("Error", "error", "Cannot connect")):
        raise Unreachable(f"the container {container} does not answer", evidence=lines)
    return done


def ports_at(host: str, container: str) -> tuple[tuple[int, int, str], ...]:
    """What the engine at an address publishes for a container: guest port, host port, protocol."""
    words = ["inspect", "--format", "{{json .NetworkSettings.Ports}}", container]
    done = process.run(["docker", *_at(host), *words], check=False, timeout=_UP)
    found = json.loads(done.stdout or "null") if done.code == 0 else None
    return tuple(
        dict.fromkeys(
            (int(guest.partition("/")[0]), int(binding["HostPort"]), guest.partition("/")[2])
            for guest, bindings in (found or {}).items()
            for binding in bindings or ()
        )
    )


def volumes_at(host: str, label: str) -> tuple[str, ...]:
    """The names of the volumes that carry a label, of the engine at an address.

    Raises:
        HostLacks: it does not answer.
    """
    words = ["volume", "ls", "--quiet", "--filter", f"label={label}"]
    return _lines([*_at(host), *words])


def remove_volumes_at(host: str, volumes: Sequence[str]) -> None:
    """Remove volumes of the engine at an address, with what is in them."""
    process.run(["docker", *_at(host), "volume", "rm", *volumes])


def _at(host: str) -> list[str]:
    """The option for an address; none for the engine that `docker` uses."""
    return ["--host", host] if host else []


# --- reading


def _node(raw: Mapping[str, Any]) -> Node:
    status, manager = raw.get("Status") or {}, raw.get("ManagerStatus") or {}
    availability = raw["Spec"].get("Availability") or "active"
    # A manager that never heard itself say 0.0.0.0: the address that the others use is there.
    address = str(manager.get("Addr") or "").rpartition(":")[0] or str(status.get("Addr") or "")
    return Node(
        id=raw["ID"],
        name=(raw.get("Description") or {}).get("Hostname") or raw["ID"],
        ready=status.get("State") == "ready",
        available=availability == "active",
        availability=availability,
        manager="leader" if manager.get("Leader") else str(manager.get("Reachability") or ""),
        address=address,
        labels=dict(raw["Spec"].get("Labels") or {}),
    )


def _service(raw: Mapping[str, Any]) -> Service:
    spec, update = raw["Spec"], raw.get("UpdateStatus") or {}
    template = spec["TaskTemplate"]
    container = template.get("ContainerSpec") or {}
    return Service(
        id=raw["ID"],
        name=spec["Name"],
        labels=dict(spec.get("Labels") or {}),
        replicas=int(((spec.get("Mode") or {}).get("Replicated") or {}).get("Replicas") or 0),
        image=container.get("Image") or "",
        constraints=tuple((template.get("Placement") or {}).get("Constraints") or ()),
        secrets=tuple(each["SecretName"] for each in container.get("Secrets") or ()),
        update=update.get("State") or "",
        update_message=update.get("Message") or "",
        has_former=bool(raw.get("PreviousSpec")),
        ports=_published(
            port
            for port in (raw.get("Endpoint") or {}).get("Ports") or ()
            if port.get("PublishMode") == "ingress"
        ),
    )


def _published(ports: Iterable[Mapping[str, Any]]) -> tuple[tuple[int, int, str], ...]:
    # An engine tells a port of IPv4 and IPv6 twice.
    return tuple(
        dict.fromkeys(
            (int(port["TargetPort"]), int(port["PublishedPort"]), port.get("Protocol") or "tcp")
            for port in ports
            if port.get("PublishedPort")
        )
    )


def _task(raw: Mapping[str, Any]) -> Task:
    status = raw.get("Status") or {}
    container = status.get("ContainerStatus") or {}
    published = (status.get("PortStatus") or {}).get("Ports") or ()
    networks = raw.get("NetworksAttachments") or ()
    return Task(
        id=raw["ID"],
        service=raw["ServiceID"],
        slot=int(raw.get("Slot") or 0),
        node=raw.get("NodeID") or "",
        state=status.get("State") or "new",
        desired=raw.get("DesiredState") or "",
        message=status.get("Err") or status.get("Message") or "",
        container=container.get("ContainerID") or "",
        labels=dict((raw.get("Spec") or {}).get("ContainerSpec", {}).get("Labels") or {}),
        created=raw.get("CreatedAt") or "",
        ports=_published(published),
        addresses=tuple(
            address.partition("/")[0]
            for network in networks
            if network["Network"]["Spec"].get("Name") != "ingress"
            for address in network.get("Addresses") or ()
        ),
    )


def ports_of(task: Task, service: Service, address: str) -> tuple[PortStatus, ...]:
    """Where a task's ports are reached: on its own node, or where every node publishes them; pure."""
    return tuple(
        PortStatus(guest=guest, host=host, address=address, protocol="udp" if kind == "udp" else "tcp")
        for guest, host, kind in (*task.ports, *service.ports)
    )


def _inspected(kind: str, ids: Sequence[str], *, tolerant: bool = False) -> list[Mapping[str, Any]]:
    """The managers' own description of each; with `tolerant`, one that went meanwhile is left out."""
    if not ids:
        return []
    completed = process.ask(["docker", "inspect", "--type", kind, *ids])
    if completed.code != 0 and not (tolerant or "o such" in completed.stderr):
        raise refusal(completed.stderr.splitlines())
    found: list[Mapping[str, Any]] = json.loads(completed.stdout or "[]")
    return found


def _lines(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(_output(words).splitlines())


def _output(words: Sequence[str], *, within: float | None = None) -> str:
    if not queries.is_installed():
        raise HostLacks("there is no docker command", hint=queries.START_HINT)
    completed = process.ask(["docker", *words], within=within)
    if completed.code != 0:
        raise refusal(completed.stderr.splitlines())
    return completed.stdout
