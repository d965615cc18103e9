"""What is measured inside a running machine: pieces of work for its own shell, timed on the host.

Nothing is installed for it. The host's clock judges both forms: a guest's own may run unevenly.
"""

from __future__ import annotations

import shlex
import time
from functools import partial
from typing import TYPE_CHECKING

from provision.measure.model import Cell
from provision.measure.rows import COPIED, LOOPS, PROCESSES, SMALL, WALKS, WRITTEN
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from provision.target import Target

LONGEST = 600.0  # seconds, for a piece of work on an emulated machine
_TRACE = ".provision-compare-trace"
_SLEEPS = "86397"  # seconds, by which the program is known
ENOUGH = 20.0  # seconds; a row that has taken so long gets no further run
SHORTEST = 1e-4
CAPABILITIES = 41  # that Linux 5.9 and later know
_NAMES = {
    0: "chown", 1: "dac_override", 10: "net_bind_service", 12: "net_admin", 13: "net_raw", 16: "sys_module",
    17: "sys_rawio", 18: "sys_chroot", 19: "sys_ptrace", 21: "sys_admin", 22: "sys_boot", 25: "sys_time",
}  # fmt: skip
_TELLING = (12, 16, 17, 19, 21, 25)  # those by which a machine is changed that others may share

_COUNT = f"i=0; while [ $i -lt {LOOPS} ]; do i=$((i+1)); done"
_START = f"i=0; while [ $i -lt {PROCESSES} ]; do /bin/true; i=$((i+1)); done"
_CALL = f"dd if=/dev/zero of=/dev/null bs=1 count={COPIED} 2>/dev/null"
_CREATE = f'i=0; while [ $i -lt {SMALL} ]; do echo x >"small/$i"; i=$((i+1)); done'
_WALK = f"i=0; while [ $i -lt {WALKS} ]; do find small -size +1000k; i=$((i+1)); done"
_WRITE = f"dd if=/dev/zero of=large bs=1048576 count={WRITTEN} conv=fsync 2>/dev/null"
_READ = "cat large >/dev/null"

WORK: Mapping[str, str] = {"cpu": _COUNT, "processes": _START, "calls": _CALL}
_DONE: Mapping[str, float] = {
    "cpu": 1, "processes": PROCESSES, "calls": 2 * COPIED, "write": WRITTEN << 20, "create": SMALL,
    "read": WRITTEN << 20, "walk": SMALL * WALKS,
}  # fmt: skip
_FACTS = """
echo "kernel $(cat /proc/sys/kernel/osrelease)"
grep -E '^(CapEff|Seccomp):' /proc/self/status
echo "devices $(find /dev -xdev \\( -type c -o -type b \\) 2>/dev/null | wc -l)"
echo "disks $(find /dev -xdev -type b 2>/dev/null | wc -l)"
group=/sys/fs/cgroup
if [ -r $group/memory.current ]; then
  echo "current $(cat $group/memory.current)"
  grep '^inactive_file ' $group/memory.stat
elif [ -r $group/memory/memory.usage_in_bytes ]; then
  echo "current $(cat $group/memory/memory.usage_in_bytes)"
  grep '^total_inactive_file ' $group/memory/memory.stat | cut -c 7-
fi
grep -E '^Mem(Total|Available):' /proc/meminfo
"""


def timed(target: Target, script: str, *, runs: int, before: str = "") -> tuple[float, ...]:
    """Seconds of each run of a script as root, less those of an empty one; fewer runs of a slow one.

    Args:
        target: the running machine.
        script: the piece of work, for `sh`.
        runs: as many at most.
        before: what each run needs, done before it and not timed.

    Raises:
        NotDone: it failed inside.
    """
    _once(target, script if not before else f"{before}\n{script}")  # what is loaded once is loaded
    empty = min(_once(target, ":") for _ in range(3))
    values: list[float] = []
    while len(values) < runs and sum(values) < ENOUGH:
        if before:
            _once(target, before)
        values.append(max(_once(target, script) - empty, SHORTEST))
    return tuple(values)


class NotDone(Exception):
    """A piece of work failed inside; the message is its last line."""


def _once(target: Target, script: str) -> float:
    begun = time.monotonic()
    output = target.run(script, user="root", timeout=LONGEST)
    seconds = time.monotonic() - begun
    if output.code != 0:
        lines = output.stderr.decode("utf-8", "replace").strip().splitlines()
        raise NotDone(lines[-1] if lines else f"exit code {output.code}")
    return seconds


def work(target: Target, name: str, runs: int) -> Cell:
    """A row of the processor's speed."""
    return _cell(name, lambda: timed(target, WORK[name], runs=runs))


def files(target: Target, place: str, folder: str, runs: int) -> Iterator[tuple[str, Cell]]:
    """The four rows of a place, in a folder of our own there that is gone afterwards."""
    own = f"{folder}/.provision-compare"
    at = f"cd {shlex.quote(own)} && "
    pieces = {
        "write": (_WRITE, "rm -f large"),
        "read": (_READ, ""),
        "create": (_CREATE, "rm -rf small && mkdir small"),
        "walk": (_WALK, ""),
    }
    try:
        _once(target, f"rm -rf {shlex.quote(own)} && mkdir -p {shlex.quote(own)}")
    except NotDone as error:
        for name in pieces:
            yield f"{name}-{place}", Cell(note=f"{folder}: {error}")
        return
    try:
        for name, (script, before) in pieces.items():
            prepared = f"{at}{before}" if before else ""
            run = partial(timed, target, at + script, runs=runs, before=prepared)
            yield f"{name}-{place}", _cell(name, run)
    finally:
        target.run(f"rm -rf {shlex.quote(own)}", user="root", timeout=LONGEST)


