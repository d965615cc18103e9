"""How machines find each other and where ports are published, by what the kernel has."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

from provision.backends.swarm.options import options_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.model import Environment

_LOADED = Path("/proc/net/ip_vs")
_MODULES = Path("/lib/modules")


def has_ipvs() -> bool:
    """Whether this host's kernel balances load for virtual addresses, or can load what does."""
    if _LOADED.exists():
        return True
    listed = _MODULES / platform.release() / "modules.dep"
    built_in = _MODULES / platform.release() / "modules.builtin"
    return any(
        "/ip_vs.ko" in path.read_text(errors="replace") for path in (listed, built_in) if path.is_file()
    )


def uses_virtual_addresses(environment: Environment) -> bool:
    """Whether services get a virtual address, and ports the routing mesh; else dnsrr and host ports."""
    named = {options_of(machine).network for machine in environment.machines} - {"auto"}
    if named:
        return named == {"vip"}
    return has_ipvs()


def variables(environment: Environment) -> Mapping[str, str]:
    """What stack.yaml is told of it."""
    virtual = uses_virtual_addresses(environment)
    return {"ENDPOINT": "vip" if virtual else "dnsrr", "PUBLISH": "ingress" if virtual else "host"}
