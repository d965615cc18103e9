"""Reads the files of a spec and fills in variables, before anything is checked or built."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from provision import registry
from provision.errors import UsageError
from provision.files import note
from provision.model import Origin
from provision.quick_dataclasses import dataclass
from provision.spec.demands import Demands, nothing, shown
from provision.spec.layers import Reader, stack
from provision.spec.machines import declared_vars, layers_of_machines
from provision.spec.parts import part_folders
from provision.spec.paths import may_be_used, project_folder, real_path
from provision.spec.personal import CACHE, HOSTS, read_cache, read_hosts
from provision.spec.problems import Problems
from provision.spec.variables import Variables, refuse_unknown_settings, resolve_vars

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.spec.demands import Allows
    from provision.spec.machines import Layers
    from provision.spec.tree import Node
    from provision.spec.variables import Plain

PERSONAL = ("backends", "proxy")
NAMES = "lower case letters, digits and -, a letter first, at most 41"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A spec as it was read.

    Args:
        raw: what it extends, itself, NAME.local.yaml; the lowest first.
        documents: the same, filled in.
        machines: the layers of each of `machines`, by its name; None where the spec has none.
        laid_over: the person's own files among them.
        variables: what they were filled in with.
        settings: `--set`.
        host: the host's variables.
        project: the folder that nothing may leave without the person's word.
        demands: what needs it.
    """

    raw: tuple[Node, ...]
    documents: tuple[Node, ...]
    machines: Mapping[str, Layers] | None
    laid_over: tuple[Path, ...]
    variables: Variables
    settings: Mapping[str, str]
    host: Mapping[str, str]
    project: Path
    demands: Demands


def read(
    path: Path,
    *,
    backend: str,
    settings: Mapping[str, str],
    name: str | None,
    local: bool,
    host: Mapping[str, str],
    allows: Allows,
    problems: Problems,
) -> Reading:
    """Read a spec and all that belongs to it; the arguments are those of `load`.

    Raises:
        SpecError: a file cannot be read, or is no map: there is nothing to go on with.
        UsageError: there is no such file, or a setting names no variable.
    """
    if not os.path.lexists(path):
        raise UsageError(f"there is no spec {path}", hint="name a YAML file")
    if name is not None and not is_name(name):
        raise UsageError(
            f"{name} is not a valid environment name",
            hint=NAMES,
        )
    project = project_folder(path)
    demands = Demands(allows, problems)
    folders = part_folders(path.parent, host)

    def reading() -> Reader:
        return Reader(project, folders, demands=demands, problems=problems)

    reader = reading()
    personal = configuration(host) if local else None
    if personal is not None:
        demands.except_from(personal)
        reader.read(personal)
        if (cache := reader.take(CACHE)) is not None:
            read_cache(cache, problems)
        if (hosts := reader.take(HOSTS)) is not None:
            read_hosts(hosts, problems)
        _refuse_all_but(PERSONAL, reader.documents(), problems)
    reader.read(path)
    note(path.parent / f"{path.stem}.local{path.suffix}")
    own = local_layer(path) if local else None
    laid_over = (own,) if own is not None else ()
    for layer in laid_over:
        start = Origin(file=str(layer), line=1, column=1)
        if may_be_used(real_path(layer), str(layer), start, "the spec", project, demands):
            reader.read(layer)
    raw = reader.documents()
    for document in raw:
        if not isinstance(document.value, dict):
            kind = "a list" if isinstance(document.value, list) else "a value"
            problems.add(f"a spec must be a map, this is {kind}", document, "begin with version: 1")
    if not raw or not all(isinstance(document.value, dict) for document in raw):
        problems.raise_all()
    machines = layers_of_machines(raw, reading, problems)
    variables = _variables(raw, machines or {}, backend, settings, name, host, demands, problems)
    return Reading(
        raw=raw,
        documents=tuple(variables.fill(document) for document in raw),
        machines=machines,
        laid_over=laid_over,
        variables=variables,
        settings=settings,
        host=host,
        project=project,
        demands=demands,
    )


