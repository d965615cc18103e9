"""Environment → a Dockerfile for each machine and one compose.yaml."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provision.backends.docker.systemd import PACKAGES, is_init
from provision.backends.ports import key
from provision.backends.readiness import patience
from provision.recipe import container_packages, contents, payload, repository_files, steps
from provision.recipe.proxy import proxy_variables, trust_variables
from provision.recipe.systemd import systemd_scripts
from provision.rendering import (
    RenderedFile,
    Rendering,
    compose_document,
    compose_scalar,
    digest_of,
    render,
    yaml_scalar,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from provision.model import Environment, Machine, Port, Step

SECRETS = "SECRETS"
CA = "proxy.ca"  # no secret of a spec can have this name
GRACE = 30
SUPERVISED_GRACE = 40  # supervisord gives each service its 30 s, then ends itself
RESTART = {"always": "unless-stopped", "on-failure": "on-failure", "never": "no"}
# How bash's ulimit calls each limit, and how many of the spec's units are one of its own.
LIMITS = {
    "nofile": ("n", 1),
    "nproc": ("u", 1),
    "core": ("c", 1024),
    "memlock": ("l", 1024),
    "stack": ("s", 1024),
}


def image_name(environment: Environment, machine: Machine) -> str:
    """The image of a machine: provision/ENVIRONMENT, and the machine's name among several."""
    own = "" if len(environment.machines) == 1 else f"/{machine.name}"
    return f"provision/{environment.name}{own}"


def container_name(environment_name: str, machine: str) -> str:
    """The container of a machine, as Compose names it."""
    return f"{environment_name}-{machine}-1"


def port_variable(port: Port) -> str:
    """The variable of compose.yaml that gives the host's side of a port."""
    return f"PORT_{port.guest}_{port.protocol.upper()}"


def render_environment(environment: Environment, location: Path) -> Rendering:
    """Everything that `docker compose up` needs, for a folder at `location`."""
    items = [_Item.of(environment, machine, location) for machine in environment.machines]
    contexts = {item.machine.name: item.files(environment) for item in items}
    recipes = {name: digest_of(files) for name, files in contexts.items()}
    files = {path: file for made in contexts.values() for path, file in made.items()}
    files |= _override(environment)
    context: dict[str, object] = {
        "environment": environment,
        "items": items,
        "recipes": recipes,
        "secrets": _secret_sources(environment, location),
        "volumes": sorted({name for item in items for name in item.volumes.values()}),
        "variable": port_variable,
    }
    # The label that carries the hash of everything cannot be a part of it.
    blank = _text(render("docker/compose.yaml.j2", context | {"digest": ""}))
    digest = digest_of(files | {"compose.yaml": blank})
    compose = _text(render("docker/compose.yaml.j2", context | {"digest": digest}))
    return Rendering(files={"compose.yaml": compose} | files, digest=digest, recipes=recipes)


@dataclass(frozen=True, kw_only=True)
class _Bind:
    source: str
    path: str
    read_only: bool


