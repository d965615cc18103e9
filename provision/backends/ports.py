"""Host ports: chooses and keeps free ones, and names what uses taken ones."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provision.errors import EnvironmentFailed
from provision.model import bracketed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from provision.model import Environment, Machine, Port
    from provision.progress import Progress
    from provision.state import StateDir

RECORD = "ports"


@dataclass(frozen=True, kw_only=True)
class PortsRecord:
    """The host's side of every port of an environment in one backend, by `key`."""

    ports: Mapping[str, int]


def kept(state_dir: StateDir) -> Mapping[str, int]:
    """The host's sides that were chosen at the last `up`."""
    record = state_dir.load(RECORD, PortsRecord)
    return record.ports if record else {}


def keep(state_dir: StateDir, chosen: Mapping[str, int]) -> None:
    """Remember the host's sides, for the next `up` and for environments of the same name."""
    state_dir.save(RECORD, PortsRecord(ports=dict(chosen)))


def key(machine: str, port: Port) -> str:
    """How the host's side of a port is remembered: a port may be published more than once."""
    where = "" if port.host is None else f":{port.host}"
    return f"{machine}:{port.guest}/{port.protocol}@{port.address}{where}"


def variable(machine: Machine, port: Port) -> str:
    """The variable of a rendering that gives the host's side of one of a machine's ports."""
    same = [each for each in machine.ports if (each.guest, each.protocol) == (port.guest, port.protocol)]
    number = same.index(port) + 1
    return f"PORT_{port.guest}_{port.protocol.upper()}" + (f"_{number}" if number > 1 else "")


def choose(
    environment: Environment,
    state_dir: StateDir,
    ours: Collection[tuple[int, str]],
    progress: Progress,
) -> Mapping[str, int]:
    """The host's side of every port, by `key`.

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
    chosen, others, taken = _select(environment, state_dir, ours)
    if taken:
        raise EnvironmentFailed(
            "a host port is already in use" if len(taken) == 1 else "host ports are already in use",
            evidence=taken,
            hint="stop the process that holds it, choose another port in the spec or in NAME.local.yaml,"
            " or leave the host port out to get a free one",
        )
    for name, holder, port in others:
        progress.note(
            f"port {port.host} is used by {holder}:"
            f" using {chosen[key(name, port)]} for {name}:{port.guest} instead"
        )
    return chosen


def notes_on_ports(
    environment: Environment, state_dir: StateDir, ours: Collection[tuple[int, str]]
) -> tuple[str, ...]:
    """What `choose` would say of ports that are not free now; nothing is chosen."""
    _, others, taken = _select(environment, state_dir, ours)
    return (
        *(f"port {held}: `up` fails until it is free" for held in taken),
        *(
            f"port {port.host} is used by {holder}: {name}:{port.guest} gets another"
            for name, holder, port in others
        ),
    )


def _select(
    environment: Environment, state_dir: StateDir, ours: Collection[tuple[int, str]]
) -> tuple[dict[str, int], list[tuple[str, str, Port]], list[str]]:
    """Choose the host ports: all of them; those that differ from the spec, with the holder; those in use."""
    had_before = kept(state_dir)
    elsewhere = _elsewhere(state_dir)
    chosen: dict[str, int] = {}
    others = []
    taken = []

    fixed = {port.host for machine in environment.machines for port in machine.ports}

    def free(port: Port) -> int:
        while (host := _free(port)) in fixed or host in chosen.values():
            pass
        return host

    def is_usable(port: Port, host: int) -> bool:
        return (host, port.protocol) in ours or _is_free(port, host)

    for machine in environment.machines:
        for port in machine.ports:
            name = key(machine.name, port)
            had = had_before.get(name)
            if port.host is None:
                chosen[name] = had if had is not None and is_usable(port, had) else free(port)
                continue
            holder = elsewhere.get(port.host)
            other = had if had != port.host else None
            if (holder is None or other is None) and is_usable(port, port.host):
                chosen[name] = port.host
            elif holder is not None:
                chosen[name] = other if other is not None and is_usable(port, other) else free(port)
                others.append((machine.name, holder, port))
            else:
                where = f"{bracketed(port.address)}:{port.host}/{port.protocol}"
                taken.append(
                    f"{where} ({port.origin.file}:{port.origin.line})"
                    f" is held by {_holder(port.host, port.protocol)}"
                )
    return chosen, others, taken


def _elsewhere(state_dir: StateDir) -> Mapping[int, str]:
    """The ports that namesakes have, and whose each is."""
    found: dict[int, str] = {}
    for sibling in state_dir.siblings():
        record = sibling.load_sound(RECORD, PortsRecord)
        where = "in another backend" if sibling.id == state_dir.id else f"of {sibling.project}"
        found |= dict.fromkeys(record.ports.values() if record else (), f"{sibling.name} {where}")
    return found


def _bind(port: Port, host: int) -> int:
    family = socket.AF_INET6 if ":" in port.address else socket.AF_INET
    kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as asked:
        if port.protocol == "tcp":
            asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        asked.bind((port.address, host))
        return int(asked.getsockname()[1])


def _free(port: Port) -> int:
    return _bind(port, 0)


def _is_free(port: Port, host: int) -> bool:
    try:
        _bind(port, host)
    except OSError:
        return False
    return True


def _holder(host: int, protocol: str) -> str:
    return (
        _container(host, protocol) or _process(host, protocol) or "an unknown process (run as root to see it)"
    )


def _container(host: int, protocol: str) -> str | None:
    """The container that publishes a port; None where there is none, or no engine."""
    from provision import process

    if process.find("docker") is None:
        return None
    listed = process.ask(
        ["docker", "ps", "--filter", f"publish={host}/{protocol}",
         "--format", '{{.Names}} {{.Label "com.docker.compose.project"}}']
    )  # fmt: skip
    for line in listed.stdout.splitlines():
        name, _, project = line.partition(" ")
        return f"container {name}" + (f" of project {project}" if project else "")
    return None


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
