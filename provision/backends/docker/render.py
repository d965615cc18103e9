"""Environment → a Dockerfile for each machine and one compose.yaml."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from provision import lent
from provision.backends.container_image import GRACE, Image, images_of, start_stages
from provision.backends.docker.copies import copied_folders
from provision.backends.docker.options import options_of
from provision.backends.docker.systemd import is_init
from provision.backends.ports import key, variable
from provision.backends.readiness import patience
from provision.quick_dataclasses import dataclass
from provision.recipe.limits import machine_limits, shared_memory
from provision.recipe.proxy import proxy_variables, trust_variables
from provision.rendering import (
    RenderedFile,
    Rendering,
    compose_document,
    compose_scalar,
    digest_of,
    path_from,
    render,
    yaml_scalar,
)
from provision.walls import replaced_through

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from provision.backends.docker.copies import CopiedFolder
    from provision.backends.docker.systemd import EngineChoices
    from provision.model import Environment, Machine, Port

COMPOSE, OVERRIDE, VARIABLES = "compose.yaml", "compose.override.yaml", ".env"
SECRETS = "SECRETS"
IDENTITY, AGENT = "IDENTITY", "AGENT"  # the person's name for git, the folder of the agent's socket
PROJECT, OWNER = "PROVISION_PROJECT", "PROVISION_OWNER"  # what labels say of this host
_PLAIN = re.compile(r"[\w./ +@-]+")  # a path that needs no quoting within ${NAME:-…}
CA = "proxy.ca"  # no secret of a spec can have this name
MORE = 10  # that the container has beyond its services


def volume_names(environment: Environment, machine: Machine) -> Mapping[str, str]:
    """The engine's name for each of a machine's volumes, by its path in the spec."""
    prefix = f"{environment.unique_name}_" + (f"{machine.name}." if environment.several else "")
    return {volume.name: f"{prefix}{volume.name}" for volume in machine.volumes}


def port_variable(environment: Environment, machine: Machine, port: Port) -> str:
    """The variable of compose.yaml that gives the host's side of a port."""
    whose = f"{machine.name.upper().replace('-', '_')}_" if environment.several else ""
    return variable(machine, port).replace("PORT_", f"PORT_{whose}", 1)


def render_environment(environment: Environment, location: Path, choices: EngineChoices) -> Rendering:
    """Everything that `docker compose up` needs with such an engine, for a folder at `location`."""
    images = images_of(
        environment,
        systemd={each.name for each in environment.machines if is_init(each)},
        cgroup_v1={each.name for each in environment.machines if _cgroup_v1(each, choices)},
        buildkit=choices.buildkit,
    )
    recipes = {name: digest_of(image.files) for name, image in images.items()}
    items = [
        _Item.of(environment, machine, images[machine.name], location, choices)
        for machine in environment.machines
    ]
    digests = {item.machine.name: item.digest(environment, recipes[item.machine.name]) for item in items}
    compose = render(
        "docker/compose.yaml.j2",
        {
            "environment": environment,
            "services": [
                item.service(environment, recipes[item.machine.name], digests[item.machine.name])
                for item in items
            ],
            "volumes": sorted({name for item in items for name in (*item.volumes.values(), *item.copied)}),
            "secrets": _secret_sources(environment, location),
        },
    )
    files = {COMPOSE: _text(compose)}
    for image in images.values():
        for path, file in image.files.items():
            files[os.path.normpath(f"{image.folder}/{path}")] = file
    files |= _override(environment)
    files |= _certificates(environment)
    return Rendering(
        files=files,
        digest=digest_of(files),
        digests=digests,
        recipes=recipes,
        made_of={name: image.files for name, image in images.items()},
        outside={item.machine.name: item.outside(environment) for item in items},
    )


def _cgroup_v1(machine: Machine, choices: EngineChoices) -> bool:
    """Whether systemd is the machine's init, on cgroups of the first version."""
    return is_init(machine) and choices.cgroups == "1"


@dataclass(frozen=True, kw_only=True)
class _Bind:
    source: str
    path: str
    read_only: bool


