"""Ports of containers on another host, here: one ssh in the background forwards those of an environment.

The engine publishes each port on the loopback of its host, at a number that is free there. ssh listens here,
at the number that the spec names or that was chosen, and forwards to it. Its control socket is in this user's
private folder: who holds that can ask whether it lives, and end it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from provision import process, runtime
from provision.backends.container_labels import MACHINE
from provision.backends.ports import key
from provision.docker_client.endpoint import ssh_words
from provision.errors import EnvironmentFailed, HostLacks
from provision.hints import command
from provision.model import PortStatus, bracketed
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from provision.docker_client.queries import Container
    from provision.model import Environment
    from provision.state import StateDir

RECORD, PLACES = "forwards", "places"
WITHIN = 60.0  # seconds, for ssh to log in
# A connection that is gone is noticed after three quarters of a minute, and ends the ssh.
OPTIONS = (
    "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "ControlPersist=no",
    "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3", "-o", "ClearAllForwardings=no",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where this host reaches a port of a machine."""

    machine: str
    port: PortStatus


@dataclass(frozen=True, kw_only=True)
class PlacesRecord:
    """Where this host is to reach the ports of an environment."""

    places: tuple[Place, ...]


@dataclass(frozen=True, kw_only=True)
class ForwardsRecord:
    """What ssh was told to forward: for each, the word of its option -L."""

    forwards: tuple[str, ...]


def note_places(state_dir: StateDir, environment: Environment, chosen: Mapping[str, int]) -> None:
    """Keep where this host is to reach an environment's ports; the chosen numbers are by `ports.key`."""
    if not environment.is_elsewhere:
        return
    places = tuple(
        Place(
            machine=machine.name,
            port=PortStatus(
                guest=port.guest,
                host=chosen[key(machine.name, port)],
                address=port.address,
                protocol=port.protocol,
            ),
        )
        for machine in environment.machines
        for port in machine.ports
    )
    state_dir.save(PLACES, PlacesRecord(places=places))


def socket_of(state_dir: StateDir) -> Path:
    """The control socket of an environment's ssh; a socket's path has at most 108 bytes."""
    return runtime.sockets() / f"ssh-{state_dir.id}"


def forwarded(state_dir: StateDir, containers: Sequence[Container]) -> tuple[Container, ...]:
    """The containers with their ports as this host reaches them; ssh is started where it has to be.

    Containers on this host are returned as they are.

    Raises:
        EnvironmentFailed: ssh cannot log in, or a port is taken here.
    """
    if not state_dir.address:
        return tuple(containers)
    noted = state_dir.load_sound(PLACES, PlacesRecord)
    places = noted.places if noted else ()
    wanted = tuple(
        word for each in containers if each.running for word in words_of(each, _places_of(each, places))
    )
    record = state_dir.load_sound(RECORD, ForwardsRecord)
    if wanted and not (record and set(wanted) <= set(record.forwards) and _lives(state_dir)):
        _start(state_dir, tuple(dict.fromkeys(wanted)))
    return tuple(replace(each, ports=_places_of(each, places)) for each in containers)


def _places_of(container: Container, places: Sequence[Place]) -> tuple[PortStatus, ...]:
    machine = container.labels.get(MACHINE)
    return tuple(place.port for place in places if place.machine == machine)


def words_of(container: Container, places: Sequence[PortStatus]) -> tuple[str, ...]:
    """The words of ssh's option -L that forward to a container's ports from these places; pure."""
    published = {(port.guest, port.protocol): port for port in container.ports}
    return tuple(
        f"{bracketed(here.address)}:{here.host}:{bracketed(there.address)}:{there.host}"
        for here in places
        if (there := published.get((here.guest, here.protocol))) is not None
    )


def end(state_dir: StateDir) -> None:
    """End the ssh of an environment, if there is one."""
    if not state_dir.address:
        return
    if _lives(state_dir):
        process.run(_control(state_dir, "exit"), check=False, timeout=process.ANSWERS_WITHIN)
    socket_of(state_dir).unlink(missing_ok=True)
    state_dir.forget(RECORD)


def _start(state_dir: StateDir, wanted: tuple[str, ...]) -> None:
    end(state_dir)
    words = ssh_words(state_dir.address)
    if words is None:  # then ports were refused
        return
    program, *where = words
    options = [word for forward in wanted for word in ("-L", forward)]
    try:
        process.run(
            [program, "-f", "-N", "-M", "-S", str(socket_of(state_dir)), "-E", str(_log(state_dir)),
             *OPTIONS, *options, *where],
            timeout=WITHIN,
        )  # fmt: skip
    except process.CommandFailed as error:
        said = _log(state_dir).read_text(errors="replace").splitlines() if _log(state_dir).exists() else []
        raise EnvironmentFailed(
            f"the ports cannot be forwarded from {state_dir.address}",
            evidence=said or error.evidence,
            hint="ssh must log in there without asking, and forward TCP (AllowTcpForwarding);"
            f" then {command('up')}",
        ) from error
    state_dir.save(RECORD, ForwardsRecord(forwards=wanted))


def _log(state_dir: StateDir) -> Path:
    return state_dir.folder / "ssh.log"


def _lives(state_dir: StateDir) -> bool:
    if not socket_of(state_dir).exists():
        return False
    try:
        return (
            process.run(_control(state_dir, "check"), check=False, timeout=process.ANSWERS_WITHIN).code == 0
        )
    except (process.CommandFailed, HostLacks):
        return False


def _control(state_dir: StateDir, verb: str) -> list[str]:
    # The host is not looked up for a running ssh, but ssh wants the word.
    return ["ssh", "-S", str(socket_of(state_dir)), "-O", verb, "--", "provision"]
