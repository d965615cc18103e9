"""What the managers say of an environment while it changes, asked once for all who wait."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from provision.backends.swarm.observe import services_of
from provision.docker_client import swarm
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.docker_client.swarm import Node, Service, Task
    from provision.state import StateDir

FRESH = 0.5  # seconds that an answer is good for


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One look: services by their full names, tasks the newest first, nodes by id."""

    services: Mapping[str, Service]
    tasks: tuple[Task, ...]
    nodes: Mapping[str, Node]


class Watch:
    """Looks at most twice a second, however many ask.

    Args:
        state_dir: of the environment.
    """

    def __init__(self, state_dir: StateDir) -> None:
        self._state_dir = state_dir
        self._lock = threading.Lock()
        self._seen: Seen | None = None
        self._when = 0.0

    def look(self, *, anew: bool = False) -> Seen:
        """What there is now, or was a moment ago.

        Args:
            anew: what was seen before something was changed is of no use.
        """
        with self._lock:
            if anew or self._seen is None or time.monotonic() - self._when > FRESH:
                services = services_of(self._state_dir)
                self._seen = Seen(
                    services=services,
                    tasks=swarm.tasks(services),
                    nodes={node.id: node for node in swarm.nodes()},
                )
                self._when = time.monotonic()
            return self._seen