def _cell(kind: str, measure: Callable[[], tuple[float, ...]]) -> Cell:
    try:
        seconds = measure()
    except NotDone as error:
        return Cell(note=str(error))
    if kind == "cpu":
        return Cell(values=seconds)
    return Cell(values=tuple(_DONE[kind] / each for each in seconds))


def facts(target: Target, host_kernel: str) -> Mapping[str, Cell]:
    """The rows that ask a machine once: kernel, capabilities, system calls, devices, memory in use."""
    output = target.run(_FACTS, user="root", timeout=LONGEST).stdout.decode("utf-8", "replace")
    return read_facts(output, host_kernel)


def read_facts(text: str, host_kernel: str) -> Mapping[str, Cell]:
    """The cells that the answer of a machine holds; pure."""
    known = {}
    for line in text.splitlines():
        words = line.replace(":", " ").split()
        if len(words) > 1:
            known[words[0]] = words[1]
    cells = {}
    shared = known.get("kernel") == host_kernel
    if kernel := known.get("kernel"):
        cells["kernel"] = Cell(text=f"the host's, shared: {kernel}" if shared else f"its own: {kernel}")
    if mask := known.get("CapEff"):
        cells["capabilities"] = Cell(text=capabilities(int(mask, 16), own=not shared))
    if mode := known.get("Seccomp"):
        whose = "the host's kernel" if shared else "its own kernel"
        cells["seccomp"] = Cell(text=f"all of {whose}" if mode == "0" else "those that a filter lets through")
    if devices := known.get("devices"):
        disks = known.get("disks", "0")
        blocks = f", {disks} of them block devices" if disks != "0" else ", no block device"
        cells["devices"] = Cell(text=f"{devices} device files{blocks}")
    cells["inside"] = _in_use(known, shared=shared)
    return cells


def capabilities(mask: int, *, own: bool) -> str:
    """Which capabilities a mask holds, as a person compares them."""
    count = mask.bit_count()
    telling = [_NAMES[bit] for bit in _TELLING if mask >> bit & 1]
    whose = "over its own kernel" if own else "of the host's kernel"
    if count >= CAPABILITIES - 1:
        return f"all {count}, {whose}"
    return f"{count} of {CAPABILITIES}; {'with' if telling else 'without'} " + (
        ", ".join(telling) if telling else ", ".join(_NAMES[bit] for bit in _TELLING[:3])
    )


def _in_use(known: Mapping[str, str], *, shared: bool) -> Cell:
    """The memory in use; the /proc/meminfo of a machine that shares its kernel is the host's."""
    if not shared and "MemTotal" in known and "MemAvailable" in known:
        return Cell(values=((float(known["MemTotal"]) - float(known["MemAvailable"])) * 1024,))
    if shared and "current" in known:
        return Cell(values=(float(known["current"]) - float(known.get("inactive_file", 0)),))
    return Cell(note="only the host's is to be seen inside")


@dataclass(frozen=True, kw_only=True)
class Traces:
    """What is left in a machine to see what a stop and a start keep; `volume` is a path, or empty."""

    volume: str

    def leave(self, target: Target) -> None:
        """Leave a file in each place, and a program that runs."""
        files = " ".join(shlex.quote(f"{folder}/{_TRACE}") for folder in self._folders)
        # The machine's shell goes on only when nobody holds its pipes.
        start = f"setsid sleep {_SLEEPS} </dev/null >/dev/null 2>&1 & echo $! >/var/tmp/{_TRACE}"
        target.run(f"for f in {files}; do : >$f; done; {start}", user="root")

    def find(self, target: Target) -> Cell:
        """What of it is there still."""
        asks = [f"test -e {shlex.quote(f'{folder}/{_TRACE}')} && echo {shlex.quote(folder)}"
                for folder in self._folders]  # fmt: skip
        asks.append(f'read id </var/tmp/{_TRACE} && grep -qsx sleep "/proc/$id/comm" && echo program')
        lines = target.run("; ".join([*asks, ":"]), user="root").stdout.decode("utf-8", "replace").split("\n")
        names = {"/var/tmp": "files on the root", "/tmp": "files in /tmp", self.volume: "the volume",  # noqa: S108
                 "program": "running programs"}  # fmt: skip
        asked = [*self._folders, "program"]
        kept = [names[each] for each in asked if each in lines]
        lost = [names[each] for each in asked if each not in lines]
        texts = [", ".join(kept) or "nothing", f"lost: {', '.join(lost)}" if lost else ""]
        return Cell(text="; ".join(text for text in texts if text))

    @property
    def _folders(self) -> tuple[str, ...]:
        return ("/var/tmp", "/tmp", *([self.volume] if self.volume else ()))  # noqa: S108 - inside a machine
