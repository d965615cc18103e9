"""What a host lacks, by what programs print when they meet it: room, memory, the right time. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

KILLED = 137  # the exit code of what SIGKILL ended: mostly the kernel's, for lack of memory


@dataclass(frozen=True, kw_only=True)
class HostFault:
    """What is wrong with the host, in a sentence without a full stop, and what to do about it."""

    message: str
    hint: str


_ROOM = (
    "make room: `provision gc`, then `docker builder prune`; `docker system df` and `df -h` show what is used"
)
_CLOCK = "set the clock of this host (`timedatectl set-ntp true`); containers and machines take it from there"
_MEMORY = "close other programs, or give the engine or the machine (`resources: {memory: …}`) more memory"
_FAULTS = (
    (
        re.compile(
            r"no space left on device|disk quota exceeded|not enough (?:free )?(?:disk )?space"
            r"|You don't have enough free space",
            re.IGNORECASE,
        ),
        HostFault(message="the disk is full", hint=_ROOM),
    ),
    (
        re.compile(
            r"cannot allocate memory|out of memory|oom-kill|std::bad_alloc|MemoryError", re.IGNORECASE
        ),
        HostFault(message="there is not enough memory", hint=_MEMORY),
    ),
    (
        re.compile(
            r"is not valid yet|certificate is not yet valid|not yet activated|is not yet valid", re.IGNORECASE
        ),
        HostFault(message="the clock of this host is behind", hint=_CLOCK),
    ),
    (
        re.compile(
            r"Release file for \S+ is expired|certificate (?:has|is) expired|certificate has expired",
            re.IGNORECASE,
        ),
        HostFault(
            message="what the mirror offers has expired, or the clock of this host is ahead",
            hint=f"{_CLOCK}; if it is right, name another mirror",
        ),
    ),
)


def find_fault(lines: Iterable[str], code: int | None = None) -> HostFault | None:
    """What of the host made a command fail; None where nothing says that it was the host.

    Args:
        lines: the command's last ones.
        code: its exit code.
    """
    for line in lines:
        for pattern, fault in _FAULTS:
            if pattern.search(line):
                return fault
    if code == KILLED:
        return HostFault(message="a process was killed, most likely for lack of memory", hint=_MEMORY)
    return None
