"""Twenty environments on one engine, four at a time, beside as many projects of Compose: time and memory."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import tools
from measuring import PROJECT

from provision import process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MANY, AT_ONCE = 20, 4
FIRST_PORT = 18500
NAME = "bench-many-{number}"


def many(say: Callable[[str], None]) -> Sequence[str]:
    """A line for each tool: seconds until all answer, with nothing to do, and until all are gone; memory."""
    return [
        _measured("provision", _ours, say, up=("up", "--no-verify"), down=("down",)),
        _measured("compose --wait", _theirs, say, up=("up", "--detach", "--wait"), down=("down",)),
    ]


def _measured(
    tool: str,
    words_of: Callable[[int, Sequence[str]], Sequence[str]],
    say: Callable[[str], None],
    *,
    up: Sequence[str],
    down: Sequence[str],
) -> str:
    def seconds(verb: Sequence[str]) -> float:
        begun = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda number: _run(words_of(number, verb), number), range(MANY)))
        return time.monotonic() - begun

    say(f"{MANY} of {tool}")
    seconds(up)  # the images are there: each of our environments has one of its name
    seconds(down)
    before = _used()
    try:
        times = [seconds(up)]
        taken = _used() - before
        times.append(seconds(up))
    finally:
        times.append(seconds(down))
    each = " / ".join(f"{one:.1f} s" for one in times)
    return (
        f"{MANY} environments by {tool}, {AT_ONCE} at a time: up / again / down {each};"
        f" {taken / MANY / 2**20:.0f} MiB of the host's memory each, the engine's own included"
    )


def _run(words: Sequence[str], number: int) -> None:
    process.run(words, cwd=PROJECT, env=_port(number))


def _port(number: int) -> Mapping[str, str]:
    return {**os.environ, "BENCH_PORT": str(FIRST_PORT + number)}


def _ours(number: int, verb: Sequence[str]) -> Sequence[str]:
    named = ["--name", NAME.format(number=number), "--set", f"port={FIRST_PORT + number}"]
    return [tools.program(), verb[0], tools.SPEC, *named, "--allow", "host-code", *verb[1:]]


def _theirs(number: int, verb: Sequence[str]) -> Sequence[str]:
    project = ["--project-directory", tools.PEERS, "--project-name", NAME.format(number=number)]
    return ["docker", "compose", *project, *verb]


def _used() -> int:
    """The bytes of the host's memory that are not to be had by anyone else."""
    memory = psutil.virtual_memory()
    return int(memory.total - memory.available)