def local_layer(path: Path) -> Path | None:
    """The user's own layer of a spec, NAME.local.yaml next to it, if it exists."""
    own = path.parent / f"{path.stem}.local{path.suffix}"
    return own if os.path.lexists(own) else None


def configuration(host: Mapping[str, str]) -> Path | None:
    """The user's own configuration, the lowest layer of every spec, if it exists."""
    folder = host.get("XDG_CONFIG_HOME") or (f"{host['HOME']}/.config" if host.get("HOME") else "")
    path = Path(folder) / "provision" / "config.yaml"
    return path if folder and path.is_file() else None


def _refuse_all_but(known: tuple[str, ...], documents: tuple[Node, ...], problems: Problems) -> None:
    for document in documents:
        for key, child in document.value.items() if isinstance(document.value, dict) else ():
            if key not in known:
                problems.add(
                    f"{key} is not allowed in your own configuration",
                    child.key_origin,
                    f"known: {', '.join((*known, CACHE, HOSTS))};"
                    " anything else goes in NAME.local.yaml beside the spec",
                )


def peek(
    path: Path,
    *,
    backend: str = registry.DEFAULT,
    settings: Mapping[str, str] | None = None,
    host: Mapping[str, str] | None = None,
    local: bool = True,
    allows: Allows = nothing,
) -> str:
    """The name of a spec's environment, without checking or building the rest.

    Raises:
        SpecError: it cannot be read, or has no name.
        UsageError: there is no such file, or a setting names no variable.
    """
    problems = Problems()
    reading = read(
        path, backend=backend, settings=settings or {}, name=None, local=local,
        host=os.environ if host is None else host, allows=allows, problems=problems,
    )  # fmt: skip
    if not reading.variables.name:
        problems.add("the spec has no name", Origin(file=str(path), line=1, column=1), "add the key name")
        problems.raise_all()
    if not is_name(reading.variables.name):
        place = next(found for document in reversed(reading.raw) if (found := _name_of(document)))
        called = reading.variables.name
        problems.add(f"{shown(called)} is not a valid environment name", place, NAMES)
        problems.raise_all()
    return reading.variables.name


def is_name(text: str) -> bool:
    """Whether a name is valid for an environment: folders and engine objects are named after it."""
    return _NAME.fullmatch(text) is not None


def _name_of(document: Node) -> Node | None:
    return document.value.get("name") if isinstance(document.value, dict) else None


def find_spec(start: Path) -> Path:
    """A folder's default spec: `provision.yaml`, else the only file in `envs/`.

    Raises:
        UsageError: there is none, or more than one.
    """
    default = start / "provision.yaml"
    if default.is_file():
        return default
    folder = start / "envs"
    candidates = [
        path
        for path in (sorted(folder.glob("*.yaml")) if folder.is_dir() else ())
        if not path.name.endswith((".local.yaml", ".lock.yaml"))
    ]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise UsageError(
            "there is no provision.yaml, and more than one spec in envs/",
            evidence=[str(path) for path in candidates],
            hint="name one of them",
        )
    raise UsageError(
        "there is no spec here",
        evidence=[f"looked for {default}", f"looked for {folder}/*.yaml"],
        hint="name a spec, or write a provision.yaml",
    )


def _variables(
    documents: tuple[Node, ...], machines: Mapping[str, Layers], backend: str,
    settings: Mapping[str, str], name: str | None, host: Mapping[str, str], demands: Demands,
    problems: Problems,
) -> Variables:  # fmt: skip
    root = stack(documents).value
    assert isinstance(root, dict)  # noqa: S101 - its caller has looked
    declared = declared_vars(documents)
    refuse_unknown_settings(settings, {*declared, *(each for m in machines.values() for each in m.vars())})

    def seeing(values: Mapping[str, Plain], called: str = "") -> Variables:
        return Variables(values, name=called, backend=backend, problems=problems)

    values = resolve_vars(
        declared, settings=settings, host=host, variables=seeing, demands=demands, problems=problems
    )
    found = seeing(values).fill(root["name"]).value if "name" in root else ""
    return seeing(values, name or (found if isinstance(found, str) else ""))
