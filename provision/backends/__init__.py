"""The backends, found by name (see `provision.registry`)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast

from provision import registry
from provision.errors import UsageError
from provision.state import on_host

if TYPE_CHECKING:
    from provision.backends.base import Backend

HOST = "PROVISION_HOST"  # the host that the user chose, by its name in their configuration


def names() -> tuple[str, ...]:
    """All backends, the preferred first."""
    known = (*registry.built_in(), *registry.external())
    return tuple(sorted(known, key=lambda name: (find(name).preference, name)))


def offered() -> tuple[str, ...]:
    """Those that verbs take on their own, the preferred first; others have to be named."""
    from provision.backends.base import ByNameOnly

    return tuple(name for name in names() if not isinstance(find(name), ByNameOnly))


def require(name: str) -> None:
    """Raise UsageError if there is no backend with this name."""
    if registry.module_of(name) is None:
        raise UsageError(f"there is no backend {name}", hint=f"choose from {', '.join(names())}")


def find(name: str) -> Backend[Any]:
    """The backend with this name.

    Raises:
        UsageError: there is none.
    """
    require(name)
    module = registry.module_of(name)
    return cast("Backend[Any]", importlib.import_module(str(module)).BACKEND)


def host_of(backend: Backend[Any]) -> str:
    """The other host where a backend creates machines now, as `state.on_host` has it; empty for this one."""
    from provision.backends.base import ReachesHosts

    return on_host(backend.address()) if isinstance(backend, ReachesHosts) else ""
