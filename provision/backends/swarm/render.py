"""Environment → a Dockerfile for each machine, and one stack.yaml for `docker stack deploy`; pure."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from provision.backends.container_image import GRACE, Image, images_of, start_stages
from provision.backends.readiness import patience
from provision.backends.swarm.options import options_of
from provision.recipe.limits import machine_limits, shared_memory
from provision.recipe.proxy import proxy_variables, trust_variables
from provision.rendering import (
    RenderedFile,
    Rendering,
    compose_scalar,
    digest_of,
    path_from,
    render,
    yaml_scalar,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from provision.backends.swarm.options import SwarmOptions
    from provision.model import Environment, Machine

STACK = "stack.yaml"
IDENTITY = "IDENTITY"  # the person's name for git
CA = "proxy.ca"  # no secret of a spec can have this name
MORE = 10  # seconds that the container has beyond its services
_LONGEST = 24  # letters of an environment's name: a service's name has 63 at most
SLOT = "{{.Task.Slot}}"  # Swarm's own number of a replica, which is the machine's


@dataclass(frozen=True, kw_only=True)
class Group:
    """A service of the stack: one machine, or all equal ones as its replicas, by their slots."""

    name: str
    machines: tuple[Machine, ...]

    @property
    def first(self) -> Machine:
        """The machine that stands for all."""
        return self.machines[0]

    @property
    def needs(self) -> frozenset[str]:
        """The machines that must be ready first."""
        return frozenset(need for machine in self.machines for need in machine.needs)


def groups_of(environment: Environment) -> tuple[Group, ...]:
    """The services of an environment: machines that differ in nothing but their number are one."""
    by_group: dict[str, list[Machine]] = {}
    for machine in environment.machines:
        by_group.setdefault(machine.group, []).append(machine)
    found: list[Group] = []
    for name, machines in by_group.items():
        if _is_replicated(name, machines):
            found.append(Group(name=name, machines=tuple(machines)))
        else:
            found += (Group(name=machine.name, machines=(machine,)) for machine in machines)
    return tuple(found)


def waves(groups: Sequence[Group]) -> tuple[tuple[Group, ...], ...]:
    """The services in the order in which they start: each after all that have what it needs."""
    left, done = list(groups), set[str]()
    ordered = []
    while left:
        free = tuple(group for group in left if group.needs <= done | {m.name for m in group.machines})
        free = free or tuple(left)  # the spec has no circles; a part of it may lack what is needed
        ordered.append(free)
        done |= {machine.name for group in free for machine in group.machines}
        left = [group for group in left if group not in free]
    return tuple(ordered)


def _is_replicated(name: str, machines: Sequence[Machine]) -> bool:
    """Whether machines were made by `count`, and Swarm can make each of them from the first."""
    numbered = [f"{name}-{number}" for number in range(1, len(machines) + 1)]
    patterns = [_pattern(machine) for machine in machines]
    return [machine.name for machine in machines] == numbered and all(
        pattern == patterns[0] for pattern in patterns
    )


def _pattern(machine: Machine) -> Machine:
    """A machine without its number."""
    return replace(machine, name=machine.group, index=0, hostname=machine.hostname.replace(machine.name, ""))


def stack_name(environment: Environment) -> str:
    """What the Swarm calls the stack; a Compose project of the same environment is called otherwise."""
    return f"{environment.name[:_LONGEST]}-{environment.id}-s"


def service_name(environment: Environment, name: str) -> str:
    """What the Swarm calls a service of the stack."""
    return f"{stack_name(environment)}_{name}"


def secret_variable(name: str) -> str:
    """The variable of stack.yaml that says how a secret is called now."""
    return f"SECRET_{_identifier(name)}"


def secrets_variable(group: str) -> str:
    """The variable of stack.yaml that stands for the values of all secrets of a service."""
    return f"SECRETS_{_identifier(group)}"


def node_variable(group: str) -> str:
    """The variable of stack.yaml that names the node that a service is bound to."""
    return f"NODE_{_identifier(group)}"


def is_bound(group: Group) -> bool:
    """Whether it has to run on one node: there are its volumes, or its folders."""
    options = options_of(group.first)
    folders = bool(group.first.workspace or group.first.mounts) and options.folders == "local"
    return folders or bool(group.first.volumes and not options.shares_volumes)


def has_local_folders(group: Group) -> bool:
    """Whether it sees folders that only this engine's node has."""
    first = group.first
    return bool(first.workspace or first.mounts) and options_of(first).folders == "local"


