"""What the user's own configuration sets outside any spec: caches' limit, registry, other hosts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from provision.oci.reference import EXAMPLE, parse
from provision.quick_dataclasses import dataclass
from provision.registry import HOST_SCHEMES
from provision.spec.problems import Problems
from provision.spec.quantities import size
from provision.spec.source import read_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provision.spec.tree import Node

CACHE = "cache"
REGISTRY = "registry"
HOSTS = "hosts"
Hosts: TypeAlias = "Mapping[str, Mapping[str, str]]"  # addresses by the host's name and the backend's
_HOSTS_EXAMPLE = "for example hosts: {big: {docker: ssh://me@big.example.org, vm: ssh://me@big.example.org}}"
_EXAMPLE = "for example cache: {limit: 20GiB}"
_A_REGISTRY = f"for example registry: {EXAMPLE}"
_KEYS = ("repository", "ca", "verify", "sign", "memory")


@dataclass(frozen=True, kw_only=True)
class RegistrySettings:
    """What the user's configuration says of registries.

    Args:
        repository: where images and disks are looked for; empty: nowhere but where a spec says.
        ca: the certificate of the CA of a registry's own.
        verify: the public key, by which all that is pulled must be signed.
        sign: the private key that signs what is pushed.
        memory: whether `up` takes saved states of machines, too.
    """

    repository: str = ""
    ca: Path | None = None
    verify: str = ""
    sign: str = ""
    memory: bool = False


def cache_limit(configuration: Path) -> int | None:
    """The bytes that all caches may take together; None where the file sets no limit.

    Raises:
        SpecError: what it says of the cache is wrong, each with its place.
    """
    problems = Problems()
    entry = _entry(configuration, CACHE, problems)
    limit = read_cache(entry, problems) if entry is not None else None
    problems.raise_all()
    return limit


def registry_settings(configuration: Path) -> RegistrySettings:
    """What the file says of registries; relative paths are those beside it.

    Raises:
        SpecError: what it says of them is wrong, each with its place.
    """
    problems = Problems()
    entry = _entry(configuration, REGISTRY, problems)
    settings = read_registry(entry, problems) if entry is not None else RegistrySettings()
    problems.raise_all()
    return settings


def _entry(configuration: Path, key: str, problems: Problems) -> Node | None:
    root = read_tree(configuration, str(configuration), problems)
    return root.value.get(key) if root is not None and isinstance(root.value, dict) else None


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


def read_registry(node: Node, problems: Problems) -> RegistrySettings:
    """The settings under the key `registry`: a repository, or a map; what is wrong goes to the problems."""
    entries = node.value if isinstance(node.value, dict) else {"repository": node}
    texts: dict[str, str] = {}
    for key, child in entries.items():
        if key not in _KEYS:
            problems.add(f"registry has no key {key}", child.key_origin, f"known: {', '.join(_KEYS)}")
        elif key == "memory":
            if not isinstance(child.value, bool):
                problems.add("memory of registry must be true or false", child)
        elif not isinstance(child.value, str) or not child.value:
            problems.add(f"{key} of registry must be a text", child, _A_REGISTRY)
        else:
            texts[key] = child.value
    if "repository" in texts and parse(texts["repository"]) is None:
        problems.add(
            f"{texts['repository']} is not a repository in a registry", entries["repository"], _A_REGISTRY
        )
    beside = Path(node.origin.file).parent
    return RegistrySettings(
        repository=texts.get("repository", ""),
        ca=_beside(beside, texts["ca"]) if "ca" in texts else None,
        verify=_key(beside, texts.get("verify", "")),
        sign=_key(beside, texts.get("sign", "")),
        memory="memory" in entries and entries["memory"].value is True,
    )


def _key(folder: Path, text: str) -> str:
    """A key as cosign takes it: a file, or the address of a key that is kept elsewhere."""
    return text if "://" in text or not text else str(_beside(folder, text))


def _beside(folder: Path, text: str) -> Path:
    return folder / Path(text).expanduser()


def hosts(configuration: Path) -> Hosts:
    """The other hosts that the user has named.

    Raises:
        SpecError: what it says of them is wrong, each with its place.
    """
    problems = Problems()
    entry = _entry(configuration, HOSTS, problems)
    found = read_hosts(entry, problems) if entry is not None else {}
    problems.raise_all()
    return found


def read_hosts(node: Node, problems: Problems) -> Hosts:
    """The addresses under the key `hosts`; what is wrong with them goes to the problems."""
    if not isinstance(node.value, dict):
        problems.add("hosts must be a map", node, _HOSTS_EXAMPLE)
        return {}
    return {name: _addresses(name, host, problems) for name, host in node.value.items()}


def _addresses(name: str, host: Node, problems: Problems) -> Mapping[str, str]:
    entries = host.value if isinstance(host.value, dict) else {}
    if not entries:
        problems.add(f"the host {name} needs an address", host, _HOSTS_EXAMPLE)
    found: dict[str, str] = {}
    for key, address in entries.items():
        schemes = HOST_SCHEMES.get(key)
        if schemes is None:
            problems.add(
                f"the host {name} has no key {key}", address.key_origin,
                f"known: {', '.join(HOST_SCHEMES)}; {_HOSTS_EXAMPLE}",
            )  # fmt: skip
        elif not isinstance(address.value, str) or not address.value.startswith(schemes):
            problems.add(
                f"{key} of the host {name} must begin with {' or '.join(schemes)}", address, _HOSTS_EXAMPLE
            )
        else:
            found[key] = address.value
    return found


OUTSIDE: Mapping[str, Callable[[Node, Problems], object]] = {
    CACHE: read_cache,
    REGISTRY: read_registry,
    HOSTS: read_hosts,
}
