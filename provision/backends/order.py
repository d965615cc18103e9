"""Runs machines in parallel, each once those that it needs are ready."""

from __future__ import annotations

import queue
import threading
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from provision.model import Machine


def in_order(machines: Collection[Machine], act: Callable[[Machine], None]) -> None:
    """Do something for each machine, in parallel unless one needs another.

    Raises:
        Exception: the first that one raised. What needs that machine was not begun; what
            was begun goes on in the background and is not waited for.
    """
    if len(machines) == 1:
        act(*machines)
        return
    by_name = {machine.name: machine for machine in machines}
    waiting = TopologicalSorter(
        {name: [need for need in machine.needs if need in by_name] for name, machine in by_name.items()}
    )
    waiting.prepare()
    ended: queue.SimpleQueue[tuple[str, BaseException | None]] = queue.SimpleQueue()

    def one(name: str) -> None:
        try:
            act(by_name[name])
        except BaseException as error:  # noqa: BLE001 - raised again by who waits
            ended.put((name, error))
        else:
            ended.put((name, None))

    while waiting.is_active():
        for name in waiting.get_ready():
            # A daemon: whoever interrupts does not wait for machines that are not ready yet.
            threading.Thread(target=one, args=(name,), daemon=True).start()
        name, error = ended.get()
        if error is not None:
            raise error
        waiting.done(name)
