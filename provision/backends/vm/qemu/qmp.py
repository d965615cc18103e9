"""QEMU's own control socket, through the QEMU project's library."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from provision.errors import EnvironmentFailed
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

ANSWERS_WITHIN = 60.0
BETWEEN = 0.02
BRIEFLY = 2.0
_Answer = TypeVar("_Answer")


def execute(
    socket: Path,
    command: str,
    arguments: Mapping[str, object] | None = None,
    *,
    within: float = ANSWERS_WITHIN,
) -> Any:
    """One command, and its answer within some seconds.

    Raises:
        Unreachable: nobody answers there.
        EnvironmentFailed: QEMU refused.
    """

    async def once(client: Any) -> Any:
        return await client.execute(command, dict(arguments or {}))

    return _converse(socket, once, within)


def run_job(socket: Path, command: str, arguments: Mapping[str, object]) -> None:
    """A command that is a job, to its end.

    Raises:
        Unreachable: QEMU ended meanwhile.
        EnvironmentFailed: the job failed, with QEMU's reason.
    """
    import asyncio

    async def conversation(client: Any) -> None:
        name = "provision"
        await client.execute(command, {"job-id": name, **arguments})
        while True:
            jobs = await client.execute("query-jobs")
            job = next(job for job in jobs if job["id"] == name)
            if job["status"] == "concluded":
                break
            await asyncio.sleep(BETWEEN)
        await client.execute("job-dismiss", {"id": name})
        if error := job.get("error"):
            raise EnvironmentFailed(f"QEMU refused {command}", evidence=[error])

    _converse(socket, conversation, ANSWERS_WITHIN)


def forwarded_port(socket: Path, guest: int) -> int:
    """The host's port that was chosen for a TCP port of the guest."""
    output = execute(socket, "human-monitor-command", {"command-line": "info usernet"})
    match = re.search(rf"^\s*TCP\[HOST_FORWARD\].*?\s(\d+)\s+\S+\s+{guest}\s", output, re.MULTILINE)
    if match is None:
        raise EnvironmentFailed(f"QEMU does not forward port {guest}", evidence=output.splitlines())
    return int(match[1])


def open_files(socket: Path) -> tuple[str, ...]:
    """The files of the machine's disks."""
    blocks = execute(socket, "query-block")
    return tuple(each["inserted"]["file"] for each in blocks if "inserted" in each)


def disks(socket: Path) -> Mapping[str, str]:
    """The machine's disks: the name of each one's node, and its file."""
    blocks = execute(socket, "query-block")
    return {each["inserted"]["node-name"]: each["inserted"]["file"] for each in blocks if "inserted" in each}


def memory(socket: Path) -> int | None:
    """The bytes of memory that the machine has; None where QEMU does not say."""
    try:
        return int(execute(socket, "query-memory-size-summary", within=BRIEFLY)["base-memory"])
    except EnvironmentFailed:
        return None


def _converse(socket: Path, conversation: Callable[[Any], Awaitable[_Answer]], within: float) -> _Answer:
    import asyncio

    from qemu.qmp import QMPClient, QMPError

    async def connected() -> _Answer:
        client = QMPClient()
        await client.connect(str(socket))
        try:
            return await conversation(client)
        finally:
            with suppress(Exception):  # whatever was to be said has been answered
                await client.disconnect()

    try:
        return asyncio.run(asyncio.wait_for(connected(), within))
    except EnvironmentFailed:
        raise
    except (QMPError, OSError, EOFError, TimeoutError) as error:
        raise Unreachable(f"QEMU does not answer at {socket}", evidence=[str(error)]) from error
