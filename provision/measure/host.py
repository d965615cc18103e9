"""What is measured on the host: the memory of processes, the size of what is sent, answers of a port."""

from __future__ import annotations

import http.client
import os
import platform
import threading
import time
import zlib
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from provision import process
from provision.measure.model import Cell, Host
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.model import Machine, PortStatus

PROC = Path("/proc")
CHUNK = 1 << 20
CLIENTS = 4
ASKS_FOR = 1.0  # seconds
REQUESTS = 30
ANSWERS_WITHIN = 20.0
ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, never bound
HERE = ("localhost", "127.0.0.1", "::1", *ANYWHERE)


def host() -> Host:
    """Where this runs."""
    import psutil

    return Host(
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        cpus=psutil.cpu_count() or 1,
        memory=psutil.virtual_memory().total,
    )


def _processor() -> str:
    with suppress(OSError):
        for line in (PROC / "cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes: `proportional` of all, `own` of no file; `note` where they are not of smaps_rollup."""

    proportional: int
    own: int
    note: str = ""


def memory(processes: Sequence[int], proc: Path = PROC) -> Memory | str:
    """The memory of these processes, or in words why it is not known.

    Another user's processes cannot be read; what their control groups count is taken then.
    """
    sums = {"Pss": 0, "Pss_Anon": 0, "Pss_Shmem": 0}
    for number in processes:
        try:
            text = (proc / str(number) / "smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            if not proc.is_dir():
                return "this host has no /proc"
            continue  # it has ended
        except OSError:
            return _of_groups(processes, proc)
        for line in text.splitlines():
            name, _, rest = line.partition(":")
            if name in sums:
                sums[name] += int(rest.split()[0]) * 1024
    if not sums["Pss"]:
        return "its processes cannot be seen from this host"
    return Memory(proportional=sums["Pss"], own=sums["Pss_Anon"] + sums["Pss_Shmem"])


def _of_groups(processes: Sequence[int], proc: Path) -> Memory | str:
    """What the control groups of these processes count, each once."""
    groups = set()
    for number in processes:
        with suppress(OSError):
            text = (proc / str(number) / "cgroup").read_text()
            groups |= {line[3:] for line in text.splitlines() if line.startswith("0::/")}
    total = own = 0
    for group in groups - {"/"}:
        with suppress(OSError):
            text = Path(f"/sys/fs/cgroup{group}/memory.stat").read_text()
            known = {name: int(value) for name, value in (line.split() for line in text.splitlines())}
            ours = known["anon"] + known.get("shmem", 0) + known.get("kernel", 0)
            own += ours
            total += ours + known.get("file_mapped", 0)
    if not total:
        return "this user may not read it: run as root"
    return Memory(
        proportional=total, own=own, note="as control groups count it: run as root for the exact one"
    )


def fits(mine: Memory) -> int:
    """How many there may be, the first one among them."""
    import psutil

    return 1 + int(psutil.virtual_memory().available // max(mine.own, 1))


def sizes(commands: Sequence[Sequence[str]]) -> tuple[int, int]:
    """The bytes that these commands print, and how many they are compressed."""
    raw = packed = 0
    for words in commands:
        child = process.start(words)
        assert child.stdout is not None  # noqa: S101 - process.start gives three pipes
        compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
        try:
            while data := child.stdout.read(CHUNK):
                raw += len(data)
                packed += len(compressor.compress(data))
            packed += len(compressor.flush())
        finally:
            process.kill(child)
    return raw, packed


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A published port that speaks HTTP, and what to ask there."""

    address: str
    port: int
    path: str


def endpoint(machine: Machine, ports: Sequence[PortStatus]) -> Endpoint | str:
    """What of a machine can be asked from the host, or in words why nothing can."""
    published = {port.guest: port for port in ports if port.protocol == "tcp"}
    if not published:
        return "no published port"
    urls = [s.ready.subject for s in machine.services if s.ready and s.ready.kind == "http"]
    urls += [check.subject for check in machine.checks if check.kind == "http"]
    for url in urls:
        with suppress(ValueError):
            parts = urlsplit(url)
            port = published.get(parts.port or 80)
            if parts.scheme == "http" and port is not None and parts.hostname in HERE:
                address = "127.0.0.1" if port.address in ANYWHERE else port.address
                query = f"?{parts.query}" if parts.query else ""
                return Endpoint(address=address, port=port.host, path=(parts.path or "/") + query)
    return "no http probe or check asks a published port"


def network(endpoint: Endpoint, runs: int) -> tuple[Cell, Cell]:
    """Requests per second, and the seconds of one."""
    try:
        _client(endpoint, count=3)
        latency = tuple(median(_client(endpoint, count=REQUESTS)) for _ in range(runs))
        rates = tuple(_rate(endpoint) for _ in range(runs))
    except (OSError, http.client.HTTPException) as error:
        note = f"{endpoint.address}:{endpoint.port} does not answer: {error}"
        return Cell(note=note), Cell(note=note)
    return Cell(values=rates), Cell(values=latency)


def _rate(endpoint: Endpoint) -> float:
    counts: list[int] = []
    begun = time.monotonic()

    def one() -> None:
        with suppress(OSError, http.client.HTTPException):
            counts.append(len(_client(endpoint, until=begun + ASKS_FOR)))

    clients = [threading.Thread(target=one) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    if len(counts) < CLIENTS:
        raise ConnectionError("it hung up on one of several clients")
    return sum(counts) / (time.monotonic() - begun)


def _client(endpoint: Endpoint, *, count: int | None = None, until: float = float("inf")) -> list[float]:
    """Ask again and again on one connection; the seconds of each answer."""
    connection = http.client.HTTPConnection(endpoint.address, endpoint.port, timeout=ANSWERS_WITHIN)
    seconds: list[float] = []
    try:
        while (count is None or len(seconds) < count) and time.monotonic() < until:
            begun = time.monotonic()
            connection.request("GET", endpoint.path, headers={"User-Agent": "provision"})
            connection.getresponse().read()
            seconds.append(time.monotonic() - begun)
    finally:
        connection.close()
    return seconds


def kernel() -> str:
    """The release of the host's kernel."""
    return os.uname().release