@dataclass(frozen=True, kw_only=True)
class _Item:
    """What compose.yaml says of a machine, in addition to what the machine says itself."""

    machine: Machine
    image: Image
    aliases: tuple[str, ...]
    grace: int
    systemd: bool
    cgroup_v1: bool
    start_interval: bool
    patience: int
    mounts: tuple[_Bind, ...]
    copies: tuple[CopiedFolder, ...]
    elsewhere: bool
    volumes: Mapping[str, str]
    proxy: Mapping[str, str]
    variables: Mapping[str, str]
    told: tuple[str, ...]
    build_secrets: tuple[str, ...]
    certificate: str | None

    @classmethod
    def of(
        cls,
        environment: Environment,
        machine: Machine,
        image: Image,
        location: Path,
        choices: EngineChoices,
    ) -> _Item:
        systemd = is_init(machine)
        proxy = proxy_variables(machine, environment.names)
        binds = [(mount.source, mount.path, mount.read_only) for mount in machine.mounts]
        if machine.workspace:
            binds.insert(0, (machine.workspace.source, machine.workspace.path, False))
        if environment.is_elsewhere:
            binds = []
        return cls(
            machine=machine,
            image=image,
            aliases=tuple(name for name in machine.names if name != machine.name),
            grace=GRACE * max(len(start_stages(machine)), 1) + MORE,
            systemd=systemd,
            cgroup_v1=_cgroup_v1(machine, choices),
            start_interval=choices.start_interval,
            patience=int(max([*patience(machine).values(), 5])) + (600 if machine.setup else 0),
            mounts=tuple(
                _Bind(source=path_from(location, source, environment.project), path=path, read_only=read_only)
                for source, path, read_only in binds
            ),
            copies=copied_folders(environment, machine),
            elsewhere=environment.is_elsewhere,
            volumes={
                name: full.removeprefix(f"{environment.unique_name}_")
                for name, full in volume_names(environment, machine).items()
            },
            proxy=proxy,
            variables={**proxy, **trust_variables(machine), **_agent_socket(machine), **machine.env},
            told=_told(machine),
            build_secrets=tuple(dict.fromkeys(image.secrets)),
            certificate=certificate_name(environment, machine),
        )

    @property
    def copied(self) -> Mapping[str, CopiedFolder]:
        """The volumes with copies of this host's folders, by their names in compose.yaml."""
        return {each.volume.partition("_")[2]: each for each in self.copies}

    @property
    def published(self) -> tuple[Port, ...]:
        """The ports that the engine publishes: on another host each once, at a number that is free there."""
        if not self.elsewhere:
            return self.machine.ports
        return tuple({(port.guest, port.protocol): port for port in self.machine.ports}.values())

    def digest(self, environment: Environment, recipe: str) -> str:
        """The hash of all that is the machine's own; the label that carries it cannot be a part of it."""
        return digest_of({**self.image.files, **self.around(environment, recipe)})

    def outside(self, environment: Environment) -> str:
        """The hash of all that is the machine's own and not in its image."""
        unnamed = replace(self, image=replace(self.image, name=""))
        return digest_of(unnamed.around(environment, ""))

    def around(self, environment: Environment, recipe: str) -> Mapping[str, RenderedFile]:
        """What says how the container is created, without the label that carries the hash of it."""
        return {
            COMPOSE: _text(self.service(environment, recipe, "")),
            **_override(environment, self.machine.name),
            **_certificates(environment, self.machine.name),
        }

    def service(self, environment: Environment, recipe: str, digest: str) -> str:
        """A machine's service in compose.yaml."""
        return render(
            "docker/service.yaml.j2",
            {
                "environment": environment,
                "item": self,
                "machine": self.machine,
                "variable": partial(port_variable, environment, self.machine),
                "limits": machine_limits(self.machine),
                "shared_memory": shared_memory(self.machine),
                "recipe": recipe,
                "digest": digest,
            },
        )


def _told(machine: Machine) -> tuple[str, ...]:
    """The arguments of the entry point: the person's name for git, the spec's variables; as YAML."""
    identity = machine.workspace is not None and machine.workspace.identity
    words = (f"${{{IDENTITY}:-}}" if identity else "", *machine.env)
    return tuple(map(yaml_scalar, words)) if any(words) else ()


