"""Queries the engine about containers and images, through its command line.

The SDK takes a quarter of a second to import, the command line thirty milliseconds to
answer; so the verbs that people wait for ask here, and only `doctor` loads the SDK.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provision import process
from provision.errors import EnvironmentFailed, HostLacks
from provision.model import PortStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

START_HINT = (
    "start it (`systemctl start docker`, or Docker Desktop), or install it: scripts/host-setup docker"
)


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container as it is; `health` is healthy, unhealthy, starting, or empty without a check.

    One that is paused or about to be restarted is not `running`.
    """

    name: str
    running: bool
    paused: bool
    restarting: bool
    health: str
    exit_code: int
    address: str | None
    image: str
    labels: Mapping[str, str]
    ports: tuple[PortStatus, ...]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was asked for and is there, by name; all but containers by their labels alone."""

    containers: Mapping[str, Container]
    images: Mapping[str, Mapping[str, str]]
    volumes: Mapping[str, Mapping[str, str]]
    networks: Mapping[str, Mapping[str, str]]


def look(names: Sequence[str]) -> Seen:
    """What the engine has under these names of containers, images, volumes and networks.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    if not names:
        return Seen(containers={}, images={}, volumes={}, networks={})
    done = process.ask(["docker", "inspect", *names])
    wrong = [line for line in done.stderr.splitlines() if "o such object" not in line]
    if wrong and done.code != 0:
        raise unreachable(wrong)
    objects: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    containers = [_container(each) for each in objects if "State" in each]
    images = {
        tag: dict(each["Config"].get("Labels") or {})
        for each in objects
        if "RepoTags" in each
        for tag in each["RepoTags"]
    }
    return Seen(
        containers={container.name: container for container in containers},
        images={tag.removesuffix(":latest"): labels for tag, labels in images.items()},
        volumes={each["Name"]: dict(each["Labels"] or {}) for each in objects if "Mountpoint" in each},
        networks={each["Name"]: dict(each["Labels"] or {}) for each in objects if "IPAM" in each},
    )


def containers_with(label: str) -> tuple[Container, ...]:
    """Every container, running or not, that carries a label: KEY, or KEY=VALUE.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    names = ask("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={label}")
    return tuple(look(names).containers.values()) if names else ()


def volumes_with(label: str) -> tuple[str, ...]:
    """The names of the volumes that carry a label."""
    return ask("volume", "ls", "--quiet", "--filter", f"label={label}")


def networks_with(label: str) -> tuple[str, ...]:
    """The names of the networks that carry a label."""
    return ask("network", "ls", "--format", "{{.Name}}", "--filter", f"label={label}")


def ask(*words: str) -> tuple[str, ...]:
    """The engine's answer, split into words.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    return tuple(word for line in lines(*words) for word in line.split())


def lines(*words: str) -> tuple[str, ...]:
    """The engine's answer, split into lines.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    answer = process.ask(["docker", *words])
    if answer.code != 0:
        raise unreachable(answer.stderr.splitlines())
    return tuple(answer.stdout.splitlines())


def unreachable(said: Sequence[str]) -> EnvironmentFailed | HostLacks:
    """The error for an engine that refused or did not answer, from its own message."""
    words = "\n".join(said)
    said = tuple(dict.fromkeys(said))  # several parts of one query print the same error
    if "permission denied" in words:
        return HostLacks(
            "this user has no access to the Docker engine",
            evidence=said,
            hint="sudo usermod -aG docker $USER, then log in again",
        )
    if "annot connect" in words or "no such file" in words or "dial" in words:
        return HostLacks("the Docker engine does not answer", evidence=said, hint=START_HINT)
    return EnvironmentFailed("the Docker engine refused", evidence=said)


def _container(each: Mapping[str, Any]) -> Container:
    state, networks = each["State"], each["NetworkSettings"]["Networks"] or {}
    labels = dict(each["Config"].get("Labels") or {})
    addresses = [network["IPAddress"] for network in networks.values() if network["IPAddress"]]
    return Container(
        name=each["Name"].lstrip("/"),
        running=state["Running"] and not state["Restarting"] and not state["Paused"],
        paused=state["Paused"],
        restarting=state["Restarting"],
        health=(state.get("Health") or {}).get("Status", ""),
        exit_code=state["ExitCode"],
        address=addresses[0] if addresses else None,
        image=each["Config"].get("Image", ""),
        labels=labels,
        ports=_ports(each["NetworkSettings"]["Ports"] or {}),
    )


def _ports(published: Mapping[str, Any]) -> tuple[PortStatus, ...]:
    ports = []
    for guest, bindings in published.items():
        number, _, protocol = guest.partition("/")
        ports += [
            PortStatus(
                guest=int(number),
                host=int(binding["HostPort"]),
                address=binding["HostIp"],
                protocol="udp" if protocol == "udp" else "tcp",
            )
            for binding in bindings or ()
        ]
    return tuple(sorted(ports, key=lambda port: (port.guest, port.protocol)))
