"""The checks that a spec lists."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING, Literal

from provision.model import Check, Expected
from provision.spec.demands import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.model import CheckKind
    from provision.spec.fields import Fields
    from provision.spec.scope import Scope
    from provision.spec.tree import Node
    from provision.spec.users import KnownUsers

_OUTPUT = ("stdout", "stderr", "exit", "user")
FIELDS: dict[CheckKind, tuple[str, ...]] = {
    "package": ("version",),
    "file": ("content", "user", "group", "uid", "gid", "mode", "size", "sha256sum", "linked_to",
             "link", "is_file", "is_directory", "is_symlink", "is_executable", "is_socket", "is_pipe"),
    "user": ("uid", "gid", "group", "groups", "home", "shell", "gecos", "sudo"),
    "group": ("gid", "members"),
    "service": ("is_running", "is_enabled"),
    "port": ("address", "protocol"),
    "process": ("user", "args", "count"),
    "command": _OUTPUT,
    "script": _OUTPUT,
    "http": ("status", "body", "headers", "method"),
    "mount": ("filesystem", "device", "options"),
    "env": ("value",),
    "pytest": (),
}  # fmt: skip
# Other words for a field: those of `files`, `services` and `mounts`, and those of testinfra.
ALSO: dict[CheckKind, dict[str, str]] = {
    "file": {"owner": "user", "contains": "content", "dir": "is_directory", "directory": "is_directory",
             "symlink": "is_symlink", "executable": "is_executable", "socket": "is_socket",
             "pipe": "is_pipe"},
    "service": {"running": "is_running", "enabled": "is_enabled"},
    "command": {"exit_code": "exit", "rc": "exit"},
    "script": {"exit_code": "exit", "rc": "exit"},
    "http": {"status_code": "status"},
    "mount": {"fstype": "filesystem"},
}  # fmt: skip
# Words for being there at all: the contrary of `absent`.
THERE: dict[CheckKind, tuple[str, ...]] = {
    "package": ("installed", "is_installed"),
    "file": ("exists",),
    "user": ("exists",),
    "group": ("exists",),
    "port": ("listening", "is_listening"),
    "process": ("running", "is_running"),
    "mount": ("exists",),
}
_READ_ONLY = "read_only"  # of a mount, as `mounts` has it
_COMMON = ("name", "absent", "timeout", "from", "requires")
_CONTAINED = frozenset({"stdout", "stderr", "body", "content", "args", "headers"})
_EVERY = frozenset(FIELDS).union(*FIELDS.values(), *ALSO.values(), *THERE.values(), (_READ_ONLY,))
_HOW: tuple[Literal["contains", "equals", "matches", "lacks"], ...] = (
    "contains", "equals", "matches", "lacks",
)  # fmt: skip
_HEADLINE = 60


def read_checks(nodes: list[Node], users: KnownUsers, scope: Scope) -> tuple[Check, ...]:
    """The checks, in the order of the spec."""
    return tuple(
        check for node in nodes if (check := _check(node, users, scope)) is not None
    )  # fmt: skip


def _check(node: Node, users: KnownUsers, scope: Scope) -> Check | None:
    if not isinstance(node.value, dict):
        return None
    kind = _kind(node, scope)
    if kind is None:
        return None
    fields = scope.fields(node)
    subject, words, extra = _subject(kind, fields, node, scope)
    _refuse_strangers(kind, node, scope)
    claims = _claims(kind, fields, node, scope)
    if kind in ("command", "script", "process") and (user := fields.node("user")) is not None:
        users.refuse_unknown(str(user.value), user)
    return Check(
        kind=kind,
        subject=subject,
        name=fields.text("name") or _name(kind, fields, subject),
        fields=extra | claims,
        words=words,
        absent=fields.flag("absent") or _is_denied(kind, fields),
        timeout=fields.seconds("timeout", 0),
        from_host=fields.data("from") == "host",
        requires=tuple(text for text, _ in fields.texts("requires")),
        origin=node.origin,
    )


def _kind(node: Node, scope: Scope) -> CheckKind | None:
    """A check's kind: the key that is a kind and not a field of another kind."""
    assert isinstance(node.value, dict)  # noqa: S101 - its caller has looked
    kinds = [kind for kind in FIELDS if kind in node.value]
    if len(kinds) > 1:  # {file: /etc/x, user: dev} is a file that belongs to someone
        kinds = [
            kind for kind in kinds if not any(kind in FIELDS[other] for other in kinds if other != kind)
        ] or kinds
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        scope.problems.add(
            f"a check has one kind; this has {' and '.join(kinds)}", node, "make it two checks"
        )
    elif all(key in _COMMON or key in _EVERY for key in node.value):  # else a key is unknown
        scope.problems.add(f"a check needs one of {', '.join(FIELDS)}", node, "name what to check")
    return None