def _agent_socket(machine: Machine) -> Mapping[str, str]:
    forwards = machine.workspace is not None and machine.workspace.agent
    return {"SSH_AUTH_SOCK": lent.SOCKET} if forwards else {}


def certificate_name(environment: Environment, machine: Machine) -> str | None:
    """The secret that is the certificate of a machine's proxy: one for all, unless they differ."""
    known = {each.proxy.ca for each in environment.machines if each.proxy and each.proxy.ca}
    if machine.proxy is None or machine.proxy.ca is None:
        return None
    return CA if len(known) == 1 else f"{CA}.{machine.name}"


def _certificates(environment: Environment, only: str | None = None) -> Mapping[str, RenderedFile]:
    """The certificates of the machines' proxies, and nothing else from the files that contain them."""
    return {
        f"proxy/{name}": RenderedFile(content=machine.proxy.ca)
        for machine in environment.machines
        if only in (None, machine.name) and machine.proxy and machine.proxy.ca
        if (name := certificate_name(environment, machine))
    }


def secret_files(environment: Environment) -> Mapping[str, Path | None]:
    """The host's file of each secret in compose.yaml, by name; None if the secret comes from a variable."""
    return {secret.name: secret.file for machine in environment.machines for secret in machine.secrets}


def is_laid(file: Path | None, environment: Environment) -> bool:
    """Whether the engine can't open a secret's file: there is none, or a machine could replace it."""
    return file is None or replaced_through(file, environment.machines) is not None


def secret_variable(name: str) -> str:
    """The variable of compose.yaml that gives another file for a secret."""
    plain = re.sub(r"[^A-Z0-9]", "_", name.upper())
    unlike = "" if plain == name.upper() else f"_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"SECRET_{plain}{unlike}"


def _secret_sources(environment: Environment, location: Path) -> Mapping[str, str]:
    """The file of each secret, as YAML: the host's own, or one in the folder SECRETS, by its name."""

    def source(name: str, file: Path | None) -> str:
        path = None if file is None else path_from(location, file, environment.project)
        if path is not None and not is_laid(file, environment):
            return compose_scalar(path)
        if path is not None and _PLAIN.fullmatch(path):
            return yaml_scalar(f"${{{secret_variable(name)}:-{path}}}")
        return yaml_scalar(f"${{{SECRETS}:-./secrets}}/{name}")

    certificates = {
        name: yaml_scalar(f"./proxy/{name}")
        for machine in environment.machines
        if (name := certificate_name(environment, machine))
    }
    return certificates | {name: source(name, file) for name, file in secret_files(environment).items()}


def unset_variables(environment: Environment) -> Mapping[str, str]:
    """All variables that compose.yaml reads, emptied: the host may have variables of these names."""
    ports = [port_variable(environment, each, port) for each in environment.machines for port in each.ports]
    return dict.fromkeys(
        (SECRETS, IDENTITY, AGENT, *ports, *map(secret_variable, secret_files(environment))), ""
    )


def _override(environment: Environment, only: str | None = None) -> Mapping[str, RenderedFile]:
    """`backends.docker.compose` of each machine, which Compose itself merges into its service."""
    services = {
        machine.name: options_of(machine).compose
        for machine in environment.machines
        if options_of(machine).compose and only in (None, machine.name)
    }
    if not services:
        return {}
    return {OVERRIDE: _text(compose_document({"services": services}))}


def kept_ports(environment: Environment, chosen: Mapping[str, int]) -> Mapping[str, str]:
    """The variables of `.env` for host ports that differ from those in compose.yaml."""
    return {
        port_variable(environment, machine, port): str(chosen[key(machine.name, port)])
        for machine in environment.machines
        for port in machine.ports
        if port.host != chosen[key(machine.name, port)]
    }


def env_file(variables: Mapping[str, str]) -> str:
    """The text of `.env`, with values quoted so that nothing in them is expanded."""
    text = ""
    for name, value in variables.items():
        escaped = re.sub(r'(["\\$])', r"\\\1", value).replace("\n", "\\n").replace("\r", "\\r")
        text += f'{name}="{escaped}"\n'
    return text


def _text(text: str) -> RenderedFile:
    return RenderedFile(content=text.encode())
