"""The files of a machine: their content, read from the host or filled in."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from provision.files import NotReadable, note, read_regular, why
from provision.model import File, Origin
from provision.spec.owned_paths import refuse_owned
from provision.spec.paths import may_be_used, real_path
from provision.spec.problems import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provision.model import FileKind, Volume
    from provision.spec.fields import Fields
    from provision.spec.scope import Scope
    from provision.spec.tree import Node
    from provision.spec.users import KnownUsers

LARGEST = 64 * 1024 * 1024
MOST_FILES = 20_000
_JINJA = "a template is Jinja: {{ value }}, {% if condition %} … {% endif %}"
_TOO_LARGE = "keep large data outside the image: a mount, a volume, or a run step that fetches it"


def read_files(
    nodes: Mapping[str, Node],
    context: Mapping[str, object],
    users: KnownUsers,
    volumes: Sequence[Volume],
    scope: Scope,
) -> tuple[File, ...]:
    """The files of the spec, in its order.

    Args:
        nodes: by path inside.
        context: what templates see.
        users: who may own them.
        volumes: whose owner and mode a folder at their path has, unless it says otherwise.
        scope: takes problems and knows which folders may be read.
    """
    files: dict[str, File] = {}
    at = {volume.path: volume for volume in volumes}
    for key, node in nodes.items():
        path = scope.machine_path(key, node.key_origin, "the path")
        fields = scope.fields(node)
        if path is None:
            continue
        refuse_owned("a file", path, node.key_origin, scope)
        if path in files:
            scope.problems.add(
                f"{path} is declared twice, first in line {files[path].origin.line}",
                node.key_origin,
                "remove one of the two",
            )
        volume = at.get(path)
        owner = fields.text("owner") or (volume and volume.owner) or "root"
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
            mode=fields.mode("mode") or (0o755 if executable else volume.mode if volume else None),
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


def _read(path: Path, node: Node, scope: Scope) -> tuple[bytes, bool] | None:
    try:
        content, found = read_regular(path, largest=LARGEST, in_place=True)
        _refuse_crlf_interpreter(path, content, scope)
        return _affordable(content, node, scope), bool(found.st_mode & stat.S_IXUSR)
    except OSError as error:
        hint = _TOO_LARGE if isinstance(error, NotReadable) else "check its permissions"
        scope.problems.add(f"{path} cannot be read: {why(error)}", node, hint)
        return None


def _refuse_crlf_interpreter(path: Path, content: bytes, scope: Scope) -> None:
    """Take a problem where a script's first line ends with CRLF: no kernel finds that interpreter."""
    first, _, _ = content.partition(b"\n")
    if first.startswith(b"#!") and first.endswith(b"\r"):
        scope.problems.add(
            f"{path.name} cannot run: its first line begins with #! and ends with CRLF",
            Origin(file=str(path), line=1, column=len(first.decode("utf-8", "replace"))),
            f"save it with LF line ends: sed -i 's/\\r$//' {shlex.quote(str(path))}",
        )


def _affordable(content: bytes, node: Node, scope: Scope) -> bytes:
    """Bytes that a machine gets; none, and a problem, where all of them are too many together."""
    budget = scope.problems.budget
    budget.content -= len(content)
    if budget.content >= 0:
        return content
    scope.problems.add("the machines' files up to this one are too large together", node, _TOO_LARGE)
    return b""


def _tree(folder: Path, node: Node, scope: Scope) -> Iterator[tuple[PurePosixPath, bytes, bool]]:
    """Every file below a folder, by relative path in sorted order; links are followed."""
    total = 0
    for number, (path, real) in enumerate(_walk(folder, node, scope)):
        read = None if real.is_dir() else _read(real, node, scope)
        total += len(read[0]) if read else 0
        if total > LARGEST or number >= MOST_FILES:
            scope.problems.add(
                f"{folder} has more than {LARGEST // 1024**2} MiB or {MOST_FILES} files and folders",
                node,
                _TOO_LARGE,
            )
            return
        if read is not None:
            yield path, *read


def _walk(folder: Path, node: Node, scope: Scope) -> Iterator[tuple[PurePosixPath, Path]]:
    """What is below a folder, folders too: its relative path, and where it is without links.

    What was allowed is what is read: no link is followed a second time.
    """
    waiting: list[tuple[PurePosixPath, Path, tuple[str, ...]]] = [(PurePosixPath(), folder, (f"{folder}/",))]
    known: dict[Path, Path | None] = {}  # links may lead to one place by many ways
    while waiting:
        path, real, above = waiting.pop()
        if path.parts:
            yield path, real
        if not real.is_dir():
            continue
        try:
            note(real)
            names = sorted((entry.name for entry in real.iterdir()), reverse=True)
        except OSError as error:
            scope.problems.add(
                f"{folder / path} cannot be read: {os.strerror(error.errno or 0)}",
                node,
                "check its permissions",
            )
            continue
        for name in names:
            place, called = real / name, folder / path / name
            if place not in known:
                known[place] = _followed(place, called, node, scope)
            found = known[place]
            if found is None:
                continue
            if found != place and any(each.startswith(f"{found}/") for each in above):
                scope.problems.add(
                    f"{called} is a link to a folder that contains it", node, "remove the link"
                )
            else:
                waiting.append((path / name, found, (*above, f"{found}/")))


def _followed(place: Path, called: Path, node: Node, scope: Scope) -> Path | None:
    """Where an entry of a folder is without links; None is a problem already."""
    if not place.is_symlink():
        return place
    real = real_path(place)
    if not real.exists():
        scope.problems.add(f"{called} is a broken link", node, "remove the link")
        return None
    allowed = may_be_used(
        real, f"{called} is a link, and its target", node, "the source", scope.project,
        scope.demands, "copy what it leads to",
    )  # fmt: skip
    return real if allowed else None


def _template(path: Path, node: Node, context: Mapping[str, object], scope: Scope) -> bytes:
    read = _read(path, node, scope)
    if read is None:
        return b""
    try:
        text = read[0].decode()
    except UnicodeDecodeError:
        scope.problems.add(
            f"the template {node.value} is not UTF-8", node, "use `source` for a file that is not text"
        )
        return b""
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return read[0]
    from provision.spec import expressions

    try:
        filled = expressions.fill_template(text, context, scope.problems.budget).encode()
        return _affordable(filled, node, scope)
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
