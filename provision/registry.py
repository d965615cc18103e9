"""Which backends there are: the folders of `provision.backends`, and what other packages bring.

Another package adds a backend by an entry point of the group `provision.backends` that names a
module with a `BACKEND`. Beside that module, `options.schema.json` describes the keys of
`backends.NAME` that only this backend knows. An option without `"x-harmless": true` in that
file needs the word `privileges`, because it comes from the author of the spec.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

GROUP = "provision.backends"
DEFAULT = "docker"  # where neither the command line nor PROVISION_BACKEND names one
# How each backend reaches a host that the user's configuration names; others reach none.
HOST_SCHEMES = {"docker": ("ssh://", "tcp://", "unix://"), "vm": ("ssh://",)}
FORMS = {"swarm": "docker"}  # whose machines are of another's form, so that the same may differ in both
OPTIONS_FILE = "options.schema.json"


@cache
def built_in() -> tuple[str, ...]:
    """The backends that ship with provision."""
    return tuple(module.name for module in pkgutil.iter_modules([str(_folder())]) if module.ispkg)


@cache
def external() -> dict[str, str]:
    """The backends of other packages: name → module. Asking takes 30 ms, so ask late."""
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in entry_points(group=GROUP) if entry.name not in built_in()}


def form_of(name: str) -> str:
    """The backend that stands for the form of a backend's machines: containers, virtual machines."""
    return FORMS.get(name, name)


def module_of(name: str) -> str | None:
    """The module that has the backend; None where there is none of this name."""
    return f"{GROUP}.{name}" if name in built_in() else external().get(name)


def own_module(name: str, part: str) -> ModuleType | None:
    """A module of the backend that others find by its name; None where the backend has none."""
    module = module_of(name)
    try:
        spec = module and importlib.util.find_spec(f"{module}.{part}")
    except ModuleNotFoundError:  # the backend is a single module
        return None
    return importlib.import_module(f"{module}.{part}") if spec else None


def options_schema(name: str) -> dict[str, Any]:
    """What the backend's own keys of `backends.NAME` may be: key → JSON Schema; empty where it has none."""
    module = module_of(name)
    if module is None:
        return {}
    if name in built_in():
        folder = _folder() / name
    else:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            return {}
        folder = Path(spec.origin).parent
    try:
        schema: dict[str, Any] = json.loads((folder / OPTIONS_FILE).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return schema


def _folder() -> Path:
    return Path(__file__).parent / "backends"
