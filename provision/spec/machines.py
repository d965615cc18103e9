"""The machines of a spec: from the shared defaults to each machine's own keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.quick_dataclasses import dataclass
from provision.spec.layers import for_backend, removes, stack
from provision.spec.tree import Node
from provision.spec.variables import Variables, resolve_vars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from provision.model import Origin
    from provision.spec.layers import Reader
    from provision.spec.problems import Problems
    from provision.spec.reading import Reading
    from provision.spec.variables import Plain

# ParallelProgress `machines`, what is the default of each; and what could only be meant for one.
DEFAULTS = (
    "base", "resources", "env", "hosts", "packages", "users", "groups", "repositories", "proxy", "requires",
    "sysctls", "locale", "timezone", "backends",
)  # fmt: skip
PRIVATE = (
    "services", "ports", "checks", "volumes", "mounts", "hostname", "aliases", "needs", "setup",
    "run", "files", "workspace",
)  # fmt: skip
_OF_A_FILE = ("version", "name", "description")  # what a fragment says of itself
MOST = 99
_SPLIT = "make several environments of it"


@dataclass(frozen=True, kw_only=True)
class Layers:
    """What one of `machines` is made of: the fragments that it extends, and its own keys over them."""

    fragments: tuple[Node, ...]
    own: tuple[Node, ...]
    origin: Origin

    def vars(self) -> Mapping[str, Node]:
        """The variables that it brings."""
        return declared_vars((*self.fragments, *self.own))


@dataclass(frozen=True, kw_only=True)
class Member:
    """A machine's keys before it is built.

    Args:
        name: its own: with its number, if it has equals.
        group: the name in the spec, which its equals share.
        index: its number among them, from 1.
        root: its keys for one backend, filled in.
        options: what only that backend knows of.
        variables: what they were filled in with.
        origin: where it stands in the spec.
    """

    name: str
    group: str
    index: int
    root: Node
    options: Node
    variables: Variables
    origin: Origin


def declared_vars(documents: Iterable[Node]) -> Mapping[str, Node]:
    """The variables of some documents, each overriding those before it."""
    nothing = Node({}, "", 1, 1)
    parts: list[Node] = []
    for document in documents:
        section = _child(document, "vars")
        if document.replace or removes(section):
            parts = []
        if section is not None and isinstance(section.value, dict):
            parts.append(section)
    declared = stack([nothing, *parts]).value
    return declared if isinstance(declared, dict) else {}


def layers_of_machines(
    documents: Sequence[Node], reading: Callable[[], Reader], problems: Problems
) -> Mapping[str, Layers] | None:
    """The entries of `machines`, by name; None if there is no such key.

    Args:
        documents: of the spec, the lowest first; by the one rule of layers, a null takes a
            machine away and `!replace` all that was said of it before.
        reading: makes a reader of what a machine extends.
        problems: takes more machines than there may be.
    """
    found: dict[str, list[Node]] | None = None
    for document in documents:
        section = _child(document, "machines")
        if document.replace or (section is not None and section.value is None):
            found = None
        if section is None or section.value is None:
            continue
        if found is None or section.replace:
            found = {}
        for name, node in section.value.items() if isinstance(section.value, dict) else ():
            if node.value is None:
                found.pop(name, None)
            elif node.replace:
                found[name] = [node]
            else:
                found.setdefault(name, []).append(node)
    if found is None:
        return None
    if len(found) > MOST:
        node = next(iter(found.values()))[0]
        problems.add(f"the spec has {len(found)} machines; it may have {MOST}", node.key_origin, _SPLIT)
        found = {}
    return {name: _layers(nodes, reading()) for name, nodes in found.items()}


def _layers(nodes: Sequence[Node], reader: Reader) -> Layers:
    own = tuple(reader.extend(node) for node in nodes)
    fragments = tuple(
        fragment.with_value({k: v for k, v in fragment.value.items()
                             if k not in _OF_A_FILE and not k.startswith("x-")})
        if isinstance(fragment.value, dict) else fragment
        for fragment in reader.documents()
    )  # fmt: skip
    return Layers(fragments=fragments, own=own, origin=nodes[0].key_origin)


def members(
    reading: Reading,
    *,
    backend: str,
    options: Sequence[str],
    judge: Callable[[Node, str], None],
    problems: Problems,
) -> tuple[Member, ...]:
    """Every machine: each of `machines` as often as it counts, or the one that the whole spec is.

    Args:
        reading: the spec.
        backend: whose keys are merged over the rest.
        options: keys of `backends.<backend>` that are no keys of a machine.
        judge: told all that was said of a machine, filled in, and what to call it.
        problems: takes keys that cannot be the default of all.
    """
    if reading.machines is None:
        root, own = for_backend(reading.documents, backend, options)
        name = reading.variables.name
        return (
            Member(name=name, group=name, index=1, root=root, options=own,
                   variables=reading.variables, origin=root.origin),
        )  # fmt: skip
    for document in reading.documents:
        _refuse_private(document, problems)
    defaults = [_defaults(document) for document in reading.raw]
    return tuple(
        member
        for group, layers in reading.machines.items()
        for member in _group(group, layers, defaults, reading, backend, options, judge, problems)
    )


def _group(
    group: str,
    layers: Layers,
    defaults: Sequence[Node],
    reading: Reading,
    backend: str,
    options: Sequence[str],
    judge: Callable[[Node, str], None],
    problems: Problems,
) -> Iterator[Member]:
    """The equal machines that share a name."""
    documents = (*defaults, *layers.fragments, *layers.own)
    declared = declared_vars((*layers.fragments, *reading.raw, *layers.own))

    def facts(name: str, index: int) -> Variables:
        def seeing(values: Mapping[str, Plain]) -> Variables:
            return Variables(values, name=reading.variables.name, machine=name, index=index,
                             backend=backend, problems=problems)  # fmt: skip

        settings = {name: value for name, value in reading.settings.items() if name in declared}
        return seeing(
            resolve_vars(
                declared,
                settings=settings,
                host=reading.host,
                variables=seeing,
                demands=reading.demands,
                problems=problems,
            )
        )

    count = _count(documents, facts(group, 1))
    if not _affordable(documents, count or 1, layers.origin, problems):
        return
    for index in range(1, (count or 1) + 1):
        name = f"{group}-{index}" if count else group
        variables = facts(name, index)
        filled = tuple(variables.fill(document) for document in documents)
        judge(stack(filled), f"machine {group}")
        root, own = for_backend([_without(document, "vars") for document in filled], backend, options)
        yield Member(name=name, group=group, index=index, root=root, options=own,
                     variables=variables, origin=layers.origin)  # fmt: skip


def _affordable(documents: Sequence[Node], count: int, origin: Origin, problems: Problems) -> bool:
    """Whether so many machines of these documents may be written out; a problem where they may not."""
    budget = problems.budget
    budget.machines -= count
    budget.written_out -= count * sum(_size(document) for document in documents)
    if budget.machines < 0:
        problems.add(f"the spec has more than {MOST} machines", origin, _SPLIT)
    elif budget.written_out < 0:
        problems.add("the machines up to this one have too many values together", origin, _SPLIT)
    return budget.machines >= 0 and budget.written_out >= 0


def _size(node: Node) -> int:
    if isinstance(node.value, dict):
        return 1 + sum(map(_size, node.value.values()))
    return 1 + sum(map(_size, node.value)) if isinstance(node.value, list) else 1


def _count(documents: Sequence[Node], variables: Variables) -> int | None:
    """How many there are; None if there is no valid `count`, which the schema reports."""
    nodes = [node for document in documents if (node := _child(document, "count")) is not None]
    value = variables.fill(nodes[-1]).value if nodes else None
    good = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST
    return value if good and isinstance(value, int) else None


def _refuse_private(document: Node, problems: Problems) -> None:
    backends = _child(document, "backends")
    overlays = backends.value.values() if backends is not None and isinstance(backends.value, dict) else ()
    for part in (document, *overlays):
        for key in PRIVATE:
            node = _child(part, key)
            if node is not None and node.value is not None:
                problems.add(
                    f"{key} cannot be the default of all machines",
                    node.key_origin,
                    "move it into the machine that it is for",
                )


def _defaults(document: Node) -> Node:
    """What a document says about every machine; for secrets only where they come from."""
    entries = document.value.items() if isinstance(document.value, dict) else ()
    defaults = {key: child for key, child in entries if key in DEFAULTS}
    backends = defaults.get("backends")
    if backends is not None and isinstance(backends.value, dict):
        overlays = {name: _without(child, "secrets") for name, child in backends.value.items()}
        defaults["backends"] = backends.with_value(overlays)
    return document.with_value(defaults)


def _without(document: Node, key: str) -> Node:
    if not isinstance(document.value, dict):
        return document
    return document.with_value({k: v for k, v in document.value.items() if k != key})


def _child(node: Node, key: str) -> Node | None:
    return node.value.get(key) if isinstance(node.value, dict) else None
