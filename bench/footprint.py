"""What machines take of their host: memory for one, five and ten of them, disk for one and five."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import tools
from measuring import PROJECT

from provision import process
from provision.state import StateDir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

NAME = "bench-footprint-{number}"
FIRST_PORT = 18300
ALL = 10


def footprint(say: Callable[[str], None]) -> Sequence[str]:
    """A line for each number of environments of one spec that are up at the same time."""
    lines = []
    try:
        for number in range(1, ALL + 1):
            process.run(_ours("up", number, "--no-verify"), cwd=PROJECT)
            say(f"footprint: {number} of {ALL} are up")
            if number not in (1, 5, 10):
                continue
            resident = sum(_resident()) >> 20
            line = f"{number} up: {resident} MiB resident, {resident // number} each"
            if number <= 5:
                own = sum(_bytes(_state(n)) for n in range(1, number + 1))
                shared = _bytes(_disk()) >> 20
                line += f"; on disk {own >> 20} MiB of their own, including saved states, and {shared} shared"
            lines.append(line)
    finally:
        for number in range(1, ALL + 1):
            process.run(_ours("down", number, "--images"), cwd=PROJECT, check=False)
    return lines


def _ours(verb: str, number: int, *words: str) -> list[str]:
    port = f"port={FIRST_PORT + number}"
    name = NAME.format(number=number)
    return [tools.program(), verb, tools.SPEC, "-b", "vm", "--name", name, "--set", port, *words]


def _resident() -> Iterator[int]:
    """The bytes of each QEMU of these environments, what they share divided among them."""
    for each in psutil.process_iter(["cmdline"]):
        if any("bench-footprint-" in word for word in each.info["cmdline"] or ()):
            yield each.memory_full_info().pss


def _disk() -> Path:
    """The disk on which the first one's lies."""
    overlay = _state(1) / "qemu" / f"{NAME.format(number=1)}.qcow2"
    told = process.run(["qemu-img", "info", "--force-share", str(overlay)]).stdout
    found = next(line for line in told.splitlines() if line.startswith("backing file: "))
    return Path(found.removeprefix("backing file: ").partition(" (")[0]).parent


def _state(number: int) -> Path:
    """Where one of them keeps what is its own."""
    return StateDir.of(PROJECT, NAME.format(number=number), "vm").folder


def _bytes(folder: Path) -> int:
    """What is allocated for a folder's files."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
