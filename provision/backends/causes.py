"""Why a machine is no longer what its spec says: the aspects of a machine, and how two of them differ.

Whether it differs, its hashes say. After each `up` a backend notes the aspects of every
machine, each as a hash; so the next plan can say which of them changed. Nothing is decided
by that record: without it a plan is the same, and its causes are less exact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from provision.model import Service
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provision.model import Environment, Machine
    from provision.state import StateDir

RECORD = "aspects"
MOST = 3  # differences that are named; the others are counted
UNKNOWN = "its rendered definition changed"
# No part of what a machine is: where a key stands in the spec, and what people are told.
_BESIDE = {"origin", "note"}
# What a container is given when it is created, and its image does not hold.
_OUTSIDE_THE_IMAGE = (
    *("port ", "mount ", "volume ", "variable ", "secret "),
    *("the memory limit", "the CPU limit", "the workspace"),
)


@dataclass(frozen=True, kw_only=True)
class AspectsRecord:
    """The aspects of each machine as it was last brought up: words → hash."""

    machines: Mapping[str, Mapping[str, str]]


def note_aspects(state_dir: StateDir, environment: Environment) -> None:
    """Note the aspects of the machines as they are now."""
    machines = {machine.name: aspects(machine) for machine in environment.machines}
    state_dir.save(RECORD, AspectsRecord(machines=machines))


def noted_aspects(state_dir: StateDir) -> Mapping[str, Mapping[str, str]]:
    """The aspects of the machines at their last `up`; empty if the record is damaged."""
    record = state_dir.load_sound(RECORD, AspectsRecord)
    return record.machines if record else {}


def aspects(machine: Machine) -> Mapping[str, str]:
    """The parts of a machine's spec, in words, each with its hash. Pure."""
    inputs: dict[str, list[object]] = {}
    for words, value in _aspects(machine):
        if value not in (None, "", (), {}, False):
            inputs.setdefault(words, []).append(_plain(value))
    return {words: hashlib.sha256(repr(values).encode()).hexdigest()[:16] for words, values in inputs.items()}


def differences(former: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """What was added, removed or changed, a line for each. Pure."""
    added = [words for words in now if words not in former]
    removed = [words for words in former if words not in now]
    whole = {*added, *removed}
    return (
        *(f"{words} added" for words in added if _whole(words) not in whole),
        *(f"{words} removed" for words in removed if _whole(words) not in whole),
        *(f"{words} changed" for words in now if former.get(words, now[words]) != now[words]),
    )


def cause(former: Mapping[str, str] | None, now: Mapping[str, str], unknown: str = UNKNOWN) -> str:
    """Why a machine is not what it was, in a few words; `unknown` if no aspect differs. Pure."""
    changed = differences(former, now) if former is not None else ()
    if not changed:
        return unknown
    more = f" and {len(changed) - MOST} more" if len(changed) > MOST else ""
    return ", ".join(changed[:MOST]) + more


def of_the_image(found: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """The aspects that an image is built from. Pure."""
    if found is None:
        return None
    return {words: value for words, value in found.items() if not words.startswith(_OUTSIDE_THE_IMAGE)}


def _whole(words: str) -> str:
    """What an aspect is part of: `the command of service web` is part of `service web`."""
    return words.partition(" of ")[2]


def _aspects(machine: Machine) -> Iterator[tuple[str, object]]:
    """Words and a value for each aspect; values with equal words are combined."""
    yield from {
        "the base": machine.base,
        "the lock": machine.lock,
        "the memory limit": machine.resources.memory,
        "the CPU limit": machine.resources.cpus,
        "the disk size": machine.resources.disk,
        "the workspace": machine.workspace,
        "the host name": machine.hostname,
        "the name": machine.names,
        "the hosts entries": machine.hosts,
        "the machines that it needs": machine.needs,
        "the groups": machine.groups,
        "the kernel parameters": machine.sysctls,
        "the requirements": machine.requires,
        "the proxy": machine.proxy,
        "the locale": machine.locale,
        "the time zone": machine.timezone,
    }.items()
    yield from ((f"backend option {name}", [value]) for name, value in sorted(machine.options.items()))
    yield from ((f"variable {name}", [value]) for name, value in machine.env.items())
    yield from ((f"package {package.name}", package) for package in machine.packages)
    yield from ((f"repository {repository.name}", repository) for repository in machine.repositories)
    yield from ((f"user {user.name}", user) for user in machine.users)
    yield from ((f"file {file.path}", file) for file in machine.files)
    yield from ((f"step {step.name}", step) for step in machine.run)
    yield from ((f"setup step {step.name}", step) for step in machine.setup)
    for port in machine.ports:
        where = port.host if port.host is not None else port.guest
        yield f"port {where}{'/udp' if port.protocol == 'udp' else ''}", port
    yield from ((f"mount {mount.path}", mount) for mount in machine.mounts)
    yield from ((f"volume {volume.name}", volume) for volume in machine.volumes)
    yield from ((f"secret {secret.name}", secret) for secret in machine.secrets)
    for service in machine.services:
        yield f"the command of service {service.name}", (service.words, service.script)
        yield f"the readiness probe of service {service.name}", service.ready
        yield f"service {service.name}", _rest(service)


def _rest(service: Service) -> Sequence[object]:
    named = ("words", "script", "ready", *_BESIDE)
    return [_plain(getattr(service, each.name)) for each in fields(Service) if each.name not in named]


def _plain(value: object) -> object:
    """A value without its place in the spec; equal values give equal text."""
    if is_dataclass(value) and not isinstance(value, type):
        return [
            (each.name, _plain(getattr(value, each.name)))
            for each in fields(value)
            if each.name not in _BESIDE
        ]
    if isinstance(value, Mapping):
        return [(name, _plain(each)) for name, each in value.items()]
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return value if isinstance(value, (str, int, float, bytes, type(None))) else str(value)
