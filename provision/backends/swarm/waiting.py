"""Waits until a machine of a Swarm is ready, and has an update that fails taken back."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from provision.backends.container_labels import RENDERING, SECRETS
from provision.backends.container_logs import read_logs
from provision.backends.readiness import wait_until_ready
from provision.backends.swarm.decide import stands
from provision.backends.swarm.render import service_name
from provision.docker_client import swarm
from provision.errors import EnvironmentFailed, ProvisionError
from provision.hints import command
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from provision.backends.base import Action
    from provision.backends.swarm.decide import Standing
    from provision.backends.swarm.reach import Reach
    from provision.backends.swarm.render import Group
    from provision.backends.swarm.watch import Seen, Watch
    from provision.docker_client.swarm import Service, Task
    from provision.model import Environment, Machine
    from provision.progress import Progress
    from provision.rendering import Rendering

LAST_LINES = 20
BETWEEN = 0.3
TRIES = 2  # tasks that may fail before the next ones are not waited for
PLACED_WITHIN = 20.0  # seconds that the managers may look for a node
BEGINS_WITHIN = 3.0
GOES_BACK_WITHIN = 90.0
_UPDATES = ("recreate", "refresh")


@dataclass(frozen=True, kw_only=True)
class Waiter:
    """Waits for machines of one environment.

    Args:
        environment: whose they are.
        rendering: what they are to be.
        watch: asks the managers.
        reach: the ways to the nodes' engines.
        timeout: seconds for each wait, setup included.
        known: the tasks that had failed before.
        secrets: what stands for the secrets of each service, by its name in the stack.
    """

    environment: Environment
    rendering: Rendering
    watch: Watch
    reach: Reach
    timeout: float
    known: Collection[str]
    secrets: Mapping[str, str]
    _failed: dict[str, EnvironmentFailed] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(
        self, machine: Machine, group: Group, action: Action, progress: Progress, *, touched: bool
    ) -> None:
        """Wait until the machine is ready, and its update complete.

        Args:
            machine: the machine.
            group: its service.
            action: what is done to it.
            progress: told what is being waited for.
            touched: the Swarm was told something new of its service just now.

        Raises:
            EnvironmentFailed: it will not be ready; an update is taken back then.
        """
        full = service_name(self.environment, group.name)
        try:
            self._until_running(machine, group, full, progress, touched=touched)
            if touched:
                self._until_updated(full, progress, changed=action in _UPDATES)
        except EnvironmentFailed as error:
            if not touched or action not in _UPDATES:
                raise
            with self._lock:  # of equal machines the first that fails says why; the others wait for it
                if full not in self._failed:
                    self._failed[full] = self._taken_back(full, machine, error, progress)
            raise self._failed[full] from error

    def _taken_back(
        self, full: str, machine: Machine, error: EnvironmentFailed, progress: Progress
    ) -> EnvironmentFailed:
        if not self._goes_back(full, progress):
            return error
        return EnvironmentFailed(
            f"{error.message}; the Swarm runs again what it ran before",
            evidence=error.evidence,
            hint=error.hint,
            machine=machine.name,
        )

    def _until_running(
        self, machine: Machine, group: Group, full: str, progress: Progress, *, touched: bool
    ) -> None:
        begun = time.monotonic()
        slot = group.machines.index(machine) + 1
        judged = ""
        placed = begun
        while True:
            seen = self.watch.look()
            service = seen.services.get(full)
            if service is None:
                raise EnvironmentFailed(f"the service {full} was removed meanwhile", machine=machine.name)
            if touched:
                _refuse_undone(machine, service)
            standing = stands(service, slot, seen.tasks, seen.nodes)
            task = standing.task
            if task is None or not self._is_new(group, task):
                progress.line(standing.note or "its turn has not come")
                task = None
            elif standing.state == "running" and judged == task.id:
                return
            elif task.container and standing.state in ("starting", "running") and judged != task.id:
                judged = self._judged(machine, service, task, progress)
                continue
            elif task.state == "pending" and time.monotonic() - placed > PLACED_WITHIN:
                raise self._no_place(machine, standing)
            self._refuse_failing(machine, group, service, seen)
            if task is not None and task.state != "pending":
                placed = time.monotonic()
            if time.monotonic() - begun > self.timeout:
                raise EnvironmentFailed(
                    f"machine {machine.name} was not ready within {self.timeout:g} s",
                    evidence=[standing.note] if standing.note else [],
                    hint=f"see {self._logs(machine)}, or allow more time with --timeout",
                    machine=machine.name,
                )
            if standing.note:
                progress.line(standing.note)
            time.sleep(BETWEEN)

    def _is_new(self, group: Group, task: Task) -> bool:
        """Whether a task is of what the spec says now, not one that is still to be replaced."""
        return (
            task.labels.get(RENDERING) == self.rendering.digests[group.first.name]
            and task.labels.get(SECRETS, "") == self.secrets[group.name]
        )

    def _judged(self, machine: Machine, service: Service, task: Task, progress: Progress) -> str:
        """The task once it was found ready from inside, or cannot be asked; empty if it has ended."""
        try:
            target = self.reach.target(machine.name, service, task)
        except Unreachable as error:
            progress.note(f"{machine.name}: {error.message}; the Swarm's own word is taken")
            return task.id
        try:
            with target:
                wait_until_ready(
                    machine,
                    target,
                    progress,
                    timeout=self.timeout,
                    last_lines=partial(last_lines, task, machine),
                    several=self.environment.several,
                )
        except Unreachable:
            time.sleep(BETWEEN)
            self.watch.look(anew=True)
            return ""
        return task.id

    def _refuse_failing(self, machine: Machine, group: Group, service: Service, seen: Seen) -> None:
        """Raise if tasks of what is wanted now keep failing."""
        slot = group.machines.index(machine) + 1
        failed = [
            task
            for task in seen.tasks
            if task.service == service.id
            and task.slot == slot
            and task.state in ("failed", "rejected")
            and task.id not in self.known
            and self._is_new(group, task)
        ]
        if len(failed) < TRIES:
            return
        node = seen.nodes.get(failed[0].node)
        where = f" on {node.name}" if node else ""
        raise EnvironmentFailed(
            f"machine {machine.name} does not start{where}: {failed[0].message}",
            evidence=last_lines(failed[0], machine, "") if failed[0].container else (),
            hint=f"see {self._logs(machine)}",
            machine=machine.name,
        )

    def _no_place(self, machine: Machine, standing: Standing) -> EnvironmentFailed:
        return EnvironmentFailed(
            f"the Swarm finds no node for machine {machine.name}",
            evidence=[standing.note],
            hint="look at `docker node ls`; volumes, folders, `resources` and `constraints` limit the choice",
            machine=machine.name,
        )

    def _until_updated(self, full: str, progress: Progress, *, changed: bool) -> None:
        """Wait until the managers are content with what they changed, which takes some seconds."""
        begun = time.monotonic()
        begins = begun + (BEGINS_WITHIN if changed else 0.0)
        service = None
        while time.monotonic() - begun < self.timeout:
            service = self.watch.look().services.get(full)
            not_yet = service is not None and not service.update and time.monotonic() < begins
            if not not_yet and (service is None or service.update not in ("updating", "rollback_started")):
                break
            progress.line("the Swarm watches whether it stays up")
            time.sleep(BETWEEN)
        if service is not None:
            _refuse_undone(None, service)

    def _goes_back(self, full: str, progress: Progress) -> bool:
        """Have an update taken back, and wait for that; False where there is nothing to go back to."""
        service = self.watch.look(anew=True).services.get(full)
        if service is None or not service.has_former:
            return False
        if not service.update.startswith("rollback"):
            swarm.roll_back(full)
        end = time.monotonic() + GOES_BACK_WITHIN
        with progress.step("going back to what ran before"):
            while time.monotonic() < end:
                service = self.watch.look(anew=True).services.get(full)
                if service is None or service.update in ("rollback_completed", "rollback_paused"):
                    break
                time.sleep(BETWEEN)
        return service is not None and service.update == "rollback_completed"

    def _logs(self, machine: Machine) -> str:
        return command("logs", machine=machine.name if self.environment.several else None)


def _refuse_undone(machine: Machine | None, service: Service) -> None:
    """Raise if the managers took an update back, or stopped in the middle of one."""
    if service.update.startswith("rollback") or service.update == "paused":
        what = f"machine {machine.name}" if machine else f"the service {service.name}"
        raise EnvironmentFailed(
            f"{what} did not stay up after the update",
            evidence=[service.update_message] if service.update_message else (),
            hint="`docker service ps --no-trunc` shows the tasks that failed",
            machine=machine.name if machine else "",
        )


def last_lines(task: Task, machine: Machine, service: str) -> Sequence[str]:
    """The end of what a task's container printed, as far as its node can be asked."""
    lines: list[str] = []
    names = tuple(each.name for each in machine.services)
    try:
        read_logs(
            task.container,
            names,
            [service] if service else [],
            lines.append,
            logs_words=partial(swarm.logs_words, task.id),
        )
    except ProvisionError:
        return ()
    return lines[-LAST_LINES:]