@dataclass(frozen=True, kw_only=True)
class _Item:
    """What the rendering says of a machine beside what the machine says itself."""

    machine: Machine
    image: str
    folder: str
    supervised: bool
    restart: str
    grace: int
    systemd: bool
    patience: int
    mounts: tuple[_Bind, ...]
    volumes: Mapping[str, str]
    scripts: Mapping[str, RenderedFile]
    steps: tuple[Step, ...]
    proxy: Mapping[str, str]
    variables: Mapping[str, str]
    build_secrets: tuple[str, ...]

    @classmethod
    def of(cls, environment: Environment, machine: Machine, location: Path) -> _Item:
        alone = len(environment.machines) == 1
        systemd = is_init(machine)
        proxy = proxy_variables(machine, [each.name for each in environment.machines])
        supervised = len(machine.services) > 1 and not systemd
        runtime = PACKAGES[machine.base.family] if systemd else container_packages(machine)
        binds = [(mount.source, mount.path, mount.read_only) for mount in machine.mounts]
        if machine.workspace:
            binds.insert(0, (machine.workspace.source, machine.workspace.path, False))
        scripts = {**contents(machine), **_own_scripts(machine)}
        taken = steps(machine, scripts, runtime, init=systemd)
        return cls(
            machine=machine,
            image=image_name(environment, machine),
            folder="." if alone else f"./{machine.name}",
            supervised=supervised,
            restart=RESTART[
                machine.services[0].restart if len(machine.services) == 1 and not systemd else "always"
            ],
            grace=SUPERVISED_GRACE if supervised or systemd else GRACE,
            systemd=systemd,
            patience=int(max([*patience(machine).values(), 5])) + (600 if machine.setup else 0),
            mounts=tuple(
                _Bind(source=_relative(source, location), path=path, read_only=read_only)
                for source, path, read_only in binds
            ),
            volumes={
                volume.name: volume.name if alone else f"{machine.name}-{volume.name}"
                for volume in machine.volumes
            },
            scripts=scripts,
            steps=taken,
            proxy=proxy,
            variables={**proxy, **trust_variables(machine), **machine.env},
            build_secrets=tuple(
                dict.fromkeys([name for step in taken for name in step.secrets] + [CA] * _has_ca(machine))
            ),
        )

    def files(self, environment: Environment) -> Mapping[str, RenderedFile]:
        """The machine's build context."""
        dockerfile = render(
            "docker/Dockerfile.j2",
            {"environment": environment, "machine": self.machine, "steps": self.steps},
        )
        made = {"Dockerfile": _text(dockerfile)}
        for step in self.steps:
            made[f"steps/{step.name}.sh"] = RenderedFile(content=step.script.encode(), executable=True)
        made |= {f"files/{path}": file for path, file in payload(self.machine).items()}
        made |= {f"repositories/{path}": file for path, file in repository_files(self.machine).items()}
        made |= {f"machine/{path}": file for path, file in self.scripts.items()}
        return {os.path.normpath(f"{self.folder}/{path}"): file for path, file in made.items()}


def _own_scripts(machine: Machine) -> Mapping[str, RenderedFile]:
    """How a container starts its services and knows their state."""
    context: dict[str, object] = {"machine": machine}
    if is_init(machine):
        own = {name: _executable(f"docker/machine/{name}.j2", context) for name in ("attach", "init")}
        return {"start": own.pop("init"), **own, **systemd_scripts(machine)}
    limited = any(service.limits for service in machine.services)
    context["limits"] = LIMITS if limited else {}
    own = {name: _executable(f"docker/machine/{name}.j2", context) for name in ("start", "service", "state")}
    if len(machine.services) > 1:
        own["supervisord.conf"] = _text(render("docker/machine/supervisord.conf.j2", context))
    return own


def _relative(source: Path, location: Path) -> str:
    """The path from compose.yaml to a folder of the host, so that a project may be moved."""
    path = os.path.relpath(source, location)
    return path if path.startswith(".") else f"./{path}"


def _has_ca(machine: Machine) -> bool:
    return machine.proxy is not None and machine.proxy.ca_file is not None


def _secret_sources(environment: Environment, location: Path) -> Mapping[str, str]:
    """The file of each secret, as YAML: the host's own, or one in the folder SECRETS, by its name."""
    files = [machine.proxy.ca_file for machine in environment.machines if machine.proxy]
    certificates = {CA: compose_scalar(_relative(file, location)) for file in files[-1:] if file}  # noqa: B035 - one at most
    return certificates | {
        secret.name: yaml_scalar(f"${{{SECRETS}:-./secrets}}/{secret.name}")
        if secret.file is None
        else compose_scalar(_relative(secret.file, location))
        for machine in environment.machines
        for secret in machine.secrets
    }


def _override(environment: Environment) -> Mapping[str, RenderedFile]:
    """`backends.docker.compose` of each machine, which Compose itself lays over its service."""
    services = {
        machine.name: machine.options["compose"]
        for machine in environment.machines
        if machine.options.get("compose")
    }
    if not services:
        return {}
    return {"compose.override.yaml": _text(compose_document({"services": services}))}


def kept_ports(environment: Environment, chosen: Mapping[str, int]) -> str:
    """The text of `.env`, which gives compose.yaml the host's sides that differ from its own."""
    lines = [
        f"{port_variable(port)}={chosen[key(machine.name, port)]}\n"
        for machine in environment.machines
        for port in machine.ports
        if port.host != chosen[key(machine.name, port)]
    ]
    return "".join(lines)


def _executable(template: str, context: Mapping[str, object]) -> RenderedFile:
    return RenderedFile(content=render(template, context).encode(), executable=True)


def _text(text: str) -> RenderedFile:
    return RenderedFile(content=text.encode())
