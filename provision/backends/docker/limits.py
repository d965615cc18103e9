"""Whether this host's engine can grant the limits of services, checked before anything starts."""

from __future__ import annotations

import math
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from provision.docker_client import endpoint, queries
from provision.errors import ProvisionError
from provision.recipe.limits import TITLES, effective, height, machine_limits, written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provision.model import Environment

PROC = Path("/proc")
ENGINE = "dockerd"
_RESOURCE = 24  # the bit of CAP_SYS_RESOURCE, which raises hard limits


def refused_limits(environment: Environment) -> tuple[str, ...]:
    """Why this host's engine cannot grant the services' limits: a line for each one, with its place."""
    if not any(map(machine_limits, environment.machines)) or not is_local():
        return ()
    return tuple(_refused(environment, _most()))


def _refused(environment: Environment, most: Mapping[str, tuple[int, str]]) -> Iterator[str]:
    for machine in environment.machines:
        for service in machine.services:
            for name, value in service.limits.items():
                limit, why = most.get(name, (math.inf, ""))
                if height(effective(name, value)) > limit:
                    place = f"{service.origin.file}:{service.origin.line}"
                    wanted = f"{name} {written(value)}"
                    yield f"{place}: service {service.name}: {wanted} is more than {limit}, {why}"


def is_local() -> bool:
    """Whether the engine runs on this kernel; of another's limits nothing is known here."""
    if endpoint.elsewhere():
        return False
    try:
        return queries.engine().kernel == platform.release()
    except ProvisionError:
        return False


def _most() -> Mapping[str, tuple[int, str]]:
    """The maximum that the engine can grant for each limit, and why; absent if there is no maximum."""
    bounds: dict[str, tuple[int, str]] = {}
    engines = [path.parent for path in PROC.glob("[0-9]*/comm") if _read(path).strip() == ENGINE]
    if engines and not any(map(_may_raise, engines)):
        for name, title in TITLES.items():
            hard = [_hard(engine, title) for engine in engines]
            if None not in hard:
                why = "the engine's own limit, which it cannot raise (rootless, or no CAP_SYS_RESOURCE)"
                bounds[name] = (max(each for each in hard if each is not None), why)
    most = _read(PROC / "sys" / "fs" / "nr_open").strip()
    if most.isdigit() and int(most) < bounds.get("nofile", (int(most) + 1, ""))[0]:
        bounds["nofile"] = (int(most), "the host's fs.nr_open")
    return bounds


def _may_raise(engine: Path) -> bool:
    """Whether a process may raise hard limits: root of a user namespace may not."""
    capable = next((line for line in _read(engine / "status").splitlines() if line.startswith("CapEff:")), "")
    mapped = _read(engine / "uid_map").split()
    return bool(capable and int(capable.split()[1], 16) >> _RESOURCE & 1) and mapped[:2] == ["0", "0"]


def _hard(engine: Path, title: str) -> int | None:
    """A hard limit of a process; None where it has none."""
    for line in _read(engine / "limits").splitlines():
        if line.startswith(title):
            hard = line[26:].split()[1]
            return int(hard) if hard.isdigit() else None
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it ended meanwhile, or is not ours to read
        return ""
