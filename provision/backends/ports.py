"""Host ports: chooses and keeps free ones, and names what uses taken ones."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Protocol

from provision.errors import EnvironmentFailed
from provision.model import bracketed
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from provision.model import Environment, Machine, Port
    from provision.progress import Progress
    from provision.state import StateDir

RECORD = "ports"


@dataclass(frozen=True, kw_only=True)
class PortsRecord:
    """The host port of every port of an environment in one backend, by `key`."""

    ports: Mapping[str, int]


def kept(state_dir: StateDir) -> Mapping[str, int]:
    """The host ports that the last `up` chose."""
    record = state_dir.load(RECORD, PortsRecord)
    return record.ports if record else {}


def keep(state_dir: StateDir, chosen: Mapping[str, int]) -> None:
    """Remember the host ports, for the next `up` and for environments of the same name."""
    state_dir.save(RECORD, PortsRecord(ports=dict(chosen)))


def key(machine: str, port: Port) -> str:
    """The key under which a host port is remembered: a port may be published more than once."""
    where = "" if port.host is None else f":{port.host}"
    return f"{machine}:{port.guest}/{port.protocol}@{port.address}{where}"


def variable(machine: Machine, port: Port) -> str:
    """The variable in a rendering for the host port of one of a machine's ports."""
    same = [each for each in machine.ports if (each.guest, each.protocol) == (port.guest, port.protocol)]
    number = same.index(port) + 1
    return f"PORT_{port.guest}_{port.protocol.upper()}" + (f"_{number}" if number > 1 else "")


def choose(
    environment: Environment,
    state_dir: StateDir,
    ours: Collection[tuple[int, str]],
    progress: Progress,
) -> Mapping[str, int]:
    """The host port of every port, by `key`.

    A port that names none gets the one it had, else a free one. One that the same
    environment has in another backend, or a namesake of it in another folder (a clone, a
    worktree), is free to differ, and stays so: all of them may be up at once.

    Args:
        environment: whose ports they are.
        state_dir: where the ones it had are remembered.
        ours: (port, protocol) pairs that this environment itself holds now.
        progress: told which port differs from what was asked.

    Raises:
        EnvironmentFailed: naming every taken port, and who holds it where that can be known.
    """
    choice = _select(environment, state_dir, ours)
    if choice.taken:
        raise EnvironmentFailed(
            "a host port is already in use" if len(choice.taken) == 1 else "host ports are already in use",
            evidence=[_held(port, host) for port, host in choice.taken],
            hint="stop the process that holds it, choose another port in the spec or in NAME.local.yaml,"
            " or leave the host port out to get a free one",
        )
    for name, holder, port in choice.others:
        progress.note(
            f"port {port.host} is used by {holder}:"
            f" using {choice.chosen[key(name, port)]} for {name}:{port.guest} instead"
        )
    return choice.chosen


def notes_on_ports(
    environment: Environment, state_dir: StateDir, ours: Collection[tuple[int, str]]
) -> tuple[str, ...]:
    """What `choose` would say about ports that are taken now; nothing is chosen."""
    choice = _select(environment, state_dir, ours)
    return (
        *(f"port {_held(port, host)}: `up` fails until it is free" for port, host in choice.taken),
        *(
            f"port {port.host} is used by {holder}: {name}:{port.guest} gets another"
            for name, holder, port in choice.others
        ),
    )


class Probe(Protocol):
    """What the host says of its ports."""

    def is_free(self, port: Port, host: int) -> bool:
        """Whether this one is free."""

    def free(self, port: Port) -> int:
        """One that is free now."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The host's side of every port by `key`, those that differ from the spec, and those that are taken.

    `others` are a machine, who has the port that its spec asks for, and that port; nothing
    is `chosen` for one that is `taken`.
    """

    chosen: Mapping[str, int]
    others: tuple[tuple[str, str, Port], ...]
    taken: tuple[tuple[Port, int], ...]


