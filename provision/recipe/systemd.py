"""How systemd runs a machine's services: its units, and the scripts that they start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.rendering import RenderedFile, render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.model import Machine

SCRIPTS = ("environment", "service", "state")


def systemd_scripts(machine: Machine) -> Mapping[str, RenderedFile]:
    """What goes to /usr/lib/provision where systemd is the init, by path below it; units/ holds its units."""
    context: dict[str, object] = {
        "machine": machine,
        "wanted": ["provision-attach.service"]  # by itself: a machine may have no service
        + [f"{service.name}.service" for service in machine.services]
        + (["provision-setup.service"] if machine.setup else []),
    }
    own = {name: _file(f"systemd/{name}.j2", context, executable=True) for name in SCRIPTS}
    units = {"provision.target": "target", "provision-attach.service": "attach.service"}
    if machine.setup:
        units["provision-setup.service"] = "setup.service"
    for unit, template in units.items():
        own[f"units/{unit}"] = _file(f"systemd/{template}.j2", context)
    for service in machine.services:
        own[f"units/{service.name}.service"] = _file(
            "systemd/unit.service.j2", context | {"service": service}
        )
    return own


def _file(template: str, context: Mapping[str, object], *, executable: bool = False) -> RenderedFile:
    return RenderedFile(content=render(template, context).encode(), executable=executable)
