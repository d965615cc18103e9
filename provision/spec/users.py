"""The users of a machine, and who can be named as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.model import Group, User
from provision.spec.problems import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from provision.spec.fields import Fields
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


def read_groups(nodes: Mapping[str, Node], scope: Scope) -> tuple[Group, ...]:
    """The groups that the spec declares."""
    groups: dict[str, Group] = {}
    numbers: dict[int, str] = {0: "root"}
    for name, node in nodes.items():
        fields = scope.fields(node)
        gid = fields.whole("gid")
        if gid is not None and name != "root":
            if gid in numbers:
                scope.problems.add(
                    f"the groups {numbers[gid]} and {name} have the same gid {gid}",
                    fields.node("gid") or node,
                    "give one of them another number",
                )
            numbers.setdefault(gid, name)
        groups[name] = Group(name=name, gid=gid, system=fields.flag("system"), origin=node.key_origin)
    return tuple(groups.values())


def read_users(
    nodes: Mapping[str, Node],
    groups: Sequence[Group],
    workspace: Path | None,
    source: Node | None,
    scope: Scope,
) -> tuple[User, ...]:
    """The users that the spec creates or changes.

    Args:
        nodes: by name.
        groups: that it declares.
        workspace: the folder whose owner and group `host` means.
        source: the node that names it.
        scope: takes problems.
    """
    users = []
    for name, node in nodes.items():
        fields = scope.fields(node)
        users.append(
            User(
                name=name,
                uid=_number("uid", fields, workspace, source, scope),
                gid=_number("gid", fields, workspace, source, scope),
                groups=tuple(dict.fromkeys(group for group, _ in fields.texts("groups"))),
                shell=_inside(fields.node("shell"), "shell", scope),
                home=_inside(fields.node("home"), "home", scope),
                sudo=fields.flag("sudo"),
                origin=node.key_origin,
            )
        )
    _refuse_shared_uids(users, nodes, scope)
    _refuse_shared_gids(users, groups, nodes, scope)
    return tuple(users)


def _number(
    key: str, fields: Fields, workspace: Path | None, source: Node | None, scope: Scope
) -> int | None:
    """A uid or gid; `host` is the workspace folder's, any free one where that is root's."""
    node = fields.node(key)
    if node is None or node.value != "host":
        return fields.whole(key)
    if workspace is not None:
        status = workspace.stat()
        return (status.st_uid if key == "uid" else status.st_gid) or None
    if source is None or not scope.problems.at(source):  # else what is wrong is said there
        scope.problems.add(
            f"{key}: host is the {'owner' if key == 'uid' else 'group'} of the workspace folder,"
            " and there is no workspace",
            node,
            "give the workspace a source, or the user a number",
        )
    return None


def _inside(node: Node | None, what: str, scope: Scope) -> str | None:
    if node is None or not isinstance(node.value, str):
        return None
    return scope.machine_path(node.value, node, what)


def _refuse_shared_uids(users: list[User], nodes: Mapping[str, Node], scope: Scope) -> None:
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


def _refuse_shared_gids(
    users: Sequence[User], groups: Sequence[Group], nodes: Mapping[str, Node], scope: Scope
) -> None:
    """A user's own group has the user's id, which no other group may have then."""
    declared = {group.name for group in groups if group.gid is not None}
    numbers = {group.gid: group.name for group in reversed(groups) if group.gid is not None}
    for user in users:
        if user.uid is None or user.gid is not None or user.name in declared or user.name == "root":
            continue
        if user.uid in numbers:
            scope.problems.add(
                f"the group {numbers[user.uid]} and {user.name}'s own group have the same gid {user.uid}",
                scope.fields(nodes[user.name]).node("uid") or nodes[user.name],
                f"give the group another number, or make it the user's: `gid: {user.uid}`",
            )


class KnownUsers:
    """Who can be named as a user: those that the spec creates, and those that could exist.

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
        """Add a problem if no user can have that name."""
        if name in self._declared or name in WELL_KNOWN:
            return
        if any(name in package for package in self._packages):
            return
        close = nearest(name, self._declared)
        if close is None and (self._packages or self._steps):
            return
        hint = f"did you mean {close}?" if close else "declare it in users"
        self._scope.problems.add(f"no user is called {name}", node, hint)
