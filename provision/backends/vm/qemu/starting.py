"""Machines from nothing, from their disks, or from memory, until each answers."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Literal

from provision import process
from provision.backends.ports import kept, key, variable
from provision.backends.readiness import HEALTHY, patience, unready
from provision.backends.vm import acceleration
from provision.backends.vm.architecture import required
from provision.backends.vm.boot import Hangs, Watch, shown
from provision.backends.vm.connection import CONFIGURATION
from provision.backends.vm.images import Made, Shelf, Way, way
from provision.backends.vm.qemu import memory
from provision.backends.vm.qemu.host import BETWEEN, PortTaken, Seat
from provision.backends.vm.qemu.made import MadeMachine, made_machines, remember_made
from provision.backends.vm.qemu.network import OPEN, free_port, network, passt_lacks
from provision.backends.vm.qemu.rendering import disk_size, held, network_of
from provision.bases.disk import build_disk, can_make_disk
from provision.errors import EnvironmentFailed, HostLacks, ProvisionError
from provision.hints import command
from provision.process import EVIDENCE_LINES
from provision.progress import ParallelProgress
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.backends.vm.acceleration import Accelerator
    from provision.model import Environment, Machine
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.state import StateDir

DISKS = Shelf(kind="disk", within="disks", file="disk.qcow2")
BOOTS_WITHIN = 300.0  # seconds: ten to thirty under emulation, more on a busy host
ANSWERS_WITHIN = 20.0  # seconds
ASKED_AGAIN = 30.0  # what is said while a machine boots may be lost
EMULATED = "tcg,thread=multi,tb-size=256"


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a call of `start` knows: where an environment lies, and what it is made of."""

    state_dir: StateDir
    rendering: Rendering
    progress: Progress

    def seat(self, machine: Machine) -> Seat:
        """Where a machine sits."""
        return Seat(state_dir=self.state_dir, machine=machine.name)

    def made_now(self, machine: Machine, build: Way, former: MadeMachine | None) -> MadeMachine:
        """What a machine is made of now; what does not follow from its spec is as it was."""
        definition = self.rendering.digests[machine.name]
        recipe = self.rendering.recipes[machine.name] if build == "image" else ""
        if former is None:
            return MadeMachine(definition=definition, build=build, recipe=recipe)
        return replace(former, definition=definition, build=build, recipe=recipe)


def prepare(
    machines: Sequence[Machine],
    state_dir: StateDir,
    progress: Progress,
    rendering: Rendering,
    *,
    rebuild: bool,
) -> None:
    """Have the disks that these machines are to be made of; no machine is touched."""
    state_dir.make()
    for machine in machines:
        asked = Start(state_dir=state_dir, rendering=rendering, progress=progress)
        made, record = _records(asked, machine)
        if rebuild or record != made or not DISKS.known(made.disk).is_there:
            _disk(asked, machine, record.build, rebuild=rebuild)


@dataclass(frozen=True, kw_only=True)
class Started:
    """How a machine was started: `new`, from its own `disk`, or from `memory`; held back by `hold`."""

    how: Literal["new", "disk", "memory"]
    disk: Made
    accelerator: Accelerator
    hold: str | None = None


def start(
    environment: Environment,
    state_dir: StateDir,
    progress: Progress,
    rendering: Rendering,
) -> None:
    """Have every machine running as it is rendered, and answering.

    One that runs as it should is left alone; one that is stopped and unchanged boots from
    its own disk; any other is made anew, from memory where a state of it is kept.
    """
    asked = Start(state_dir=state_dir, rendering=rendering, progress=progress)
    state_dir.make()
    several = len(environment.machines) > 1

    def one(machine: Machine) -> Started | None:
        said = ParallelProgress(progress, machine.name) if several else progress
        return _start(replace(asked, progress=said), machine)

    with (
        progress.step("starting the machines") if several else progress.wait("starting the machine"),
        ThreadPoolExecutor(len(environment.machines)) as pool,
    ):
        ways = list(zip(environment.machines, pool.map(one, environment.machines), strict=True))
    booted = {machine.name: started for machine, started in ways if started is not None}
    if booted and (reason := passt_lacks()):
        progress.note(f"{OPEN}: {reason} (scripts/host-setup vm installs passt)")
    if any(started.how != "memory" for started in booted.values()):
        with progress.step("booting"):
            for machine in environment.machines:
                if machine.name in booted and booted[machine.name].how != "memory":
                    said = ParallelProgress(progress, machine.name) if several else progress
                    booted[machine.name] = _wait(replace(asked, progress=said), machine, booted[machine.name])
    for name in booted:
        Seat(state_dir=state_dir, machine=name).note_answered()
    for machine in environment.machines:
        if machine.name in booted:
            whole = replace(made_machines(state_dir)[machine.name], half_made=False)
            suspends = _suspends(asked, machine, whole, booted[machine.name])
            remember_made(state_dir, machine.name, replace(whole, suspends=suspends))
    _write_configuration(asked, environment)
    for machine in environment.machines:
        made = made_machines(state_dir)[machine.name]
        started = booted.get(machine.name)
        if started is not None and started.how == "new" and _keeps_memory(machine, made.build):
            _keep_memory(asked, machine, started)


