"""How many environments `provision test` runs at the same time: what each takes, and what the host has.

A virtual machine keeps its memory from the moment it boots. A container takes what its processes
use, so its limit says little: it counts as a small one.
"""

from __future__ import annotations

import os
from itertools import accumulate
from typing import TYPE_CHECKING

from provision.errors import UsageError
from provision.quick_dataclasses import dataclass
from provision.recipe.limits import CPUS, MEMORY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.model import Resources

MEBIBYTE = 1024**2
CONTAINER_CORES = 0.5
CONTAINER_MEMORY = 256 * MEBIBYTE
BUSY = 0.5  # the share of its CPUs that a virtual machine uses while it boots, is set up and checked
HYPERVISOR = 128 * MEBIBYTE  # what runs a virtual machine takes, in addition to the machine's own memory
USABLE = 0.8  # the share of the host's available memory that may be planned with


@dataclass(frozen=True, kw_only=True)
class Load:
    """Cores and bytes of memory: what an environment takes, or what a host has to give."""

    cores: float
    memory: int


def load_of(resources: Resources, *, virtual: bool) -> Load:
    """What one machine takes of the host, a virtual machine or a container."""
    if virtual:
        return Load(cores=(resources.cpus or CPUS) * BUSY, memory=(resources.memory or MEMORY) + HYPERVISOR)
    return Load(
        cores=min(resources.cpus or CONTAINER_CORES, CONTAINER_CORES),
        memory=min(resources.memory or CONTAINER_MEMORY, CONTAINER_MEMORY),
    )


def total(loads: Sequence[Load]) -> Load:
    """What several take together."""
    return Load(cores=sum(each.cores for each in loads), memory=sum(each.memory for each in loads))


def choose_jobs(loads: Sequence[Load], host: Load) -> int:
    """How many environments may run at the same time, whichever they are; at least one.

    So many that even those that take most fit the host together.

    Args:
        loads: what each environment takes.
        host: the cores and the memory that may be used.
    """
    cores = accumulate(sorted((each.cores for each in loads), reverse=True))
    memory = accumulate(sorted((each.memory for each in loads), reverse=True))
    fitting = sum(
        used <= host.cores and taken <= host.memory for used, taken in zip(cores, memory, strict=True)
    )
    return max(1, fitting)


def host_load() -> Load:
    """The cores that this process may use, and the memory that may be planned with now."""
    import psutil

    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = len(affinity(0)) if affinity else psutil.cpu_count() or 1
    return Load(cores=cores, memory=int(psutil.virtual_memory().available * USABLE))


def parse_jobs(text: str) -> int:
    """The number that `--jobs` gives.

    Raises:
        UsageError: it is no number from 1 on.
    """
    if text.isascii() and text.isdecimal() and int(text[:9]) > 0:
        return int(text[:9])
    raise UsageError(
        f"--jobs {text}: this must be a number from 1 on",
        hint="`--jobs 1` runs one environment at a time; without it, the host's cores and memory decide",
    )
