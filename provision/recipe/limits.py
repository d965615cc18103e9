"""The limits of a machine's processes: what services ask for, and the defaults of all others.

The defaults are those of Debian 12 in both backends, whatever the base's own init gives. A
service's own limits are set for its processes alone; the machine must allow them, so the largest
one is the machine's hard limit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from provision.model import UNLIMITED
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.model import Machine

SOFT_FILES, HARD_FILES = 1024, 524288
LOCKED_MEMORY = 8 * 1024**2  # the kernel's own default since 5.16; older inits give 64 KiB
KIBIBYTE = 1024
MEMORY = 1024**3  # of a virtual machine whose spec gives none
CPUS = 2  # likewise
# How bash's ulimit calls each limit, and how many of the spec's units are one of its own.
ULIMITS = {
    "nofile": ("n", 1),
    "nproc": ("u", 1),
    "core": ("c", KIBIBYTE),
    "memlock": ("l", KIBIBYTE),
    "stack": ("s", KIBIBYTE),
}
# What /proc/PID/limits calls them.
TITLES = {
    "nofile": "Max open files",
    "nproc": "Max processes",
    "core": "Max core file size",
    "memlock": "Max locked memory",
    "stack": "Max stack size",
}
# What every engine gives without being asked, and the soft limit of processes that set none; None
# where it is the hard one.
_GIVEN = {"nofile": 1024, "nproc": 4096, "core": 0, "memlock": 64 * KIBIBYTE, "stack": 8192 * KIBIBYTE}
_SOFT = {"nofile": SOFT_FILES, "nproc": None, "core": 0, "memlock": None, "stack": 8192 * KIBIBYTE}


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A limit of a machine's processes: what they have, and what they may raise it to."""

    soft: int
    hard: int


def effective(name: str, value: int) -> int:
    """The limit that a process gets: ulimit counts some in KiB, so both backends round down to that."""
    unit = ULIMITS[name][1]
    return value if value == UNLIMITED else value // unit * unit


def height(value: int) -> float:
    """A limit as a number that can be compared with others: none is above all."""
    return math.inf if value == UNLIMITED else value


def written(value: int, unlimited: str = "unlimited") -> str:
    """A limit as text, with the reader's word for none."""
    return unlimited if value == UNLIMITED else str(value)


def machine_limits(machine: Machine) -> Mapping[str, Limit]:
    """The limits that a machine needs for its services' own, by name; not those that all machines have."""
    limits = {}
    for name in ULIMITS:
        services = (effective(name, each.limits.get(name, 0)) for each in machine.services)
        hard = max(services, default=0, key=height)
        if height(hard) > _GIVEN[name]:
            soft = _SOFT[name]
            limits[name] = Limit(soft=hard if soft is None else soft, hard=hard)
    return limits


def default_limits(machine: Machine) -> Mapping[str, Limit]:
    """The limits of every process of a machine with an init of its own that sets none itself, by name."""
    return {
        "core": Limit(soft=0, hard=UNLIMITED),
        "memlock": Limit(soft=LOCKED_MEMORY, hard=LOCKED_MEMORY),
        "nofile": Limit(soft=SOFT_FILES, hard=HARD_FILES),
        "nproc": Limit(soft=UNLIMITED, hard=UNLIMITED),
        **machine_limits(machine),
    }


def shared_memory(machine: Machine) -> int:
    """The size of /dev/shm in bytes: half of the machine's memory, as the kernel has it."""
    return (machine.resources.memory or MEMORY) // 2


def hard_files(machine: Machine) -> int:
    """The most files that a process of the machine may open."""
    limit = machine_limits(machine).get("nofile")
    return max(limit.hard if limit else 0, HARD_FILES)
