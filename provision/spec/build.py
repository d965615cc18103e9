"""Builds the Environment from a spec's tree, each section with its reader."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from provision.model import Environment, Machine, Mount, Requirement, Resources
from provision.spec.bases import read_base
from provision.spec.checks import read_checks
from provision.spec.files import read_files
from provision.spec.hosts import read_hosts, refuse_own_names
from provision.spec.neighbours import host_name, read_needs, refuse_clashes, refuse_replaceable
from provision.spec.owned_paths import refuse_owned
from provision.spec.packages import read_packages
from provision.spec.ports import read_ports
from provision.spec.privileges import ask_for_privileges
from provision.spec.proxy import read_proxy
from provision.spec.registry import read_registry
from provision.spec.repositories import read_repositories
from provision.spec.secrets import KnownSecrets
from provision.spec.services import read_machine_environment, read_services, read_steps
from provision.spec.sysctls import read_sysctls
from provision.spec.users import KnownUsers, read_groups, read_users
from provision.spec.volumes import read_volumes
from provision.spec.workspace import read_workspace

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from provision.model import Capability, File
    from provision.spec.fields import Fields
    from provision.spec.machines import Member
    from provision.spec.scope import Scope
    from provision.spec.tree import Node


def build(
    members: Sequence[Member],
    *,
    name: str,
    description: str,
    secrets: Mapping[str, Node],
    several: bool,
    spec: Path,
    layers: tuple[Path, ...],
    registry: Node | None,
    scope: Scope,
) -> Environment:
    """The environment.

    Args:
        members: its machines, each for one backend, layers and variables done.
        name: of the environment.
        description: what it is for.
        secrets: of all machines, of which each gets those that it names; a single one gets all.
        several: the spec names its machines; else it has one, named as it is.
        spec: its file.
        layers: the user's own files that were merged over it.
        registry: where it says that its images and disks are.
        scope: takes problems; if it has any, do not use the result.
    """
    neighbours = {
        member.name: {
            "name": member.name,
            "hostname": host_name(member, scope),
            "group": member.group,
            "index": member.index,
        }
        for member in members
    }
    machines = tuple(
        _machine(
            member,
            read_needs(member, members, scope) if several else (),
            secrets if several else None,
            name,
            neighbours,
            scope,
        )
        for member in members
    )
    if several:
        refuse_clashes(members, machines, scope.problems)
    refuse_own_names(machines, scope.problems)
    refuse_replaceable(machines, scope.problems)
    allowed = read_registry(registry, scope) if registry is not None else ""
    return Environment(
        name=name,
        description=description,
        spec=spec,
        project=scope.project,
        layers=layers,
        several=several,
        machines=machines,
        demands=scope.demands.found(),
        registry=allowed,
    )


def _machine(
    member: Member,
    needs: tuple[str, ...],
    declared: Mapping[str, Node] | None,
    environment: str,
    neighbours: Mapping[str, Mapping[str, object]],
    scope: Scope,
) -> Machine:
    scope = replace(scope, variables=member.variables)
    fields = scope.fields(member.root)
    base = read_base(fields, scope)
    repositories = read_repositories(fields.entries("repositories"), base, scope)
    packages = read_packages(fields, base, repositories, scope)
    known = KnownUsers(
        tuple(fields.entries("users")),
        tuple(package.name for package in packages),
        steps="run" in fields,
        scope=scope,
    )
    workspace, git_mounts = read_workspace(
        fields.node("workspace"), known, member.name, fields.entries("mounts"), scope
    )
    user, workdir = (workspace.user, workspace.path) if workspace else ("root", "/")
    env = read_machine_environment(fields.entries("env"), scope)
    hostname = host_name(member, scope)
    secrets = (
        KnownSecrets(fields.entries("secrets"), None, scope)
        if declared is None
        else KnownSecrets(declared, fields.items("secrets"), scope)
    )
    groups = read_groups(fields.entries("groups"), scope)
    volumes = read_volumes(fields, workspace, known, scope)
    services = read_services(fields.entries("services"), known, secrets, scope)
    context = {
        **scope.variables.context(),
        "env": SimpleNamespace(**{"name": environment, **env}),
        "machine": SimpleNamespace(
            name=member.name, group=member.group, index=member.index,
            hostname=hostname, base=base.name, user=user, workdir=workdir,
        ),
        "machines": neighbours,
    }  # fmt: skip
    machine = Machine(
        name=member.name,
        group=member.group,
        index=member.index,
        hostname=hostname,
        aliases=tuple(dict.fromkeys(alias for alias, _ in fields.texts("aliases"))),
        hosts=read_hosts(fields.entries("hosts"), scope),
        needs=needs,
        base=base,
        resources=_resources(fields.within("resources")),
        workspace=workspace,
        env=env,
        packages=packages,
        repositories=repositories,
        users=read_users(
            fields.entries("users"),
            groups,
            workspace.source if workspace else None,
            fields.within("workspace").node("source"),
            scope,
        ),
        groups=groups,
        files=read_files(fields.entries("files"), context, known, volumes, scope),
        run=read_steps(
            fields.items("run"), default_user="root", workdir="/", users=known, secrets=secrets, scope=scope
        ),
        services=services,
        setup=read_steps(
            fields.items("setup"),
            default_user=user,
            workdir=workdir,
            users=known,
            secrets=secrets,
            scope=scope,
        ),
        ports=read_ports(fields.items("ports"), scope),
        mounts=(*_mounts(fields, scope), *git_mounts),
        volumes=volumes,
        secrets=secrets.read(services, user, known),
        sysctls=read_sysctls(
            fields.entries("sysctls"), [name for name, _ in fields.texts("requires")], scope
        ),
        requires=tuple(
            Requirement(name=cast("Capability", name), origin=node.origin)
            for name, node in fields.texts("requires")
        ),
        proxy=read_proxy(fields.node("proxy"), scope),
        locale=fields.text("locale", "C.UTF-8"),
        timezone=fields.text("timezone", "UTC"),
        checks=read_checks(fields.items("checks"), known, scope),
        options=_options(member.options, scope),
    )
    ask_for_privileges(fields, member.options, member.group, scope)
    _refuse_overlaps(machine, scope)
    return machine


def _options(own: Node, scope: Scope) -> dict[str, object]:
    """The backend's own options; `shm_size` in bytes."""
    fields = scope.fields(own)
    options = {key: fields.data(key) for key in (own.value if isinstance(own.value, dict) else ())}
    if "shm_size" in options:
        options["shm_size"] = fields.size("shm_size")
    return options