def _start(asked: Start, machine: Machine) -> Started | None:
    """Start a machine, in the quickest way there is; None where it runs as it should."""
    seat = asked.seat(machine)
    made, record = _records(asked, machine)
    build = record.build
    same = record == made
    again = same or build == "provision" == (made and made.build)
    if made is not None and seat.overlay.exists() and again and not made.half_made:
        if same and seat.process() is not None:
            seat.go_on()
            if _answers(seat):
                return None
        seat.shut_down()
        own = DISKS.known(made.disk)
        kind = _accelerator(asked, machine, own)
        if same and _resume(asked, machine, own, kind):
            return Started(how="memory", disk=own, accelerator=kind)
        if build == "provision":
            seat.grow(disk_size(machine))
        remember_made(asked.state_dir, machine.name, record)
        started = Started(how="disk", disk=own, accelerator=kind)
        seat.start(_variables(asked, machine, started))
        return started
    seat.shut_down()
    memory.drop_suspended(seat)
    seat.overlay.unlink(missing_ok=True)
    disk = DISKS.known(made.disk) if made is not None and same else None
    if disk is None or not disk.is_there:
        disk = _disk(asked, machine, build, rebuild=False)
    # Whoever ends this now leaves a machine that `down` knows, and the next `up` makes anew.
    disk.claim(seat.overlay)
    record = replace(record, disk=disk.name, half_made=True, suspends="")
    remember_made(asked.state_dir, machine.name, record)
    if made is not None and made.disk and made.disk != disk.name:
        DISKS.known(made.disk).release(seat.overlay)
    keeps = _keeps_memory(machine, build)
    hold = held(machine, _folders(machine)) if keeps else None
    kind = _accelerator(asked, machine, disk)
    started = Started(how="memory", disk=disk, accelerator=kind, hold=hold)
    if keeps and _start_from_memory(asked, machine, started):
        return started
    started = replace(started, how="new")
    seat.start(_variables(asked, machine, started))
    return started


def _records(asked: Start, machine: Machine) -> tuple[MadeMachine | None, MadeMachine]:
    """What a machine was made of, if it was, and what it is to be made of."""
    made = made_machines(asked.state_dir).get(machine.name)
    # One that took its steps itself, and is gone, may have an engine today.
    stays = made is not None and (asked.seat(machine).overlay.exists() or made.build == "image")
    return made, asked.made_now(machine, _build(machine, made if stays else None), made)


def _accelerator(asked: Start, machine: Machine, disk: Made) -> Accelerator:
    return acceleration.choose(machine, _kernel(disk), asked.progress)


def _kernel(disk: Made) -> bytes:
    return (disk.folder / "vmlinuz").read_bytes()


def _build(machine: Machine, made: MadeMachine | None) -> Way:
    """How the machine's disk is made: as the spec says, as it was, else by an engine if there is one."""
    if machine.options.get("build") is None and made is not None:
        return made.build
    return way(machine, instead=can_make_disk(machine.base))[0]


def _disk(asked: Start, machine: Machine, build: Way, *, rebuild: bool) -> Made:
    if build == "image":
        return DISKS.ensure(machine, asked.state_dir, asked.rendering, asked.progress, rebuild=rebuild)
    return Made(folder=build_disk(machine.base, DISKS.folder, asked.progress))


def _keeps_memory(machine: Machine, build: str) -> bool:
    """Whether its memory is to be kept: not where the steps are taken inside."""
    return build == "image" and machine.options.get("memory", "on") != "off"