def keys_of(entries: Mapping[str, object]) -> tuple[str, tuple[str, ...]] | None:
    """The kind of a check and the keys that it takes; None where its kind is not clear."""
    kinds = [kind for kind in FIELDS if kind in entries]
    own = [kind for kind in kinds if not any(kind in FIELDS[other] for other in kinds if other != kind)]
    if len(own or kinds) != 1:
        return None
    kind = (own or kinds)[0]
    return kind, _known(kind)


def _known(kind: CheckKind) -> tuple[str, ...]:
    read_only = (_READ_ONLY,) if kind == "mount" else ()
    return (*FIELDS[kind], *ALSO.get(kind, ()), *THERE.get(kind, ()), *read_only, *_COMMON)


def _refuse_strangers(kind: CheckKind, node: Node, scope: Scope) -> None:
    assert isinstance(node.value, dict)  # noqa: S101 - its caller has looked
    known = _known(kind)
    for key, child in node.value.items():
        if key != kind and key not in known and key in _EVERY:
            scope.problems.add(
                f"a check of kind {kind} has no {key}", child.key_origin, f"it has {', '.join(known)}"
            )


def _claims(kind: CheckKind, fields: Fields, node: Node, scope: Scope) -> dict[str, object]:
    """The expected values, by testinfra's names whatever the spec's are."""
    claims: dict[str, object] = {}
    keys: dict[str, str] = {}
    words = {**{field: field for field in FIELDS[kind]}, **ALSO.get(kind, {})}
    for key, field in words.items():
        child = fields.node(key)
        if child is None:
            continue
        if field in keys:
            scope.problems.add(f"{key} and {keys[field]} mean the same", child.key_origin, "keep one of them")
        keys[field] = key
        claims[field] = _claim(field, child, scope)
    there = [word for word in ("absent", *THERE.get(kind, ())) if word in fields]
    for word in there[1:]:
        scope.problems.add(
            f"{word} and {there[0]} say the same", (fields.node(word) or node).key_origin, "keep one of them"
        )
    if kind == "mount" and _READ_ONLY in fields:
        claims["options"] = (*_options(claims), "ro" if fields.flag(_READ_ONLY) else "rw")
    return claims


def _options(claims: Mapping[str, object]) -> tuple[object, ...]:
    options = claims.get("options", ())
    return options if isinstance(options, tuple) else ()


def _is_denied(kind: CheckKind, fields: Fields) -> bool:
    """Whether it says that it is not there: `exists: false`, for example."""
    return any(word in fields and not fields.flag(word) for word in THERE.get(kind, ()))


def _subject(
    kind: CheckKind, fields: Fields, node: Node, scope: Scope
) -> tuple[str, tuple[str, ...], dict[str, object]]:
    """What is asked, the words of a command, and what the subject says besides its name."""
    value = fields.node(kind) or node
    if kind == "command":
        words = scope.variables.words(value)
        return shlex.join(words), words, {}
    if kind == "port":
        number, _, protocol = str(value.value).partition("/")
        valid = number.isascii() and number.isdigit() and 0 < int(number[:9]) < 65536
        if not valid and not scope.problems.at(value):
            scope.problems.add(f"the port {number} is out of range", value, "1 to 65535")
        return number, (), {"protocol": protocol} if protocol else {}
    if kind == "pytest":
        path = scope.host_path(value, "the test")
        if path is not None:
            demand = f"run {shown(os.path.relpath(path, scope.project))} with pytest on this host"
            scope.demands.offer("host-code", demand, node, "its checks are skipped")
        return str(path or value.value), (), {}
    if kind in ("file", "mount"):
        return scope.machine_path(fields.text(kind), value, "the path") or "/", (), {}
    return fields.text(kind), (), {}


def _name(kind: CheckKind, fields: Fields, subject: str) -> str:
    shown = fields.text("pytest") if kind == "pytest" else subject
    first = shown.strip().split("\n", 1)[0]
    if first != shown.strip() or len(first) > _HEADLINE:
        first = f"{first[:_HEADLINE]} …"
    return f"{kind} {first}"


def _claim(field: str, child: Node, scope: Scope) -> object:
    if field == "headers":
        headers = child.value if isinstance(child.value, dict) else {}
        return {name: _expected(field, value, scope) for name, value in headers.items()}
    if field in _CONTAINED or field == "value":
        return _expected(field, child, scope)
    data = child.plain_data()
    return tuple(data) if isinstance(data, list) else data


def _expected(key: str, node: Node, scope: Scope) -> Expected:
    if not isinstance(node.value, dict):
        text = node.value if isinstance(node.value, str) else node.text
        return Expected(how="contains" if key in _CONTAINED else "equals", text=text)
    fields = scope.fields(node)
    for how in _HOW:
        if (child := fields.node(how)) is not None:
            text = child.value if isinstance(child.value, str) else child.text
            if how == "matches":
                _refuse_bad_expression(text, child, scope)
            return Expected(how=how, text=text)
    return Expected(how="contains", text="")


def _refuse_bad_expression(text: str, node: Node, scope: Scope) -> None:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        scope.problems.add(
            f"{text} is not a regular expression: {error}",
            node,
            r"put \ before a character that is meant literally",
        )