def _resources(fields: Fields) -> Resources:
    return Resources(cpus=fields.number("cpus"), memory=fields.size("memory"), disk=fields.size("disk"))


def _mounts(fields: Fields, scope: Scope) -> tuple[Mount, ...]:
    mounts = []
    for key, node in fields.entries("mounts").items():
        inner = scope.fields(node)
        source_node = inner.node("source")
        path = scope.machine_path(key, node.key_origin, "the path")
        use = "the mount, read only" if inner.flag("read_only") else "the mount"
        source = scope.host_path(source_node, "the source", use) if source_node is not None else None
        if path is not None and source is not None:
            mounts.append(
                Mount(
                    path=path,
                    source=source,
                    read_only=inner.flag("read_only"),
                    origin=node.key_origin,
                )
            )
    return tuple(mounts)


def _refuse_overlaps(machine: Machine, scope: Scope) -> None:
    """Nothing is mounted twice at a path, over everything, or over what `files` creates."""
    taken: dict[str, str] = {}
    if machine.workspace is not None:
        taken[machine.workspace.path] = "the workspace"
        origin = machine.workspace.origin
        refuse_owned("the workspace", machine.workspace.path, origin, scope, mounted=True)
    places = [(f"the mount {mount.path}", mount.path, mount.origin) for mount in machine.mounts]
    places += [(f"the volume {volume.name}", volume.path, volume.origin) for volume in machine.volumes]
    for what, path, origin in places:
        if path == "/":
            scope.problems.add(f"{what} cannot be mounted over /", origin, "give it a folder")
        refuse_owned(what.partition(" /")[0], path, origin, scope, mounted=True)
        if path in taken:
            scope.problems.add(
                f"{what} and {taken[path]} are at the same path {path}",
                origin,
                "give one of them another path",
            )
        taken.setdefault(path, what)
    volumes = {volume.path for volume in machine.volumes}  # which take over what lies at their path
    for file in machine.files if taken else ():
        cover = _covering(file, taken)
        if cover is not None and cover not in volumes:
            scope.problems.add(
                f"{file.path} would be hidden by {taken[cover]} at {cover}",
                file.origin,
                "put it elsewhere, or into the folder on the host",
            )


def _covering(file: File, mounted: Collection[str]) -> str | None:
    """What covers a file's path: the innermost; None if that is a folder's own path."""
    parts = file.path.split("/")
    above = ("/".join(parts[:count]) for count in range(len(parts), 1, -1))
    cover = next((path for path in above if path in mounted), None)
    return None if cover == file.path and file.kind == "dir" else cover
