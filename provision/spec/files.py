"""The files of a machine: their bytes, read from the host or filled in."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from provision.files import NotReadable, read_regular, why
from provision.model import File, Origin
from provision.spec.paths import may_be_used, real_path
from provision.spec.problems import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provision.model import FileKind
    from provision.spec.fields import Fields
    from provision.spec.scope import Scope
    from provision.spec.tree import Node
    from provision.spec.users import KnownUsers

LARGEST = 64 * 1024 * 1024
MOST_FILES = 20_000
_JINJA = "a template is Jinja: {{ value }}, {% if condition %} … {% endif %}"
_TOO_LARGE = "keep large data outside the image: a mount, a volume, or a run step that fetches it"


def read_files(
    nodes: Mapping[str, Node], context: Mapping[str, object], users: KnownUsers, scope: Scope
) -> tuple[File, ...]:
    """The files of the spec, in its order.

    Args:
        nodes: by path inside.
        context: what templates see.
        users: who may own them.
        scope: takes problems and knows which folders may be read.
    """
    files: dict[str, File] = {}
    for key, node in nodes.items():
        path = scope.machine_path(key, node.key_origin, "the path")
        fields = scope.fields(node)
        if path is None:
            continue
        if path in files:
            scope.problems.add(
                f"{path} is there twice, first in line {files[path].origin.line}",
                node.key_origin,
                "remove one of the two",
            )
        owner = fields.text("owner", "root")
        if (owner_node := fields.node("owner")) is not None:
            users.refuse_unknown(owner, owner_node)
        kind, content, tree, target, executable = _body(fields, context, scope)
        files[path] = File(
            path=path,
            kind=kind,
            content=content,
            tree=tree,
            target=target,
            owner=owner,
            group=fields.text("group") or None,
            mode=_mode(fields) or (0o755 if executable else None),
            origin=node.key_origin,
        )
    return tuple(files.values())


_Tree = tuple[tuple[PurePosixPath, bytes, bool], ...]


def _body(
    fields: Fields, context: Mapping[str, object], scope: Scope
) -> tuple[FileKind, bytes, _Tree, str, bool]:
    """Kind, content, tree, target of a link, and whether the source can be executed."""
    if "link" in fields:
        return "link", b"", (), fields.text("link"), False
    if "dir" in fields:
        return "dir", b"", (), "", False
    if "absent" in fields:
        return "absent", b"", (), "", False
    if (node := fields.node("template")) is not None:
        path = scope.host_path(node, "the template")
        return "content", _template(path, node, context, scope) if path else b"", (), "", False
    if (node := fields.node("source")) is not None:
        path = scope.host_path(node, "the source")
        if path is not None and path.is_dir():
            return "folder", b"", tuple(_tree(path, node, scope)), "", False
        content, executable = (_read(path, node, scope) if path else None) or (b"", False)
        return "content", content, (), "", executable
    return "content", fields.text("content").encode(), (), "", False


def _mode(fields: Fields) -> int | None:
    text = fields.data("mode")
    try:
        return int(text, 8) if isinstance(text, str) else None
    except ValueError:
        return None  # the schema has said so


def _read(path: Path, node: Node, scope: Scope) -> tuple[bytes, bool] | None:
    try:
        content, found = read_regular(real_path(path), largest=LARGEST, in_place=True)
        return content, bool(found.st_mode & stat.S_IXUSR)
    except OSError as error:
        hint = _TOO_LARGE if isinstance(error, NotReadable) else "check its permissions"
        scope.problems.add(f"{path} cannot be read: {why(error)}", node, hint)
        return None


def _tree(folder: Path, node: Node, scope: Scope) -> Iterator[tuple[PurePosixPath, bytes, bool]]:
    """Every file below a folder, by relative path in sorted order; links are followed."""
    total = 0
    for number, path in enumerate(_walk(folder, node, scope, above=(folder,))):
        read = _read(path, node, scope)
        if read is None:
            continue
        total += len(read[0])
        if total > LARGEST or number >= MOST_FILES:
            scope.problems.add(
                f"{folder} has more than {LARGEST // 1024**2} MiB or {MOST_FILES} files",
                node,
                _TOO_LARGE,
            )
            return
        yield PurePosixPath(path.relative_to(folder).as_posix()), *read


def _walk(folder: Path, node: Node, scope: Scope, above: tuple[Path, ...]) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        scope.problems.add(
            f"{folder} cannot be read: {os.strerror(error.errno or 0)}",
            node,
            "check its permissions",
        )
        return
    for path in entries:
        real = path
        if path.is_symlink():
            real = real_path(path)
            if not real.exists():
                scope.problems.add(f"{path} is a link to nothing", node, "remove the link")
                continue
            linked = may_be_used(
                real, f"{path} is a link, and what it leads to", node, "the source", scope.project,
                scope.demands, "copy what it leads to",
            )  # fmt: skip
            if not linked:
                continue
        if not real.is_dir():
            yield path
        elif any(folder.is_relative_to(real) for folder in above):
            scope.problems.add(f"{path} is a link to a folder around it", node, "remove the link")
        else:
            yield from _walk(path, node, scope, (*above, real))


def _template(path: Path, node: Node, context: Mapping[str, object], scope: Scope) -> bytes:
    read = _read(path, node, scope)
    if read is None:
        return b""
    try:
        text = read[0].decode()
    except UnicodeDecodeError:
        scope.problems.add(
            f"the template {node.value} is not UTF-8", node, "name a file of other bytes as source"
        )
        return b""
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return read[0]
    from provision.spec import expressions

    try:
        return expressions.fill_template(text, context, scope.problems.budget).encode()
    except expressions.SpentError:
        return b""
    except expressions.ExpressionError as error:
        file = os.path.normpath(Path(node.file).parent / str(node.value))
        scope.problems.add(
            str(error),
            Origin(file=file, line=error.line, column=1),
            did_you_mean(error.name, expressions.names(context)) if error.name else _JINJA,
        )
        return b""
