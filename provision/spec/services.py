"""The services and steps of a machine: what runs inside, and as which user."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from provision.model import DEFAULT_PATH, RESERVED, UNLIMITED, Probe, Script, Service
from provision.spec.needs import refuse_circle, refuse_unknown_needs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Literal

    from provision.spec.fields import Fields
    from provision.spec.scope import Scope
    from provision.spec.secrets import KnownSecrets
    from provision.spec.tree import Node
    from provision.spec.users import KnownUsers

TIMEOUT = 60.0
OWN_VARIABLES = ("LOGNAME", "USER")  # of the user that runs something inside


def read_environment(nodes: Mapping[str, Node]) -> dict[str, str]:
    """Variables as strings; whole numbers are taken as written."""
    return {
        name: node.value if isinstance(node.value, str) else node.text
        for name, node in nodes.items()
        if isinstance(node.value, str | int)
    }


def read_machine_environment(nodes: Mapping[str, Node], scope: Scope) -> dict[str, str]:
    """The variables of a machine; a problem for those that would keep it from starting, or that it sets."""
    found = read_environment(nodes)
    for name in OWN_VARIABLES:
        if name in nodes:
            scope.problems.add(
                f"{name} is set for each user who runs something inside",
                nodes[name].key_origin,
                f"use another variable, or give {name} to one service in its own env",
            )
    path = found.get("PATH", DEFAULT_PATH)
    if "$" in path:
        scope.problems.add(
            "PATH would contain a dollar sign: variables in env are not expanded",
            nodes["PATH"],
            f"write it out: {path.replace('${PATH}', DEFAULT_PATH).replace('$PATH', DEFAULT_PATH)}",
        )
    elif not {"/usr/bin", "/bin"} & set(path.split(":")):
        scope.problems.add(
            "PATH contains no folder with the distribution's programs: the machine would not start",
            nodes["PATH"],
            f"for example {path}:{DEFAULT_PATH}",
        )
    return found


def read_services(
    nodes: Mapping[str, Node], users: KnownUsers, secrets: KnownSecrets, scope: Scope
) -> tuple[Service, ...]:
    """The services, in the order of the spec."""
    for name in RESERVED:
        if name in nodes:
            scope.problems.add(
                f"a service cannot be called {name}: provision uses this name in logs and errors",
                nodes[name].key_origin,
                f"give it another name, like {name}-app",
            )
    services = tuple(_service(name, node, users, secrets, scope) for name, node in nodes.items())
    for name, node in nodes.items():
        refuse_unknown_needs(name, scope.fields(node).texts("needs"), nodes, "service", scope.problems)
    needs = {service.name: service.needs for service in services}
    refuse_circle(needs, {each.name: each.origin for each in services}, "service", scope.problems)
    return services


def _service(name: str, node: Node, users: KnownUsers, secrets: KnownSecrets, scope: Scope) -> Service:
    fields = scope.fields(node)
    command = fields.node("command")
    oneshot = fields.flag("oneshot")
    restart = fields.text("restart", "never" if oneshot else "always")
    for key in ("restart", "ready") if oneshot else ():
        if key in fields:
            scope.problems.add(
                f"a oneshot service has no {key}: it runs once, and is ready when it has exited with code 0",
                fields.node(key) or node,
                f"leave out {key}, or oneshot",
            )
    ready = fields.node("ready")
    user = user_of(fields, "root", users)
    return Service(
        name=name,
        words=scope.variables.words(command) if command is not None else (),
        script=fields.text("script") if "script" in fields else None,
        user=user,
        workdir=path_of(fields, "workdir", "", scope) or ("/" if user == "root" else None),
        env=read_environment(fields.entries("env")),
        secret_env=secrets.variables(fields.entries("env")),
        restart=cast("Literal['always', 'on-failure', 'never']", restart),
        oneshot=oneshot,
        needs=tuple(dict.fromkeys(need for need, _ in fields.texts("needs"))),
        runtime_dirs=_runtime_dirs(fields, scope),
        limits=_limits(fields.within("limits"), fields.entries("limits")),
        ready=None if ready is None else _probe(ready, scope),
        origin=node.key_origin,
    )


def _limits(fields: Fields, names: Iterable[str]) -> dict[str, int]:
    limits = {name: UNLIMITED if fields.data(name) == "unlimited" else fields.whole(name) for name in names}
    return {name: value for name, value in limits.items() if value is not None}


def user_of(fields: Fields, default: str, users: KnownUsers) -> str:
    """The field `user`, which must be a user who can exist."""
    node = fields.node("user")
    if node is None or not isinstance(node.value, str):
        return default
    users.refuse_unknown(node.value, node)
    return node.value


def path_of(fields: Fields, key: str, default: str, scope: Scope) -> str:
    """A field that is a path inside the machine."""
    node = fields.node(key)
    if node is None or not isinstance(node.value, str):
        return default
    return scope.machine_path(node.value, node, key) or default


def _runtime_dirs(fields: Fields, scope: Scope) -> tuple[str, ...]:
    folders = []
    for text, node in fields.texts("runtime_dirs"):
        path = scope.machine_path(text if text.startswith("/") else f"/run/{text}", node, "the folder")
        if path is not None and not path.startswith(("/run/", "/tmp/", "/var/run/")):  # noqa: S108 - the guest's
            scope.problems.add(
                f"{path} is neither in /run nor in /tmp",
                node,
                "only these are fresh at every start; make other folders in files",
            )
        elif path is not None:
            folders.append(path)
    return tuple(dict.fromkeys(folders))


def _probe(node: Node, scope: Scope) -> Probe | None:
    fields = scope.fields(node)
    interval = fields.seconds("interval", 1.0) if "interval" in fields else None
    timeout = fields.seconds("timeout", TIMEOUT)
    if interval is not None and interval <= 0:
        scope.problems.add("interval must be more than 0", fields.node("interval") or node, "for example 1s")
    if (url := fields.node("http")) is not None:
        _refuse_bad_url(url, scope)
        return Probe(kind="http", subject=fields.text("http"), interval=interval, timeout=timeout)
    if (tcp := fields.node("tcp")) is not None:
        subject = _address(tcp, scope)
        return Probe(kind="tcp", subject=subject, interval=interval, timeout=timeout)
    if (command := fields.node("command")) is not None:
        words = scope.variables.words(command)
        return Probe(
            kind="command",
            subject=shlex.join(words),
            words=words,
            interval=interval,
            timeout=timeout,
        )
    if "script" in fields:
        return Probe(kind="script", subject=fields.text("script"), interval=interval, timeout=timeout)
    return None


def _refuse_bad_url(node: Node, scope: Scope) -> None:
    try:
        parts = urlsplit(str(node.value))
        good = bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good and not scope.problems.at(node):
        scope.problems.add(f"{node.value} has no host and port", node, "for example http://localhost:8080/")


def _address(node: Node, scope: Scope) -> str:
    host, _, port = str(node.value).rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        if not scope.problems.at(node):
            scope.problems.add(
                f"tcp must be a port from 1 to 65535; this is {port}", node, "for example 6379"
            )
        return "localhost:1"
    return f"{host or 'localhost'}:{int(port)}"


def read_steps(
    nodes: list[Node], *, default_user: str, workdir: str, users: KnownUsers, secrets: KnownSecrets,
    scope: Scope,
) -> tuple[Script, ...]:  # fmt: skip
    """The steps of `run` or `setup`; one without a name is called by its number."""
    steps: dict[str, Script] = {}
    for number, node in enumerate(nodes, 1):
        fields = scope.fields(node)
        alone = isinstance(node.value, str)
        name = fields.text("name") or f"step-{number}"
        if name in steps:
            scope.problems.add(
                f"two steps are called {name}, the first in line {steps[name].origin.line}",
                fields.node("name") or node,
                "give one of them another name",
            )
        secret_env = secrets.variables(fields.entries("env"))
        named = secrets.named(fields.items("secrets"))
        steps[name] = Script(
            name=name,
            script=str(node.value) if alone else fields.text("script"),
            user=user_of(fields, default_user, users),
            workdir=path_of(fields, "workdir", workdir, scope),
            env=read_environment(fields.entries("env")),
            secret_env=secret_env,
            secrets=tuple(dict.fromkeys((*named, *secret_env.values()))),
            before_packages=fields.data("before") == "packages",
            every="up" if fields.data("every") == "up" else "create",
            origin=node.origin,
        )
    return tuple(steps.values())
