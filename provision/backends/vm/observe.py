"""What the driver and the machines have of an environment now: read, never changed, nothing decided."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Literal

from provision import guest_paths
from provision.backends import causes, in_place
from provision.backends.machines import side_by_side
from provision.backends.ports import notes_on_ports
from provision.backends.readiness import HEALTHY
from provision.backends.vm import written
from provision.backends.vm.driver import ForwardsLater, is_connected, starts_provisioned, volumes_of
from provision.backends.vm.guest import secrets
from provision.backends.vm.guest.commands import SAYS_WITHIN, ask
from provision.backends.vm.records import definition_of, machine_records
from provision.quick_dataclasses import dataclass
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.backends.in_place import MachineParts
    from provision.backends.vm.driver import Driver, GuestState
    from provision.model import Environment, Machine
    from provision.rendering import Rendering
    from provision.state import StateDir
    from provision.target import Output

APPLIED = guest_paths.APPLIED
QUIESCED = guest_paths.QUIESCED  # not empty while a machine is without the host's folders
COMES_BACK_WITHIN = 20.0  # seconds: a busy host's machine may be slow, and is not booted again for it

Answer = Literal["ready", "not ready", "another recipe", "without its folders", "none"]
"""What a running machine says: whether it is ready, or what else was applied to it; `none`: nothing."""
_ANSWERS: Mapping[int, Answer] = {0: "ready", 3: "another recipe", 4: "without its folders"}


@dataclass(frozen=True, kw_only=True)
class SeenMachine:
    """A machine as it is.

    `definition` is the hash of what it was created as, `applied` of what it says was
    applied to it. `answer` is there where it runs and
    was created as it would be now; `connected`, `forwarded` and `stale_secrets` where it has
    answered that it is as it should be.
    """

    state: GuestState
    definition: str | None = None
    answer: Answer | None = None
    applied: str = ""
    connected: bool = True
    forwarded: bool = True
    stale_secrets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What matters only where something changes.

    `written` are the bytes written to each machine's own disk since it was ready, where that is known.
    """

    volumes: tuple[str, ...]
    notes_on_ports: tuple[str, ...]
    written: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Observed:
    """An environment as it is; `there` are the machines that its driver has, others than the spec's too."""

    machines: Mapping[str, SeenMachine]
    there: tuple[str, ...]
    starts_provisioned: bool
    aspects: Mapping[str, Mapping[str, str]]
    parts: Mapping[str, MachineParts] = field(default_factory=dict)
    surroundings: Surroundings | None = None


def observe(environment: Environment, driver: Driver, state_dir: StateDir, rendering: Rendering) -> Observed:
    """Read what there is of the environment, without its surroundings; machines are asked side by side."""

    def see(machine: Machine) -> SeenMachine:
        return _see(machine, driver, state_dir, rendering)

    seen = side_by_side(see, environment.machines)
    names = [machine.name for machine in environment.machines]
    return Observed(
        machines=dict(zip(names, seen, strict=True)),
        there=driver.machines(state_dir),
        starts_provisioned=starts_provisioned(driver, state_dir),
        aspects=causes.noted_aspects(state_dir),
        parts=in_place.noted(state_dir),
    )


def with_surroundings(
    observed: Observed, environment: Environment, driver: Driver, state_dir: StateDir
) -> Observed:
    """The same, and what else a change meets."""
    surroundings = Surroundings(
        volumes=volumes_of(driver, state_dir),
        notes_on_ports=notes_on_ports(environment, state_dir, ports_held(driver, state_dir)),
        written=written.since_ready(driver, state_dir, observed.there),
    )
    return replace(observed, surroundings=surroundings)


def ports_held(driver: Driver, state_dir: StateDir) -> set[tuple[int, str]]:
    """The ports of the host that the environment's running machines have."""
    return {
        (port.host, port.protocol)
        for name, record in machine_records(state_dir).items()
        if driver.state(state_dir, name) == "running"
        for port in record.ports
    }


def _see(machine: Machine, driver: Driver, state_dir: StateDir, rendering: Rendering) -> SeenMachine:
    name = machine.name
    seen = SeenMachine(state=driver.state(state_dir, name), definition=definition_of(state_dir, name))
    if seen.state != "running" or seen.definition != rendering.digests[name]:
        return seen
    answer, applied = _answer(machine, driver, state_dir, rendering)
    seen = replace(seen, answer=answer, applied=applied)
    if answer == "another recipe":
        return replace(seen, stale_secrets=tuple(secrets.stale(state_dir, machine)))
    if seen.answer not in ("ready", "not ready"):
        return seen
    if not is_connected(driver, state_dir, name):
        return replace(seen, connected=False)
    record = machine_records(state_dir).get(name)
    if record and isinstance(driver, ForwardsLater):
        seen = replace(seen, forwarded=driver.is_forwarded(state_dir, name, record.ports))
    if not seen.forwarded:
        return seen
    return replace(seen, stale_secrets=tuple(secrets.stale(state_dir, machine)))


def _answer(
    machine: Machine, driver: Driver, state_dir: StateDir, rendering: Rendering
) -> tuple[Answer, str]:
    """What a running machine says, and what else was applied to it."""
    digest = rendering.recipes[machine.name]
    applied = f'{{ read -r _applied <{APPLIED} && [ "$_applied" = {digest} ]; }} 2>/dev/null'
    # Whoever was killed while it saved a machine may have left it without the host's folders.
    script = f"{applied} || {{ cat {APPLIED}; exit 3; }}; [ ! -s {QUIESCED} ] || exit 4; {HEALTHY}"
    try:
        output = _ask(machine.name, driver, state_dir, script)
    except Unreachable:
        return "none", ""
    answer = _ANSWERS.get(output.code, "not ready")
    return answer, output.stdout.decode("ascii", "replace").strip() if answer == "another recipe" else ""


def _ask(name: str, driver: Driver, state_dir: StateDir, script: str) -> Output:
    """The output of a script inside, of a machine that is given time unless it is paused."""
    try:
        return ask(driver, state_dir, name, script, answers_within=SAYS_WITHIN)
    except Unreachable:
        if driver.silence(state_dir, name) == "paused":
            raise
        return ask(driver, state_dir, name, script, answers_within=COMES_BACK_WITHIN)
