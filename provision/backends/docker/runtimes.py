"""What starts containers: the engine's own runtime, or one that gives each a kernel of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.backends.docker.options import options_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.model import Environment, Machine

# Named by the host's administrator, so a name is all that is known of one: these are as their projects
# name them. Kata and krun boot a virtual machine for each container.
_OWN_KERNEL = re.compile(r"kata|kata[-_.].+|io\.containerd\.kata(-[a-z0-9-]+)?\.v\d+|krun|crun-krun|crun-vm")
# Those that isolate a container at least as well as the engine's own. runsc answers system calls itself,
# and has no kernel that could load modules.
_HARMLESS = re.compile(r"runc|crun|youki|runsc|runsc-[a-z0-9-]+|io\.containerd\.(runc\.v2|runsc\.v1)")
# A shim that the engine looks for by this name, and does not list.
_SHIM = re.compile(r"io\.containerd\.[A-Za-z0-9-]+\.v\d+")


def has_own_kernel(machine: Machine) -> bool:
    """Whether a machine's runtime boots a kernel for it."""
    runtime = options_of(machine).runtime
    return runtime is not None and _OWN_KERNEL.fullmatch(runtime) is not None


def is_harmless(runtime: str) -> bool:
    """Whether containers of a runtime are isolated at least as well as those of the engine's own."""
    return any(known.fullmatch(runtime) for known in (_OWN_KERNEL, _HARMLESS))


def refused_runtimes(environment: Environment, known: Sequence[str]) -> tuple[str, ...]:
    """The runtimes that machines select and an engine does not know, a line for each machine; pure.

    Args:
        environment: what the spec describes.
        known: the runtimes that the engine lists.
    """
    names = ", ".join(sorted(known)) or "none that it names"
    return tuple(
        f"{machine.name}: runtime {runtime}; the engine has {names}"
        for machine in environment.machines
        if (runtime := options_of(machine).runtime) is not None
        and runtime not in known
        and not _SHIM.fullmatch(runtime)
    )


def selects_one(environment: Environment) -> bool:
    """Whether a machine selects a runtime."""
    return any(options_of(machine).runtime is not None for machine in environment.machines)