def secret_names(group: Group) -> tuple[str, ...]:
    """The secrets of a service, as the spec calls them."""
    return tuple(secret.name for secret in group.first.secrets)


def volume_names(environment: Environment, machine: Machine) -> Mapping[str, str]:
    """What each of a machine's volumes is called on its node, by its name in the spec."""
    whose = f"{machine.name}." if environment.several else ""
    return {volume.name: f"{stack_name(environment)}_{whose}{volume.name}" for volume in machine.volumes}


def literal(text: str) -> str:
    """Text as YAML from which neither Compose's variables nor Swarm's templates take anything."""
    return compose_scalar(text.replace("{{", '{{"{{"}}'))


def render_environment(environment: Environment, location: Path) -> Rendering:
    """Everything that builds the images and makes the stack, for a folder at `location`."""
    images = images_of(environment)
    recipes = {name: digest_of(image.files) for name, image in images.items()}
    services = [
        _Service.of(environment, group, images[group.first.name], location)
        for group in groups_of(environment)
    ]
    digests = {
        machine.name: service.digest(environment)
        for service in services
        for machine in service.group.machines
    }
    files = {STACK: _text(stack(environment, location))}
    for image in images.values():
        for path, file in image.files.items():
            files[os.path.normpath(f"{image.folder}/{path}")] = file
    files |= {
        path: RenderedFile(content=machine.proxy.ca)
        for machine in environment.machines
        if machine.proxy and machine.proxy.ca
        for path in [certificate_file(machine.proxy.ca)]
    }
    return Rendering(files=files, digest=digest_of(files), digests=digests, recipes=recipes)


def stack(
    environment: Environment,
    location: Path,
    *,
    only: Collection[str] | None = None,
    replicas: Mapping[str, int] | None = None,
) -> str:
    """The stack's file, of all services or only of those with these names.

    Args:
        environment: what it is of.
        location: the folder that relative paths start from.
        only: the names of services.
        replicas: how many of a service are wanted, where that is not all of its machines.
    """
    images = images_of(environment)
    services = [
        _Service.of(environment, group, images[group.first.name], location)
        for group in groups_of(environment)
        if only is None or group.name in only
    ]
    counts = replicas or {}
    return render(
        "swarm/stack.yaml.j2",
        {
            "environment": environment,
            "stack": stack_name(environment),
            "services": [
                each.text(environment, each.digest(environment), counts.get(each.name, each.count))
                for each in services
            ],
            "volumes": {key: volume for each in services for key, volume in each.named_volumes.items()},
            "secrets": {
                name: secret_variable(name) for each in services for name in secret_names(each.group)
            },
            "certificates": {
                each.certificate: _Certificate.of(environment, each.group.first)
                for each in services
                if each.certificate
            },
        },
    )


def certificate_file(certificate: bytes) -> str:
    """Where the rendering has a proxy's certificate."""
    return f"proxy/{hashlib.sha256(certificate).hexdigest()[:12]}"


@dataclass(frozen=True, kw_only=True)
class _Certificate:
    """A proxy's certificate: a secret of its own, named by its content because none can be changed."""

    path: str
    name: str

    @classmethod
    def of(cls, environment: Environment, machine: Machine) -> _Certificate:
        assert machine.proxy is not None  # noqa: S101 - asked only for machines that have one
        path = certificate_file(machine.proxy.ca or b"")
        return cls(path=f"./{path}", name=f"{environment.id}.{CA}.{path.rpartition('/')[2]}")


@dataclass(frozen=True, kw_only=True)
class _Bind:
    source: str
    path: str
    read_only: bool


