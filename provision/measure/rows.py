"""The rows of a comparison: what is compared, in which unit, and by which method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.errors import UsageError
from provision.measure.model import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

TIME, BYTES, MEMORY, SPEED, FILES, NETWORK, BORDER = (
    "Time", "Disk and network transfer", "Memory", "Processor", "Files", "Network", "Isolation",
)  # fmt: skip
LOOPS = 30_000  # of the shell's counter
PROCESSES = 100
COPIED = 100_000  # bytes, one at a time
WRITTEN = 32  # MiB
SMALL = 300  # files
WALKS = 5

PLACES = {
    "root": "the root file system",
    "volume": "a volume",
    "workspace": "the workspace",
}
_WHERE = {
    "root": "In /var/tmp.",
    "volume": "In the first volume of the machine.",
    "workspace": "In an empty folder of the host that is mounted as the workspace is; yours is not written.",
}


def _files() -> Sequence[Row]:
    rows = []
    for place, called in PLACES.items():
        rows += [
            Row(name=f"write-{place}", group=FILES, title=f"write to {called}", unit="bytes per second",
                better="more", method=f"dd writes {WRITTEN} MiB and syncs. {_WHERE[place]}"),
            Row(name=f"create-{place}", group=FILES, title=f"small files in {called}", unit="per second",
                better="more", method=f"A shell creates {SMALL} files of two bytes. {_WHERE[place]}"),
            Row(name=f"read-{place}", group=FILES, title=f"read from {called}", unit="bytes per second",
                better="more",
                method=f"cat reads the {WRITTEN} MiB again, from a cache if there is one. {_WHERE[place]}"),
            Row(name=f"walk-{place}", group=FILES, title=f"walk {called}", unit="per second", better="more",
                method=f"find looks at each of {SMALL} files, as `git status` does, {WALKS} times."
                f" {_WHERE[place]}"),
        ]  # fmt: skip
    return rows


ROWS: tuple[Row, ...] = (
    Row(name="cold", group=TIME, title="until ready, nothing cached", unit="seconds", better="less",
        asked_for=True, method="`up --rebuild`, once: all steps of the build, packages from the mirror."
        " Only the base is there already."),
    Row(name="ready", group=TIME, title="until ready, image or disk cached", unit="seconds", better="less",
        method="`up` after `down`, until it returns; the image or disk is built, and no state is saved. The"
        " time of saving one for later starts is in it."),
    Row(name="saved", group=TIME, title="until ready, from a saved state", unit="seconds", better="less",
        method="`up` after `down`, where the backend keeps the state of a machine that was ready."),
    Row(name="nothing", group=TIME, title="up, when nothing is to do", unit="seconds", better="less",
        method="`up` of an environment that is up and unchanged."),
    Row(name="stop", group=TIME, title="stop", unit="seconds", better="less",
        method="`stop` of an environment that is up."),
    Row(name="start", group=TIME, title="start again", unit="seconds", better="less",
        method="`up` after `stop`, until every service is ready."),
    Row(name="stored", group=BYTES, title="stored on this host", unit="bytes", better="less",
        method="The images' size according to the engine, or the blocks that the disks use;"
        " all machines together. Equal machines share it."),
    Row(name="sent", group=BYTES, title="to send to another host", unit="bytes", better="less",
        method="What is stored, compressed with gzip -1: what a registry or a web server would send."),
    Row(name="copy", group=BYTES, title="stored for each further copy", unit="bytes", better="less",
        method="What the machines have written of their own since their start; for QEMU, the saved state"
        " among it."),
    Row(name="memory", group=MEMORY, title="memory taken from this host", unit="bytes", better="less",
        method="The proportional set size (/proc/PID/smaps_rollup) of all processes of the machines, and of"
        " those that the engine runs for them: shims, port proxies, QEMU, passt. Just after ready, idle."),
    Row(name="further", group=MEMORY, title="memory for each further copy", unit="bytes", better="less",
        method="Of that, the memory that belongs to no file (Pss_Anon, Pss_Shmem). A further copy shares the"
        " rest: programs and libraries of the same image."),
    Row(name="inside", group=MEMORY, title="memory in use inside", unit="bytes", better="less",
        method="In a guest with a kernel of its own: MemTotal - MemAvailable of /proc/meminfo. In a control"
        " group: memory.current without inactive files."),
    Row(name="fit", group=MEMORY, title="copies that fit this host", unit="count", better="more",
        method="One, and as many further copies as fit into this host's available memory, idle. Neither"
        " disk nor processor is counted."),
    Row(name="cpu", group=SPEED, title="a fixed piece of work", unit="seconds", better="less",
        method=f"sh counts to {LOOPS}. Timed by the host's clock, less what an empty command takes."),
    Row(name="processes", group=SPEED, title="processes started", unit="per second", better="more",
        method=f"sh starts /bin/true {PROCESSES} times, one after the other."),
    Row(name="calls", group=SPEED, title="system calls", unit="per second", better="more",
        method=f"dd copies {COPIED} bytes from /dev/zero to /dev/null, one by one: a read and a write each."),
    *_files(),
    Row(name="requests", group=NETWORK, title="requests through a published port", unit="per second",
        better="more", method="Four clients on this host, each with one connection that it keeps, as quickly"
        " as they can, for a second. They ask what an `http` probe or check of the spec asks."),
    Row(name="latency", group=NETWORK, title="one request through a published port", unit="seconds",
        better="less", method="One client on this host, 30 requests on one connection; the median of them."),
    Row(name="kernel", group=BORDER, title="kernel", unit="text", better="neither",
        method="/proc/sys/kernel/osrelease, inside and on the host."),
    Row(name="capabilities", group=BORDER, title="capabilities of root", unit="text", better="neither",
        method="CapEff of a command run as root inside, from /proc/self/status."),
    Row(name="seccomp", group=BORDER, title="system calls allowed", unit="text", better="neither",
        method="Seccomp of a command run as root inside, from /proc/self/status."),
    Row(name="devices", group=BORDER, title="devices", unit="text", better="neither",
        method="The character and block devices below /dev, inside."),
    Row(name="restart", group=BORDER, title="kept by stop and start", unit="text", better="neither",
        method="Files in /var/tmp, /tmp and the first volume, and a sleeping program: which of them are there"
        " after `stop` and `up`."),
    Row(name="down", group=BORDER, title="kept by down", unit="text", better="neither",
        method="As `explain` reports it."),
    Row(name="escape", group=BORDER, title="what an escape reaches", unit="text", better="neither",
        method="Whose processes hold the machine on this host, and what confines them."),
)  # fmt: skip

BY_NAME = {row.name: row for row in ROWS}
GROUPS = tuple(dict.fromkeys(row.group for row in ROWS))


def select(words: Sequence[str]) -> tuple[Row, ...]:
    """The rows of these names, all but those that take long where none is named.

    A word is a row's name, or the beginning of several up to a dash (`write`), or `all`.

    Raises:
        UsageError: there is none of that name.
    """
    if not words:
        return tuple(row for row in ROWS if not row.asked_for)
    chosen: set[str] = set()
    for word in words:
        matching = {row.name for row in ROWS if word in ("all", row.name, row.name.partition("-")[0])}
        if not matching:
            from difflib import get_close_matches

            near = get_close_matches(word, BY_NAME, 1)
            raise UsageError(
                f"there is no row {word}",
                hint=(f"did you mean {near[0]}? " if near else "") + f"the rows are {', '.join(BY_NAME)}",
            )
        chosen |= matching
    return tuple(row for row in ROWS if row.name in chosen)