def decide_ports(
    environment: Environment, former: Mapping[str, int], elsewhere: Mapping[int, str], probe: Probe
) -> Choice:
    """Choose the host ports. Pure, but for what the probe says.

    Args:
        environment: whose ports they are.
        former: those that it had, by `key`.
        elsewhere: those that namesakes have, and whose each is.
        probe: what the host says; the environment's own count as free.
    """
    chosen: dict[str, int] = {}
    others: list[tuple[str, str, Port]] = []
    taken: list[tuple[Port, int]] = []
    fixed = {port.host for machine in environment.machines for port in machine.ports}

    def free(port: Port) -> int:
        while (host := probe.free(port)) in fixed or host in chosen.values():
            pass
        return host

    def had_or_free(port: Port, had: int | None) -> int:
        return had if had is not None and probe.is_free(port, had) else free(port)

    for machine in environment.machines:
        for port in machine.ports:
            name = key(machine.name, port)
            had = former.get(name)
            if port.host is None:
                chosen[name] = had_or_free(port, had)
                continue
            holder = elsewhere.get(port.host)
            other = had if had != port.host else None
            if (holder is None or other is None) and probe.is_free(port, port.host):
                chosen[name] = port.host
            elif holder is not None:
                chosen[name] = had_or_free(port, other)
                others.append((machine.name, holder, port))
            else:
                taken.append((port, port.host))
    return Choice(chosen=chosen, others=tuple(others), taken=tuple(taken))


@dataclass(frozen=True, kw_only=True)
class _Host:
    """This host's ports, by binding them for a moment; `ours` are free for the environment that has them."""

    ours: Collection[tuple[int, str]]

    def is_free(self, port: Port, host: int) -> bool:
        return (host, port.protocol) in self.ours or is_free(port.address, host, port.protocol)

    def free(self, port: Port) -> int:
        return free_port(port.address, port.protocol)


def _select(environment: Environment, state_dir: StateDir, ours: Collection[tuple[int, str]]) -> Choice:
    return decide_ports(environment, kept(state_dir), _elsewhere(state_dir), _Host(ours=ours))


def _held(port: Port, host: int) -> str:
    """A taken port, its place in the spec, and what holds it."""
    where = f"{bracketed(port.address)}:{host}/{port.protocol}"
    return f"{where} ({port.origin.file}:{port.origin.line}) is held by {_holder(host, port.protocol)}"


def _elsewhere(state_dir: StateDir) -> Mapping[int, str]:
    """The ports of environments of the same name, each with its holder."""
    holders: dict[int, str] = {}
    for sibling in state_dir.siblings():
        record = sibling.load_sound(RECORD, PortsRecord)
        where = "in another backend" if sibling.id == state_dir.id else f"of {sibling.project}"
        holders |= dict.fromkeys(record.ports.values() if record else (), f"{sibling.name} {where}")
    return holders


def free_port(address: str, protocol: str = "tcp") -> int:
    """A port of the host that nobody has now."""
    return _bind(address, protocol, 0)


def is_free(address: str, host: int, protocol: str = "tcp") -> bool:
    """Whether nobody has a port of the host now; no connection is made."""
    try:
        _bind(address, protocol, host)
    except OSError:
        return False
    return True


def _bind(address: str, protocol: str, host: int) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as bound:
        if protocol == "tcp":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, host))
        return int(bound.getsockname()[1])


def _holder(host: int, protocol: str) -> str:
    return (
        _container(host, protocol) or _process(host, protocol) or "an unknown process (run as root to see it)"
    )


def _container(host: int, protocol: str) -> str | None:
    """The container that publishes a port; None where there is none, or no engine."""
    from provision.docker_client import queries

    holder = queries.publisher(host, protocol)
    if holder is None:
        return None
    name, project = holder
    return f"container {name}" + (f" of project {project}" if project else "")


def _process(host: int, protocol: str) -> str | None:
    import psutil

    kind = "tcp" if protocol == "tcp" else "udp"
    try:
        for connection in psutil.net_connections(kind=kind):
            local = connection.laddr
            listening = protocol == "udp" or connection.status == psutil.CONN_LISTEN
            if local and local.port == host and listening and connection.pid:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass
    return None