@dataclass(frozen=True, kw_only=True)
class _Volume:
    name: str
    driver: str
    options: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Service:
    """What stack.yaml says of a service, in addition to what its machine says itself."""

    group: Group
    image: Image
    hostname: str
    aliases: tuple[str, ...]
    grace: int
    patience: int
    mounts: tuple[_Bind, ...]
    volumes: Mapping[str, str]
    named_volumes: Mapping[str, _Volume]
    variables: Mapping[str, str]
    told: tuple[str, ...]
    certificate: str | None
    constraints: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.group.name

    @property
    def count(self) -> int:
        return len(self.group.machines)

    @property
    def secrets_variable(self) -> str:
        return secrets_variable(self.group.name)

    @classmethod
    def of(cls, environment: Environment, group: Group, image: Image, location: Path) -> _Service:
        machine, options = group.first, options_of(group.first)
        numbered = machine.name != group.name
        binds = [(mount.source, mount.path, mount.read_only) for mount in machine.mounts]
        if machine.workspace:
            binds.insert(0, (machine.workspace.source, machine.workspace.path, False))
        hostname = compose_scalar(machine.hostname)
        if numbered:
            hostname = compose_scalar(machine.hostname.replace(machine.name, f"{group.name}-{SLOT}"))
        own = {**proxy_variables(machine, environment.names), **trust_variables(machine), **machine.env}
        keys = {volume.name: _volume_key(environment, group, volume.name) for volume in machine.volumes}
        bound = [f'"node.id==${{{node_variable(group.name)}:-}}"'] if is_bound(group) else []
        return cls(
            group=group,
            image=image,
            hostname=hostname,
            aliases=tuple(name for name in machine.aliases if name != group.name)
            if numbered
            else tuple(name for name in machine.names if name != group.name),
            grace=GRACE * max(len(start_stages(machine)), 1) + MORE,
            patience=int(max([*patience(machine).values(), 5])) + (600 if machine.setup else 0),
            mounts=tuple(
                _Bind(
                    source=literal(path_from(location, source, environment.project)),
                    path=literal(path),
                    read_only=read_only,
                )
                for source, path, read_only in binds
            ),
            volumes={keys[volume.name]: literal(volume.path) for volume in machine.volumes},
            named_volumes={
                keys[volume.name]: _volume(environment, group, volume.name, options)
                for volume in machine.volumes
            },
            variables={name: literal(value) for name, value in own.items()},
            told=_told(machine),
            certificate=_certificate_name(environment, machine),
            constraints=(*map(compose_scalar, options.constraints), *bound),
        )

    def digest(self, environment: Environment) -> str:
        """The hash of all that is the machine's own, but for how many there are."""
        around = {STACK: _text(self.text(environment, "", 1, names=(self.name,)))}
        around |= {f"volume/{key}": _text(repr(each)) for key, each in self.named_volumes.items()}
        return digest_of({**self.image.files, **around})

    def text(
        self, environment: Environment, digest: str, replicas: int, names: Sequence[str] | None = None
    ) -> str:
        """A service in stack.yaml."""
        return render(
            "swarm/service.yaml.j2",
            {
                "environment": environment,
                "service": self,
                "machine": self.group.first,
                "names": names or [machine.name for machine in self.group.machines],
                "limits": machine_limits(self.group.first),
                "shared_memory": shared_memory(self.group.first),
                "digest": digest,
                "replicas": replicas,
            },
        )


def _volume_key(environment: Environment, group: Group, volume: str) -> str:
    return f"{group.name}.{volume}" if environment.several else volume


def _volume(environment: Environment, group: Group, volume: str, options: SwarmOptions) -> _Volume:
    named = volume_names(environment, group.first)[volume]
    if group.first.name != group.name:
        named = named.replace(f"_{group.first.name}.", f"_{group.name}-{SLOT}.")
    return _Volume(
        name=compose_scalar(named),
        driver=options.volume_driver or ("local" if options.volume_options else ""),
        options={
            name: compose_scalar(value.replace("{{", '{{"{{"}}').replace("NAME", named))
            for name, value in options.volume_options.items()
        },
    )


def _told(machine: Machine) -> tuple[str, ...]:
    """The arguments of the entry point: the person's name for git, the spec's variables; as YAML."""
    identity = machine.workspace is not None and machine.workspace.identity
    words = (f"${{{IDENTITY}:-}}" if identity else "", *machine.env)
    return tuple(map(yaml_scalar, words)) if any(words) else ()


def _certificate_name(environment: Environment, machine: Machine) -> str | None:
    """What stack.yaml calls the certificate of a machine's proxy: one for all, unless they differ."""
    if machine.proxy is None or machine.proxy.ca is None:
        return None
    known = {each.proxy.ca for each in environment.machines if each.proxy and each.proxy.ca}
    return CA if len(known) == 1 else f"{CA}.{machine.name}"


def _identifier(name: str) -> str:
    """A name as part of a variable's: two names never become one."""
    plain = re.sub(r"[^A-Z0-9]", "_", name.upper())
    unlike = "" if plain == name.upper() else f"_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"{plain}{unlike}"


def _text(text: str) -> RenderedFile:
    return RenderedFile(content=text.encode())
