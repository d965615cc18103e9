"""Jinja, the filters that quote values, and the rendering itself: path → bytes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cache
from typing import TYPE_CHECKING

from provision import resources
from provision.confined import ConfinedFolder, is_confined
from provision.model import bracketed
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from jinja2 import Environment as Jinja

MANIFEST = ".rendered"
_NOT_TEXT = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")  # in YAML 1.1 or 1.2


@dataclass(frozen=True, kw_only=True)
class RenderedFile:
    """The bytes of one file, and whether it is executable."""

    content: bytes
    executable: bool = False


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """A folder that does not exist yet: relative path → file.

    `digest` covers all of it; `digests` gives for each machine the hash of what it is made
    anew for if it changes, `recipes` that of what it is built from. `made_of` has the files that
    a machine is built from, by their path in its own folder; `outside` is the hash of all else.
    """

    files: Mapping[str, RenderedFile]
    digest: str
    digests: Mapping[str, str]
    recipes: Mapping[str, str]
    made_of: Mapping[str, Mapping[str, RenderedFile]] = field(default_factory=dict)
    outside: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Make `folder` hold these files; what an earlier rendering left there goes.

        Files that the rendering never wrote (a `.env` of a person's own) stay. A file
        that is equal already is not touched. No link is followed out of the folder.
        """
        with ConfinedFolder(folder) as confined:
            former = (confined.read(MANIFEST) or b"").decode("utf-8", "replace").splitlines()
            for path in set(former) - set(self.files):
                if is_confined(path):
                    confined.remove(path)
            for path, file in self.files.items():
                confined.write(path, file.content, 0o755 if file.executable else 0o644)
            confined.write(MANIFEST, "".join(f"{path}\n" for path in self.files).encode(), 0o644)


def path_from(location: Path, source: Path, project: Path) -> str:
    """How a rendering at `location` names a path of the host.

    Relative where it lies in the project, so that the project may be moved as a whole; else absolute.
    """
    if not location.is_relative_to(project):
        return str(source)
    path = os.path.relpath(source, location)
    return path if path.startswith(".") else f"./{path}"


def digest_of(files: Mapping[str, RenderedFile]) -> str:
    """A hash of some rendered files, whatever their order."""
    total = hashlib.sha256()
    for path in sorted(files):
        file = files[path]
        total.update(f"{path}\0{int(file.executable)}\0{len(file.content)}\0".encode())
        total.update(file.content)
    return total.hexdigest()


def render(template: str, context: Mapping[str, object]) -> str:
    """The text of a template of `templates/`; an undefined name is an error."""
    return _jinja().get_template(template).render(context)


@cache
def _jinja() -> Jinja:
    from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined

    # Compiled templates are kept: that is a fifth of the time of a run that changes nothing.
    compiled = resources.cache() / "templates"
    try:
        compiled.mkdir(parents=True, exist_ok=True)
        bytecode = FileSystemBytecodeCache(str(compiled))
    except OSError:
        bytecode = None
    jinja = Environment(
        loader=FileSystemLoader(resources.folder("templates")),
        bytecode_cache=bytecode,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - these are scripts, not pages; each value is quoted by a filter
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    jinja.filters["sh"] = shlex.quote
    jinja.filters["words"] = shlex.join
    jinja.filters["bracketed"] = bracketed
    jinja.filters["name"] = yaml_name
    jinja.filters["yaml"] = yaml_scalar
    jinja.filters["compose"] = compose_scalar
    jinja.filters["ruby"] = ruby
    jinja.filters["comment"] = comment
    jinja.filters["gitconfig"] = gitconfig
    jinja.filters["identifier"] = identifier
    return jinja


def yaml_scalar(value: object) -> str:
    """A value as YAML of one line, every character of a string kept."""
    if not isinstance(value, str):
        return json.dumps(value)
    return _escaped(json.dumps(value, ensure_ascii=False))


def yaml_name(value: str) -> str:
    """A name as YAML: as it is, or in quotes where a parser would read something else than text."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", value) and value.lower() not in _NOT_TEXT
    return value if plain else yaml_scalar(value)


def compose_scalar(value: object) -> str:
    """A value for compose.yaml: as YAML, with Compose's own `$` kept from filling in anything."""
    return yaml_scalar(value.replace("$", "$$") if isinstance(value, str) else value)


def compose_document(value: object) -> str:
    """A whole document for Compose: as `compose_scalar`, for maps and lists too, formatted as JSON."""

    def literal(inner: object) -> object:
        if isinstance(inner, Mapping):
            return {key: literal(each) for key, each in inner.items()}
        if isinstance(inner, list | tuple):
            return [literal(each) for each in inner]
        return inner.replace("$", "$$") if isinstance(inner, str) else inner

    text = json.dumps(literal(value), indent=2, ensure_ascii=False)
    return "".join(f"{_escaped(line)}\n" for line in text.split("\n"))


def ruby(value: object) -> str:
    """A value as a literal of Ruby: a string stands in single quotes, where nothing is run."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nil"}[value]
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{ruby(key)} => {ruby(each)}" for key, each in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(ruby(each) for each in value)}]"
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def identifier(value: str) -> str:
    """Text as a name of letters, digits and `-`."""
    return re.sub(r"[^A-Za-z0-9]+", "-", value).strip("-")


def comment(value: str) -> str:
    """Text for the rest of a comment's line: one line, no control characters."""
    return "".join(c if c.isprintable() else " " for c in value)


def gitconfig(value: str) -> str:
    """A value for a configuration of git: in quotes, where it may hold any character."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _escaped(line: str) -> str:
    """JSON as YAML 1.2 of the same meaning: what may not stand in a line, by its number."""
    return "".join(c if _printable(c) else f"\\U{ord(c):08x}" for c in line)


def _printable(character: str) -> bool:
    """Whether YAML 1.2 lets the character stand in a double-quoted scalar as it is."""
    code = ord(character)
    return (
        0x20 <= code <= 0x7E
        or (0xA0 <= code <= 0xD7FF and code not in (0x2028, 0x2029))
        or (0xE000 <= code <= 0xFFFD and code != 0xFEFF)
        or code >= 0x10000
    )
