"""How systemd runs a machine's services: its units, and the scripts that they start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision import guest_paths, lent
from provision.model import ATTACH, DEFAULT_PATH, RESERVED, SETUP
from provision.recipe.limits import default_limits, effective, written
from provision.recipe.times import CRASHES, SOON
from provision.rendering import RenderedFile, render

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from provision.model import Machine

SCRIPTS = ("ended", "environment", "leftover", "service", "state")
_PREFIX = "provision-service-"


def unit_of(service: str) -> str:
    """The unit of a service of the spec, or of one of our own steps.

    Its prefix keeps it apart from the system's units (ssh, dbus, systemd-journald) and from ours.
    """
    return f"provision-{service}.service" if service in RESERVED else f"{_PREFIX}{service}.service"


def restart_script(services: Iterable[str]) -> str:
    """Text for `sh` that restarts these; their earlier starts do not count towards a crash loop."""
    named = tuple(services)
    counts = " ".join(f"{guest_paths.STARTS}/{service}" for service in named)
    return f"rm -f {counts}; systemctl restart {' '.join(map(unit_of, named))}"


def identifier_of(service: str) -> str:
    """What the journal calls its lines."""
    return unit_of(service).removesuffix(".service")


def service_of(identifier: str) -> str:
    """The service whose lines the journal calls so."""
    if identifier.startswith(_PREFIX):
        return identifier.removeprefix(_PREFIX)
    return identifier.removeprefix("provision-")


def _lines_of(service: str) -> str:
    """The unit that hands a service's lines to the journal, where the service does not do so itself."""
    return f"provision-lines-{service}.service"


def systemd_scripts(machine: Machine, *, cgroup_v1: bool = False) -> Mapping[str, RenderedFile]:
    """What goes to /usr/lib/provision where systemd is the init, by path below it; units/ holds its units.

    Args:
        machine: whose services the units are for.
        cgroup_v1: it is a container on cgroups of the first version, whose systemd is not told when a
            group is empty: a service's lines are handed on by a unit of their own.
    """
    context: dict[str, object] = {
        "machine": machine,
        "agent": lent.SOCKET,
        "crashes": CRASHES,
        "soon": SOON,
        "unit": unit_of,
        "wanted": [unit_of(ATTACH)]  # by itself: a machine may have no service
        + [unit_of(service.name) for service in machine.services]
        + ([unit_of(SETUP)] if machine.setup else []),
    }
    context |= {
        "limits": default_limits(machine),
        "effective": effective,
        "written": written,
        "search_path": DEFAULT_PATH,
    }
    context |= {"apart": cgroup_v1, "lines": _lines_of}
    own = {name: _file(f"systemd/{name}.j2", context, executable=True) for name in SCRIPTS}
    own["etc/systemd/system.conf.d/provision.conf"] = _file("systemd/system.conf.j2", context)
    units = {"provision.target": "target", unit_of(ATTACH): "attach.service"}
    if machine.setup:
        units[unit_of(SETUP)] = "setup.service"
    for unit, template in units.items():
        own[f"units/{unit}"] = _file(f"systemd/{template}.j2", context)
    for service in machine.services:
        one = context | {"service": service}
        own[f"units/{unit_of(service.name)}"] = _file("systemd/unit.service.j2", one)
        if cgroup_v1:
            own[f"units/{_lines_of(service.name)}"] = _file("systemd/lines.service.j2", one)
    return own


def _file(template: str, context: Mapping[str, object], *, executable: bool = False) -> RenderedFile:
    return RenderedFile(content=render(template, context).encode(), executable=executable)
