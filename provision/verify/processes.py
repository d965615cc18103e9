"""Running processes, read from /proc, so that `ps` need not be installed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testinfra.host import Host

LONGEST_NAME = 15  # the kernel keeps so many characters of a process's name
# Two greps read all; a process that ends meanwhile is passed over.
LISTING = """cd /proc
grep -sHE '^(Name|State|Uid|PPid):' [0-9]*/status
grep -saH '' [0-9]*/cmdline || grep -sH '' [0-9]*/cmdline
getent passwd || cat /etc/passwd"""


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process, by the names of `ps`: the kernel's name for it, its words with blanks."""

    pid: int
    ppid: int
    comm: str
    user: str
    args: str

    def is_called(self, name: str) -> bool:
        """By the kernel's name, or by the program that its words begin with."""
        program = self.args.partition(" ")[0].rpartition("/")[2].rstrip(":")
        return name in {self.comm, program} or self.comm == name[:LONGEST_NAME]


def processes(host: Host) -> Iterator[Process]:
    """All that run now; those that have ended and wait for their parent are left out."""
    status: dict[str, dict[str, str]] = {}
    words: dict[str, str] = {}
    users: dict[str, str] = {}
    for line in host.run(LISTING).stdout.splitlines():
        if match := re.match(r"(\d+)/status:(\w+):\s*(.*)", line):
            status.setdefault(match[1], {})[match[2]] = match[3]
        elif match := re.match(r"(\d+)/cmdline:(.*)", line):
            words.setdefault(match[1], match[2].replace("\0", " ").strip())
        elif re.match(r"[^:/]+:[^:]*:\d+:", line):
            name, _, uid, *_ = line.split(":")
            users.setdefault(uid, name)
    for pid, facts in status.items():
        if facts.get("State", "Z")[0] not in "ZX":
            uid = facts["Uid"].split()[1]
            yield Process(
                pid=int(pid),
                ppid=int(facts["PPid"]),
                comm=facts["Name"],
                user=users.get(uid, uid),
                args=words.get(pid) or facts["Name"],
            )
