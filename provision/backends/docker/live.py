"""What containers take now, and what happens to them, as the engine tells it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from provision.backends.container_labels import ID, MACHINE
from provision.backends.docker.containers import of_environment
from provision.docker_client import commands, queries
from provision.model import Event, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provision.state import StateDir

_EVENTS = {
    "create": "created",
    "start": "started",
    "restart": "restarted",
    "die": "died",
    "oom": "out of memory",
    "pause": "paused",
    "unpause": "unpaused",
    "destroy": "removed",
    "health_status: healthy": "healthy",
    "health_status: unhealthy": "unhealthy",
}


def usage(state_dir: StateDir) -> tuple[Usage, ...]:
    """What each running container takes."""
    running = {each.name: each.labels[MACHINE] for each in of_environment(state_dir) if each.running}
    if not running:
        return ()
    written = queries.written_bytes(tuple(running))
    return tuple(read_usage(told, running, written) for told in queries.stats(tuple(running)))


def read_usage(told: Mapping[str, str], machines: Mapping[str, str], written: Mapping[str, int]) -> Usage:
    """A line of `docker stats`; pure.

    Args:
        told: the line.
        machines: each container's machine.
        written: the bytes that each container has written.
    """
    # Podman writes no slash before a name, and `docker` takes its first letter for one.
    name = next(name for name in machines if name in (told["Name"], told.get("Container")))
    memory, _, limit = str(told["MemUsage"]).partition(" / ")
    return Usage(
        machine=machines[name],
        cpu=float(str(told["CPUPerc"]).rstrip("%")),
        memory=queries.size(memory),
        limit=queries.size(limit) or None,
        disk=written.get(name),
    )


def events(state_dir: StateDir, each: Callable[[Event], None]) -> None:
    """What the engine tells, until interrupted.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    of_environment(state_dir)  # one that does not answer is never heard of below

    def line(text: str) -> None:
        if (event := read_event(text)) is not None:
            each(event)

    commands.follow_events(f"{ID}={state_dir.id}", line)


def read_event(text: str) -> Event | None:
    """A line of `docker events`; None for what tells nobody anything. Pure."""
    try:
        told = json.loads(text)
    except ValueError:
        return None
    attributes = told.get("Actor", {}).get("Attributes", {})
    event = _EVENTS.get(str(told.get("Action")))
    if event is None or MACHINE not in attributes:
        return None
    code = attributes.get("exitCode") if event == "died" else None
    when = datetime.fromtimestamp(told["timeNano"] / 1e9, UTC)
    return Event(
        time=when.isoformat(timespec="milliseconds"),
        machine=attributes[MACHINE],
        event=event,
        code=int(code) if code is not None else None,
    )