def _start_from_memory(asked: Start, machine: Machine, started: Started) -> bool:
    seat = asked.seat(machine)
    try:
        if not memory.take_up(seat, _key(asked, machine, started.disk, started.accelerator)):
            return False
        with asked.progress.step("resuming from the saved state"):
            seat.start(_variables(asked, machine, started), waits=True)
            memory.load(seat)
            seat.line.run("true", timeout=ANSWERS_WITHIN)
    except PortTaken:
        memory.lay_aside(seat)
        raise
    except ProvisionError as error:
        asked.progress.note(
            f"the saved state of {machine.name} cannot be used and is discarded: {_reason(error)}"
        )
        seat.end()
        seat.overlay.unlink(missing_ok=True)
        memory.forget(seat)
        return False
    return True


def _suspends(asked: Start, machine: Machine, made: MadeMachine, started: Started) -> str:
    """The key of the state that `stop` may keep of a machine; none where that would hold a secret."""
    if machine.secrets or machine.proxy or not _keeps_memory(machine, made.build):
        return ""
    return _key(asked, machine, DISKS.known(made.disk), started.accelerator)


def _resume(asked: Start, machine: Machine, disk: Made, kind: Accelerator) -> bool:
    """Let a machine go on that `stop` had suspended; False where it has to boot."""
    seat = asked.seat(machine)
    if not memory.is_suspended(seat, _key(asked, machine, disk, kind)):
        memory.drop_suspended(seat)
        return False
    with asked.progress.step("resuming from the saved state"):
        seat.start(_variables(asked, machine, Started(how="memory", disk=disk, accelerator=kind)), waits=True)
        try:
            memory.resume(seat)
            seat.line.run("true", timeout=ANSWERS_WITHIN)
        except ProvisionError as error:
            asked.progress.note(f"{machine.name} could not resume and boots instead: {_reason(error)}")
            seat.end()
            memory.drop_suspended(seat)
            return False
    return True


def stop(state_dir: StateDir, machine: str, progress: Progress) -> None:
    """Suspend a machine, or let it shut down where its memory may not be kept."""
    seat = Seat(state_dir=state_dir, machine=machine)
    seat.go_on()
    if not _answers(seat):
        progress.note(f"{machine} does not answer: switching it off")
        seat.end()
        return
    made = made_machines(state_dir).get(machine)
    if made is not None and made.suspends:
        try:
            memory.suspend(seat, made.suspends)
        except ProvisionError as error:
            progress.note(f"{machine} is shut down, because its state could not be saved: {_reason(error)}")
        else:
            return
    seat.shut_down()


def _reason(error: ProvisionError) -> str:
    return "; ".join(error.evidence) or error.message


def _keep_memory(asked: Start, machine: Machine, started: Started) -> None:
    """Save the state of a machine that has just booted, before it is given anything of the host."""
    seat = asked.seat(machine)
    with asked.progress.step(f"saving the state of {machine.name}"):
        try:
            run = held(machine, _folders(machine)) == "setup"
            if run and not _services_are_ready(asked, machine):
                return  # what is wrong with them, the wait until all is ready tells
            memory.save(seat, _key(asked, machine, started.disk, started.accelerator), ready=run)
        except ProvisionError as error:
            asked.progress.note(f"the state of {machine.name} is not saved: {_reason(error)}")


def _services_are_ready(asked: Start, machine: Machine) -> bool:
    """Wait for the services; False where one has failed, or is over its time."""
    seat = asked.seat(machine)
    deadline = time.monotonic() + max(patience(machine).values(), default=0.0)
    while True:
        said = seat.line.run(HEALTHY).stdout.decode("utf-8", "replace").splitlines()
        reasons, hopeless = unready(said)
        if not reasons:
            return True
        if time.monotonic() > deadline or hopeless:
            return False
        asked.progress.line(f"waiting for {reasons[0]}")
        time.sleep(BETWEEN)


def _answers(seat: Seat) -> bool:
    try:
        return seat.line.run("true", timeout=ANSWERS_WITHIN).code == 0
    except Unreachable:
        return False


