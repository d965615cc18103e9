"""What was changed by hand: a machine compared with its own inventory from when it became ready."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from provision import engine
from provision.backends.machines import side_by_side
from provision.comparison import SINCE, Comparison, inventories_of
from provision.errors import EnvironmentFailed, ProvisionError, UsageError
from provision.hints import command
from provision.inventory import record
from provision.inventory.compare import compare
from provision.inventory.rules import of_drift
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.engine import Request
    from provision.inventory.model import Inventory
    from provision.model import Environment, Machine
    from provision.progress import Progress
    from provision.state import StateDir


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What was changed in one machine; `lacking` says why that is not known."""

    machine: str
    comparison: Comparison | None
    lacking: str = ""


class Recording:
    """The inventories of machines that have become ready, taken in the background."""

    def __init__(self, environment: Environment, backend: str) -> None:
        """Begin, for each machine that has none since it was made or changed."""
        state_dir = engine.state_of(environment, backend)
        lacking = [each for each in environment.machines if not state_dir.inventory_of(each.name).exists()]
        self._failure: Exception | None = None

        def take() -> None:
            try:
                for found in inventories_of(environment, backend, lacking, aside=True).values():
                    record.keep(state_dir.inventory_of(found.machine), found)
            except (ProvisionError, OSError) as error:
                self._failure = error

        # A daemon thread: an interrupted `up` does not wait for it.
        self._running = threading.Thread(target=take, daemon=True) if lacking else None
        if self._running:
            self._running.start()

    def finish(self, progress: Progress) -> None:
        """Wait until it is done; a machine that cannot be asked costs no more than a note."""
        if self._running and self._running.is_alive():
            with progress.step("recording the inventory"):
                self._running.join()
        if self._failure:
            progress.note(f"no inventory is recorded, so drift is not known: {self._failure}")


def recorded(state_dir: StateDir, machine: str) -> Inventory:
    """A machine's inventory from when it became ready.

    Raises:
        EnvironmentFailed: there is none, or it cannot be read.
    """
    path = state_dir.inventory_of(machine)
    if not path.exists():
        raise EnvironmentFailed(
            f"there is no inventory of {machine} from when it became ready",
            hint=f"{command('up', '--record')} records one, and verifies",
        )
    try:
        return record.load(path)[machine]
    except (UsageError, KeyError) as error:
        raise EnvironmentFailed(
            f"the recorded inventory of {machine} cannot be read",
            hint=f"remove {path}; {command('up', '--record')} records another",
        ) from error


def since_up(request: Request) -> Comparison:
    """What is otherwise in the machines than when they became ready.

    Raises:
        EnvironmentFailed: one has no recorded inventory.
        Unreachable: one is not running.
    """
    environment = engine.load(request, looking=True)
    state_dir = engine.state_of(environment, request.backend)
    before = {each.name: recorded(state_dir, each.name) for each in environment.machines}
    now = inventories_of(environment, request.backend, environment.machines)
    return _compared(environment.name, before, now)


def of_machines(environment: Environment, backend: str, running: Sequence[str]) -> Mapping[str, Drift]:
    """The drift of each of the machines that are named, all of which run."""
    state_dir = engine.state_of(environment, backend)
    machines = [each for each in environment.machines if each.name in running]

    def one(machine: Machine) -> Drift:
        try:
            before = recorded(state_dir, machine.name)
            now = inventories_of(environment, backend, [machine])
        except EnvironmentFailed as error:
            return Drift(machine=machine.name, comparison=None, lacking=f"{error}; {error.hint}")
        return Drift(
            machine=machine.name,
            comparison=_compared(environment.name, {machine.name: before}, now),
        )

    return {each.machine: each for each in side_by_side(one, machines)} if machines else {}


def _compared(name: str, before: Mapping[str, Inventory], now: Mapping[str, Inventory]) -> Comparison:
    return Comparison(
        name=name,
        left=SINCE,
        right="now",
        differences=tuple(
            each for machine in now for each in compare(before[machine], now[machine], of_drift())
        ),
    )
