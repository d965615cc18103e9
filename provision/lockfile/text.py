"""Locks as text: NAME.lock.yaml beside the spec, one loader, one writer whose order never changes."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from provision import resources
from provision.confined import ConfinedFolder
from provision.errors import UsageError
from provision.hints import command
from provision.lockfile.model import BaseLock, Kernel, Lock, MachineLock
from provision.model import Origin
from provision.rendering import yaml_name, yaml_scalar
from provision.spec.problems import Problems
from provision.spec.source import read_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from jsonschema import Draft202012Validator

    from provision.spec.tree import Node

VERSION = 1
HEAD = f"""\
# Written by {command("lock")}; commit it, don't edit it.
# {command("up", "--frozen")} makes exactly this; {command("lock", "--upgrade")} takes newer versions.
"""


def schema() -> str:
    """The text of the published schema of locks."""
    return (resources.folder("schemas") / "lock.schema.json").read_text("utf-8")


def load(path: Path) -> Lock | None:
    """The lock in a file; None where there is none.

    Raises:
        SpecError: it is no lock: each problem with its place.
        UsageError: it is a link, or of another version of the format.
    """
    if path.is_symlink():
        raise UsageError(
            f"{path} is a link", hint="put the lock itself there: a repository could point anywhere"
        )
    if not path.exists():
        return None
    problems = Problems()
    root = read_tree(path, str(path), problems)
    problems.raise_all()
    data = root.plain_data() if root is not None else None
    version = data.get("version") if isinstance(data, dict) else None
    if isinstance(version, int) and version != VERSION:
        raise UsageError(
            f"{path} has version {version}, and this provision reads {VERSION}",
            hint=f"use the provision that wrote it, or remove it and lock again: {command('lock')}",
        )
    start = Origin(file=str(path), line=1, column=1)
    for error in _validator().iter_errors(data):
        problems.add(
            _message(error.message),
            start if root is None else _place(_node(root, error.absolute_path), error.instance),
            f"take the file as git has it, or remove it and write it again: {command('lock')}",
        )
    problems.raise_all()
    return _read(cast("dict[str, Any]", data))


def save(path: Path, lock: Lock) -> bool:
    """Write a lock, whole or not at all; False where the file is equal already.

    Raises:
        UsageError: it cannot be written.
    """
    content = text(lock).encode()
    try:
        with ConfinedFolder(path.absolute().parent) as folder:
            if folder.read(path.name) == content:
                return False
            folder.write(path.name, content, 0o644)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    return True


def text(lock: Lock) -> str:
    """A lock as YAML: one line for each package, all in order, so that a diff shows what changed."""
    return HEAD + "".join(f"{line}\n" for line in _lines(lock))


def _lines(lock: Lock) -> Iterator[str]:
    yield f"version: {VERSION}"
    yield f"provision: {yaml_scalar(lock.tool)}"
    yield f"spec: {yaml_scalar(lock.spec)}"
    yield from _map("machines", lock.machines, 0)
    for machine, bases in sorted(lock.machines.items()):
        yield f"  {_key(machine)}:"
        for base, found in sorted(bases.items()):
            yield f"    {_key(base)}:"
            yield from _list("asks", found.asks, 6)
            if found.repositories:
                yield from _list("repositories", found.repositories, 6)
            yield from _map("installed", found.installed, 6)
            for architecture, forms in sorted(found.installed.items()):
                yield f"        {_key(architecture)}:"
                for form, hashed in sorted(forms.items()):
                    yield f"          {_key(form)}: {yaml_scalar(hashed)}"
    yield from _map("bases", lock.bases, 0)
    for base, architectures in sorted(lock.bases.items()):
        yield f"  {_key(base)}:"
        for architecture, own in sorted(architectures.items()):
            yield f"    {_key(architecture)}:"
            yield from _base(own)


def _base(base: BaseLock) -> Iterator[str]:
    for name in ("image", "digest", "mirror", "made", "root", "date"):
        if value := getattr(base, name):
            yield f"      {name}: {yaml_scalar(value)}"
    if base.kernels:
        yield "      kernels:"
    for form, kernel in sorted(base.kernels.items()):
        yield f"        {_key(form)}:"
        yield f"          release: {yaml_scalar(kernel.release)}"
        yield f"          build: {yaml_scalar(kernel.build)}"
    yield from _map("packages", base.packages, 6)
    for name, version in sorted(base.packages.items()):
        if isinstance(version, str):
            yield f"        {_key(name)}: {yaml_scalar(version)}"
            continue
        yield f"        {_key(name)}:"
        for each, machines in sorted(version.items()):
            yield f"          {yaml_scalar(each)}: [{', '.join(map(_key, sorted(machines)))}]"


def _key(name: str) -> str:
    return yaml_name(name)


def _map(name: str, value: Mapping[str, object], indent: int) -> Iterator[str]:
    yield f"{' ' * indent}{name}:{'' if value else ' {}'}"


def _list(name: str, items: Iterable[str], indent: int) -> Iterator[str]:
    found = sorted(items)
    yield f"{' ' * indent}{name}:{'' if found else ' []'}"
    for item in found:
        yield f"{' ' * (indent + 2)}- {yaml_scalar(item)}"


def _read(data: Mapping[str, Any]) -> Lock:
    return Lock(
        tool=data["provision"],
        machines={
            machine: {
                base: MachineLock(
                    asks=tuple(found["asks"]),
                    repositories=tuple(found.get("repositories", ())),
                    installed=found["installed"],
                )
                for base, found in bases.items()
            }
            for machine, bases in data["machines"].items()
        },
        bases={
            base: {architecture: _read_base(own) for architecture, own in architectures.items()}
            for base, architectures in data["bases"].items()
        },
    )


def _read_base(own: Mapping[str, Any]) -> BaseLock:
    kernels = {form: Kernel(**kernel) for form, kernel in own.get("kernels", {}).items()}
    packages = {
        name: version
        if isinstance(version, str)
        else {each: tuple(machines) for each, machines in version.items()}
        for name, version in own["packages"].items()
    }
    plain = {name: own.get(name, "") for name in ("image", "digest", "mirror", "made", "root", "date")}
    return BaseLock(**plain, kernels=kernels, packages=packages)


@cache
def _validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema()))


def _message(said: str) -> str:
    return f"this is not what a lock has here: {said.splitlines()[0][:200]}"


def _place(node: Node, instance: object) -> Origin:
    """Where a problem is: of a key, at the key."""
    child = node.value.get(instance) if isinstance(node.value, dict) and isinstance(instance, str) else None
    return child.key_origin if child is not None else node.origin


def _node(root: Node, path: Iterable[str | int]) -> Node:
    """The deepest node on a path of jsonschema."""
    node = root
    for part in path:
        value = node.value
        if isinstance(value, dict) and part in value:
            node = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            node = value[part]
    return node