def _wait(asked: Start, machine: Machine, started: Started) -> Started:
    """Return once a machine has booted; one that hangs with an accelerator is started again without it."""
    seat = asked.seat(machine)
    kind = started.accelerator
    try:
        _wait_for_init(seat, kind, asked.progress)
    except Hangs as hung:
        seat.end()
        if acceleration.wanted(machine) != "auto":
            raise HostLacks(
                f"machine {machine.name} does not boot with {kind.upper()}: {hung.message}",
                evidence=shown(seat.last_lines(EVIDENCE_LINES)),
                hint=acceleration.INSTEAD,
            ) from hung
        acceleration.remember(kind, _kernel(started.disk), boots=False)
        asked.progress.note(
            f"{machine.name} does not boot with {kind.upper()} ({hung.message}): emulating it from now on,"
            " which is slow"
        )
        if started.how == "new":
            seat.overlay.unlink(missing_ok=True)  # what was written to it is of unknown worth
        started = replace(started, accelerator="emulation")
        seat.start(_variables(asked, machine, started))
        _wait_for_init(seat, started.accelerator, asked.progress)
    return started


def _wait_for_init(seat: Seat, kind: Accelerator, progress: Progress) -> None:
    """Return once the machine's init answers, and its sshd takes connections.

    Raises:
        Hangs: an accelerated machine fell silent.
        EnvironmentFailed: QEMU ended, or it took too long.
    """
    deadline = time.monotonic() + BOOTS_WITHIN
    reason = f"it did not answer within {BOOTS_WITHIN:g} s"
    watch = Watch(
        machine=seat.machine, console=seat.console_text, accelerated=kind != "emulation", progress=progress
    )
    while time.monotonic() < deadline:
        if seat.process() is None:
            reason = "QEMU exited"
            break
        try:
            seat.line.run("systemctl start ssh.service", timeout=ASKED_AGAIN, meanwhile=watch.look)
        except Unreachable:
            watch.look()
            time.sleep(BETWEEN)
        else:
            return
    raise EnvironmentFailed(
        f"machine {seat.machine} did not boot: {reason}",
        evidence=shown(seat.last_lines(EVIDENCE_LINES)),
        hint=f"the console output above shows how far it got; {command('up')} tries again, --rebuild"
        " recreates it",
    )


def _variables(asked: Start, machine: Machine, started: Started) -> Mapping[str, str]:
    """What the rendered script is told of this host."""
    chosen = kept(asked.state_dir)
    ports = {variable(machine, port): str(chosen[key(machine.name, port)]) for port in machine.ports}
    append = f"provision.hold={started.hold}" if started.hold else ""
    lan = network_of(str(asked.state_dir.folder))
    processor = _processor(started.accelerator)
    image = str(started.disk.folder)
    # QEMU's own network takes a free port by itself, passt has to be given one.
    reached = {"NET": "passt", "SSH": str(free_port())} if network() == "passt" else {"NET": "user"}
    return {**processor, **ports, **reached, "IMAGE": image, "NETWORK": lan, "APPEND": append}


def _processor(kind: Accelerator) -> Mapping[str, str]:
    """What a machine is run with."""
    ours = required()
    if kind == "emulation":
        return {"ARCHITECTURE": ours.name, "ACCEL": EMULATED, "CPU": ours.emulated}
    return {"ARCHITECTURE": ours.name, "ACCEL": kind, "CPU": "host"}


def _write_configuration(asked: Start, environment: Environment) -> None:
    """The text by which ssh enters each machine."""
    state = asked.seat(environment.machines[0]).state
    lines = []
    for machine in environment.machines:
        port = asked.seat(machine).ssh_port()
        lines += [
            f"Host {machine.name}",
            "  HostName 127.0.0.1",
            "  User root",
            f"  Port {port}",
            f'  IdentityFile "{state / "key"}"',
            "  IdentitiesOnly yes",
            "  UserKnownHostsFile /dev/null",
            "  StrictHostKeyChecking no",
            "  PasswordAuthentication no",
            "  LogLevel ERROR",
            "",
        ]
    (asked.state_dir.folder / CONFIGURATION).write_text("\n".join(lines))


def _key(asked: Start, machine: Machine, disk: Made, kind: Accelerator) -> str:
    recipe = asked.rendering.recipes[machine.name]
    return memory.fingerprint(
        asked.rendering.digests[machine.name],
        recipe,
        disk.name,
        {**_processor(kind), "NET": network()},
        _version(),
    )


@cache
def _version() -> str:
    """QEMU's, as it says it."""
    return process.run([required().program, "--version"]).stdout.partition("\n")[0]


def _folders(machine: Machine) -> tuple[str, ...]:
    mounted = [mount.path for mount in machine.mounts]
    return tuple([machine.workspace.path, *mounted] if machine.workspace else mounted)
