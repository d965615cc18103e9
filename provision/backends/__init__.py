"""The backends: one folder each, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, cast

from provision.errors import UsageError

if TYPE_CHECKING:
    from provision.backends.base import Backend


def names() -> tuple[str, ...]:
    """The names of all backends."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg))


def require(name: str) -> None:
    """Raise UsageError if there is no backend with this name."""
    if name not in names():
        raise UsageError(f"there is no backend {name}", hint=f"choose from {', '.join(names())}")


def find(name: str) -> Backend:
    """The backend with this name.

    Raises:
        UsageError: there is none.
    """
    require(name)
    return cast("Backend", importlib.import_module(f"{__name__}.{name}").BACKEND)
