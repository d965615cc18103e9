"""The users of a machine, and who may be named as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.model import User
from provision.spec.problems import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from provision.spec.scope import Scope
    from provision.spec.tree import Node

# Of every base, or of a package that is named otherwise than its user.
WELL_KNOWN = frozenset({
    "root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy",
    "www-data", "backup", "list", "irc", "nobody", "_apt", "nginx", "apache", "http", "redis",
    "valkey", "postgres", "mysql", "mongodb", "rabbitmq", "memcache", "memcached", "postfix",
    "dovecot", "vmail", "bind", "named", "ntp", "sshd", "messagebus", "git", "haproxy", "varnish",
    "vcache", "squid", "tomcat", "jenkins", "grafana", "prometheus", "caddy", "opendkim", "rspamd",
    "unbound", "operator", "halt", "shutdown", "ftp", "adm",
})  # fmt: skip


def read_users(
    nodes: Mapping[str, Node], workspace: Path | None, source: Node | None, scope: Scope
) -> tuple[User, ...]:
    """The users that the spec makes; `uid: host` is the owner of the workspace folder, named by `source`."""
    users = []
    for name, node in nodes.items():
        fields = scope.fields(node)
        uid: int | None
        if fields.data("uid") == "host":
            uid = _owner(workspace, source, fields.node("uid") or node, scope)
        else:
            uid = fields.whole("uid")
        users.append(
            User(
                name=name,
                uid=uid,
                gid=fields.whole("gid"),
                groups=tuple(group for group, _ in fields.texts("groups")),
                shell=_inside(fields.node("shell"), "shell", "/bin/sh", scope),
                home=_inside(fields.node("home"), "home", f"/home/{name}", scope),
                sudo=fields.flag("sudo"),
                origin=node.key_origin,
            )
        )
    _refuse_shared_ids(users, nodes, scope)
    return tuple(users)


def _owner(workspace: Path | None, source: Node | None, node: Node, scope: Scope) -> int | None:
    if workspace is None:
        if source is not None and scope.problems.at(source):
            return None  # what is wrong is said there
        scope.problems.add(
            "uid: host is the owner of the workspace folder, and there is no workspace",
            node,
            "give the workspace a source, or the user a number",
        )
        return None
    return workspace.stat().st_uid or None


def _inside(node: Node | None, what: str, default: str, scope: Scope) -> str:
    if node is None or not isinstance(node.value, str):
        return default
    return scope.machine_path(node.value, node, what) or default


def _refuse_shared_ids(users: list[User], nodes: Mapping[str, Node], scope: Scope) -> None:
    seen: dict[int, str] = {0: "root"}
    for user in users:
        if user.uid is None or user.name == "root":
            continue
        if user.uid in seen:
            scope.problems.add(
                f"{seen[user.uid]} and {user.name} have the same uid {user.uid}",
                scope.fields(nodes[user.name]).node("uid") or nodes[user.name],
                "give one of them another number",
            )
        seen.setdefault(user.uid, user.name)


class KnownUsers:
    """Who may be named as a user: those that the spec makes, and those that could be there.

    A package or a build step may bring a user that the spec does not know of. What looks
    like a slip of a declared name, or cannot come from anywhere, is a problem.

    Args:
        declared: of `users`.
        packages: names of the machine's packages.
        steps: it has build steps, which may make users.
    """

    def __init__(
        self, declared: tuple[str, ...], packages: tuple[str, ...], *, steps: bool, scope: Scope
    ) -> None:
        self._declared = declared
        self._packages = packages
        self._steps = steps
        self._scope = scope

    def refuse_unknown(self, name: str, node: Node) -> None:
        """Take a problem where nobody can be of that name."""
        if name in self._declared or name in WELL_KNOWN:
            return
        if any(name in package for package in self._packages):
            return
        close = nearest(name, self._declared)
        if close is None and (self._packages or self._steps):
            return
        hint = f"did you mean {close}?" if close else "make it in users"
        self._scope.problems.add(f"no user is called {name}", node, hint)
