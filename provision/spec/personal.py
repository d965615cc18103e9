"""What the user's own configuration sets outside any spec: the limit of the caches, and other hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.registry import DEFAULT as ENGINE
from provision.spec.problems import Problems
from provision.spec.quantities import size
from provision.spec.source import read_tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from provision.spec.tree import Node

CACHE = "cache"
HOSTS = "hosts"
SCHEMES = ("ssh://", "tcp://", "unix://")
_HOSTS_EXAMPLE = "for example hosts: {big: {docker: ssh://me@big.example.org}}"
_EXAMPLE = "for example cache: {limit: 20GiB}"


def cache_limit(configuration: Path) -> int | None:
    """The bytes that all caches may take together; None where the file sets no limit.

    Raises:
        SpecError: what it says of the cache is wrong, each with its place.
    """
    problems = Problems()
    root = read_tree(configuration, str(configuration), problems)
    entry = root.value.get(CACHE) if root is not None and isinstance(root.value, dict) else None
    limit = read_cache(entry, problems) if entry is not None else None
    problems.raise_all()
    return limit


def read_cache(node: Node, problems: Problems) -> int | None:
    """The limit under the key `cache`; what is wrong with it goes to the problems."""
    if not isinstance(node.value, dict):
        problems.add("cache must be a map", node, _EXAMPLE)
        return None
    for key, child in node.value.items():
        if key != "limit":
            problems.add(f"cache has no key {key}", child.key_origin, f"known: limit; {_EXAMPLE}")
    limit = node.value.get("limit")
    if limit is None:
        return None
    found = size(limit.value) if isinstance(limit.value, str) else None
    if found is None:
        problems.add("the limit of the cache must be a size with a unit", limit, _EXAMPLE)
    return found


def engines(configuration: Path) -> Mapping[str, str]:
    """The address of the Docker engine of each host that the user has named.

    Raises:
        SpecError: what it says of them is wrong, each with its place.
    """
    problems = Problems()
    root = read_tree(configuration, str(configuration), problems)
    entry = root.value.get(HOSTS) if root is not None and isinstance(root.value, dict) else None
    found = read_hosts(entry, problems) if entry is not None else {}
    problems.raise_all()
    return found


def read_hosts(node: Node, problems: Problems) -> Mapping[str, str]:
    """The engines under the key `hosts`, by the host's name; what is wrong with them goes to the problems."""
    if not isinstance(node.value, dict):
        problems.add("hosts must be a map", node, _HOSTS_EXAMPLE)
        return {}
    found: dict[str, str] = {}
    for name, host in node.value.items():
        entries = host.value if isinstance(host.value, dict) else {}
        for key, child in entries.items():
            if key != ENGINE:
                problems.add(
                    f"the host {name} has no key {key}",
                    child.key_origin,
                    f"known: {ENGINE}; virtual machines are created on this host alone; {_HOSTS_EXAMPLE}",
                )
        address = entries.get(ENGINE)
        if address is None or not isinstance(address.value, str) or not address.value.startswith(SCHEMES):
            problems.add(f"the host {name} needs the address of its engine", address or host, _HOSTS_EXAMPLE)
        else:
            found[name] = address.value
    return found
