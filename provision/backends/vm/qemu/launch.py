"""Launch machines: new, from their disks, or from a saved state, until each answers."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Literal

from provision import guest_paths, process
from provision.backends.ports import free_port, kept, key, variable
from provision.backends.readiness import HEALTHY, patience, unready
from provision.backends.vm import acceleration
from provision.backends.vm.architecture import required
from provision.backends.vm.boot import Hangs, Watch, shown
from provision.backends.vm.guest.ssh import CONFIGURATION
from provision.backends.vm.image.store import Artifact, ArtifactStore, BuildStrategy, build_strategy
from provision.backends.vm.options import options_of
from provision.backends.vm.qemu import snapshot
from provision.backends.vm.qemu.instance import BETWEEN, LOOPBACK, Instance, PortTaken
from provision.backends.vm.qemu.network import OPEN, network, passt_lacks
from provision.backends.vm.qemu.records import (
    InstanceRecord,
    decide_course,
    instance_records,
    save_instance_record,
)
from provision.backends.vm.qemu.render import disk_size, held, network_of
from provision.bases.disk import build_disk, can_make_disk
from provision.errors import EnvironmentFailed, HostLacks, ProvisionError
from provision.hints import command
from provision.process import EVIDENCE_LINES
from provision.progress import ParallelProgress
from provision.quick_dataclasses import dataclass
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from provision.backends.vm.acceleration import Accelerator
    from provision.model import Environment, Machine
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.state import StateDir

DISKS = ArtifactStore(kind="disk", within="disks", file="disk.qcow2")
BOOTS_WITHIN = 300.0  # seconds: ten to thirty under emulation, more on a busy host
ANSWERS_WITHIN = 20.0  # seconds
ASKED_AGAIN = 30.0  # what is said while a machine boots may be lost
EMULATED = "tcg,thread=multi,tb-size=256"


@dataclass(frozen=True, kw_only=True)
class LaunchContext:
    """What a call of `start` knows: where an environment lies, and what it is made of."""

    state_dir: StateDir
    rendering: Rendering
    progress: Progress

    def instance(self, machine: Machine) -> Instance:
        """Where a machine sits."""
        return Instance(state_dir=self.state_dir, machine=machine.name)

    def of(self, machine: Machine, environment: Environment) -> LaunchContext:
        """The same for one machine: where there are several, its progress carries its name."""
        if not environment.several:
            return self
        return replace(self, progress=ParallelProgress(self.progress, machine.name))

    def made_now(
        self, machine: Machine, build: BuildStrategy, former: InstanceRecord | None
    ) -> InstanceRecord:
        """What a machine is made of now; what does not follow from its spec is as it was."""
        definition = self.rendering.digests[machine.name]
        recipe = self.rendering.recipes[machine.name] if build == "image" else ""
        if former is None:
            return InstanceRecord(definition=definition, build=build, recipe=recipe)
        has_disk = self.instance(machine).overlay.exists()
        if has_disk and build == former.build == "image" and former.applied == recipe:
            return replace(former, definition=definition)
        return replace(former, definition=definition, build=build, recipe=recipe, applied="")


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
        context = LaunchContext(state_dir=state_dir, rendering=rendering, progress=progress)
        made, record = _records(context, machine)
        if rebuild or record != made or not DISKS.get(made.disk).exists:
            _disk(context, machine, record.build, rebuild=rebuild)


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a machine was started: new, from its own disk, or from a saved state; `hold`: what waits in it."""

    how: Literal["new", "disk", "saved state"]
    disk: Artifact
    accelerator: Accelerator
    hold: str | None = None


def start(
    environment: Environment,
    state_dir: StateDir,
    progress: Progress,
    rendering: Rendering,
    *,
    only: Collection[str],
) -> None:
    """Have these machines running as they are rendered, and answering.

    One that runs as it should is left alone; one that is stopped and unchanged boots from
    its own disk; any other is created, from a saved state where there is one.
    """
    context = LaunchContext(state_dir=state_dir, rendering=rendering, progress=progress)
    state_dir.make()
    machines = [machine for machine in environment.machines if machine.name in only]
    started = _start_all(context, environment, machines)
    if started and (lack := passt_lacks()):
        progress.note(f"{OPEN}: {lack}")
    booted = _wait_for_boots(context, environment, started)
    for machine in machines:
        if machine.name in booted:
            _note_booted(context, machine, booted[machine.name])
    _write_configuration(context, environment)
    for machine in machines:
        build = instance_records(state_dir)[machine.name].build
        launch = booted.get(machine.name)
        if launch is not None and launch.how == "new" and _saves_state(machine, build):
            _save_state(context, machine, launch)


def saved_state(machine: Machine, state_dir: StateDir, rendering: Rendering) -> tuple[Artifact, str] | None:
    """The disk here that a machine is made of, and the key of the state that is saved of it; or neither."""
    from provision.progress import Silent

    context = LaunchContext(state_dir=state_dir, rendering=rendering, progress=Silent())
    disk = DISKS.find(machine, rendering)
    if disk is None or not _saves_state(machine, _records(context, machine)[1].build):
        return None
    return disk, _key(context, machine, disk, _accelerator(context, machine, disk))


def note_applied(machine: Machine, state_dir: StateDir, rendering: Rendering) -> None:
    """Remember that a running machine was changed in place, and under which key `stop` may save its state."""
    from provision.progress import Silent

    context = LaunchContext(state_dir=state_dir, rendering=rendering, progress=Silent())
    made = replace(instance_records(state_dir)[machine.name], applied=rendering.recipes[machine.name])
    disk = DISKS.get(made.disk)
    launch = Launch(how="disk", disk=disk, accelerator=_accelerator(context, machine, disk))
    suspends = _suspends(context, machine, made, launch)
    save_instance_record(state_dir, machine.name, replace(made, suspends=suspends))


def _start_all(
    context: LaunchContext, environment: Environment, machines: Sequence[Machine]
) -> Mapping[str, Launch]:
    """Start those that do not run as they should, side by side; how each was, by its name."""
    progress = context.progress

    def one(machine: Machine) -> Launch | None:
        return _start(context.of(machine, environment), machine)

    from concurrent.futures import ThreadPoolExecutor

    with (
        progress.step("starting the machines")
        if environment.several
        else progress.wait("starting the machine"),
        ThreadPoolExecutor(len(machines)) as pool,
    ):
        launches = list(zip(machines, pool.map(one, machines), strict=True))
    return {machine.name: launch for machine, launch in launches if launch is not None}


def _wait_for_boots(
    context: LaunchContext, environment: Environment, started: Mapping[str, Launch]
) -> Mapping[str, Launch]:
    """The same once each has booted: one that hangs was started otherwise."""
    booting = {name for name, launch in started.items() if launch.how != "saved state"}
    if not booting:
        return started
    booted = dict(started)
    with context.progress.step("booting"):
        for machine in environment.machines:
            if machine.name in booting:
                own = context.of(machine, environment)
                booted[machine.name] = _wait(own, machine, started[machine.name])
    return booted


def _note_booted(context: LaunchContext, machine: Machine, launch: Launch) -> None:
    """Remember that a machine has come up, and under which key `stop` may save its state."""
    context.instance(machine).note_answered()
    whole = replace(instance_records(context.state_dir)[machine.name], half_made=False)
    suspends = _suspends(context, machine, whole, launch)
    save_instance_record(context.state_dir, machine.name, replace(whole, suspends=suspends))


def _start(context: LaunchContext, machine: Machine) -> Launch | None:
    """Start a machine in the quickest way; None if it already runs as it should."""
    instance = context.instance(machine)
    former, record = _records(context, machine)
    decided = decide_course(former, record, has_disk=instance.overlay.exists())
    if former is None or decided == "create":
        return _create(context, machine, former, record)
    if decided == "continue" and instance.process() is not None:
        instance.unpause()
        if _answers(instance):
            if instance.is_connected():
                return None
            stop(context.state_dir, machine.name, context.progress)  # it goes on with its memory, if it may
    return _boot(context, machine, former, record, resumes=decided == "continue")


def _boot(
    context: LaunchContext,
    machine: Machine,
    former: InstanceRecord,
    record: InstanceRecord,
    *,
    resumes: bool,
) -> Launch:
    """Start a machine from its own disk, or from where `stop` suspended it."""
    instance = context.instance(machine)
    instance.shut_down()
    disk = DISKS.get(former.disk)
    kind = _accelerator(context, machine, disk)
    if resumes and _resume(context, machine, disk, kind):
        return Launch(how="saved state", disk=disk, accelerator=kind)
    if record.build == "provision":
        instance.grow(disk_size(machine))
    save_instance_record(context.state_dir, machine.name, record)
    launch = Launch(how="disk", disk=disk, accelerator=kind)
    instance.start(_variables(context, machine, launch))
    return launch


def _create(
    context: LaunchContext, machine: Machine, former: InstanceRecord | None, record: InstanceRecord
) -> Launch:
    """Start a machine from a fresh disk, or from the state that was saved of such a one."""
    instance = context.instance(machine)
    instance.shut_down()
    snapshot.discard_suspended(instance)
    instance.overlay.unlink(missing_ok=True)
    disk = DISKS.get(former.disk) if former is not None and record == former else None
    if disk is None or not disk.exists:
        disk = _disk(context, machine, record.build, rebuild=False)
    # Whoever ends this now leaves a machine that `down` knows, and the next `up` creates again.
    disk.claim(instance.overlay)
    record = replace(record, disk=disk.name, half_made=True, suspends="")
    save_instance_record(context.state_dir, machine.name, record)
    if former is not None and former.disk and former.disk != disk.name:
        DISKS.get(former.disk).release(instance.overlay)
    saves = _saves_state(machine, record.build)
    hold = held(machine, _folders(machine)) if saves else None
    kind = _accelerator(context, machine, disk)
    launch = Launch(how="saved state", disk=disk, accelerator=kind, hold=hold)
    if saves and _start_from_saved_state(context, machine, launch):
        return launch
    launch = replace(launch, how="new")
    instance.start(_variables(context, machine, launch))
    return launch


def _records(context: LaunchContext, machine: Machine) -> tuple[InstanceRecord | None, InstanceRecord]:
    """What a machine was made of, if it was, and what it is to be made of."""
    made = instance_records(context.state_dir).get(machine.name)
    # One that took its steps itself, and is gone, may have an engine today.
    stays = made is not None and (context.instance(machine).overlay.exists() or made.build == "image")
    build = _build(machine, made if stays else None, context.rendering)
    return made, context.made_now(machine, build, made)


def _accelerator(context: LaunchContext, machine: Machine, disk: Artifact) -> Accelerator:
    return acceleration.choose(machine, _kernel(disk), context.progress)


def _kernel(disk: Artifact) -> bytes:
    return (disk.folder / "vmlinuz").read_bytes()


def _build(machine: Machine, made: InstanceRecord | None, rendering: Rendering) -> BuildStrategy:
    """How the machine's disk is made: as the spec says, as it was, as it was pulled, else by an engine."""
    if options_of(machine).build is None:
        if made is not None:
            return made.build
        if DISKS.find_pulled(machine, rendering) is not None:
            return "image"
    return build_strategy(machine, instead=can_make_disk(machine.base))[0]


def _disk(context: LaunchContext, machine: Machine, build: BuildStrategy, *, rebuild: bool) -> Artifact:
    if build == "image":
        return DISKS.ensure(machine, context.state_dir, context.rendering, context.progress, rebuild=rebuild)
    return Artifact(folder=build_disk(machine.base, DISKS.folder, context.progress))


def _saves_state(machine: Machine, build: str) -> bool:
    """Whether its state is to be saved: not where the steps run inside."""
    return build == "image" and options_of(machine).memory != "off"


def _start_from_saved_state(context: LaunchContext, machine: Machine, started: Launch) -> bool:
    instance = context.instance(machine)
    try:
        if not snapshot.restore(instance, _key(context, machine, started.disk, started.accelerator)):
            return False
        with context.progress.step("resuming from the saved state"):
            instance.start(_variables(context, machine, started), waits=True)
            snapshot.load(instance)
            # Its memory may have the key of another host, or of a folder of keys that is gone.
            instance.shell.run(
                f"echo {instance.public_key()} >{guest_paths.AUTHORIZED_KEYS}", timeout=ANSWERS_WITHIN
            )
    except PortTaken:
        snapshot.stash(instance)
        raise
    except ProvisionError as error:
        context.progress.note(
            f"the saved state of {machine.name} cannot be used and is discarded: {_reason(error)}"
        )
        instance.power_off()
        instance.overlay.unlink(missing_ok=True)
        snapshot.discard(instance)
        return False
    return True


def _suspends(context: LaunchContext, machine: Machine, made: InstanceRecord, started: Launch) -> str:
    """The key of the state that `stop` may keep of a machine; none where that would hold a secret."""
    if machine.secrets or machine.proxy or not _saves_state(machine, made.build):
        return ""
    return _key(context, machine, DISKS.get(made.disk), started.accelerator)


def _resume(context: LaunchContext, machine: Machine, disk: Artifact, kind: Accelerator) -> bool:
    """Let a machine go on that `stop` had suspended; False where it has to boot."""
    instance = context.instance(machine)
    if not snapshot.is_suspended(instance, _key(context, machine, disk, kind)):
        snapshot.discard_suspended(instance)
        return False
    with context.progress.step("resuming from the saved state"):
        instance.start(
            _variables(context, machine, Launch(how="saved state", disk=disk, accelerator=kind)), waits=True
        )
        try:
            snapshot.resume(instance)
            instance.shell.run("true", timeout=ANSWERS_WITHIN)
        except ProvisionError as error:
            context.progress.note(f"{machine.name} could not resume and boots instead: {_reason(error)}")
            instance.power_off()
            snapshot.discard_suspended(instance)
            return False
    return True


def stop(state_dir: StateDir, machine: str, progress: Progress) -> None:
    """Suspend a machine, or let it shut down where its state may not be saved."""
    instance = Instance(state_dir=state_dir, machine=machine)
    instance.unpause()
    if not _answers(instance):
        progress.note(f"{machine} does not answer: switching it off")
        instance.power_off()
        return
    made = instance_records(state_dir).get(machine)
    if made is not None and made.suspends:
        try:
            snapshot.suspend(instance, made.suspends)
        except ProvisionError as error:
            progress.note(f"{machine} is shut down, because its state could not be saved: {_reason(error)}")
        else:
            return
    instance.shut_down()


def _reason(error: ProvisionError) -> str:
    return "; ".join(error.evidence) or error.message


def _save_state(context: LaunchContext, machine: Machine, started: Launch) -> None:
    """Save the state of a machine that has just booted, before it is given anything of the host."""
    instance = context.instance(machine)
    with context.progress.step(f"saving the state of {machine.name}"):
        try:
            run = held(machine, _folders(machine)) == "setup"
            if run and not _services_are_ready(context, machine):
                return  # what is wrong with them, the wait until all is ready tells
            snapshot.save(instance, _key(context, machine, started.disk, started.accelerator), ready=run)
        except ProvisionError as error:
            context.progress.note(f"the state of {machine.name} is not saved: {_reason(error)}")


def _services_are_ready(context: LaunchContext, machine: Machine) -> bool:
    """Wait for the services; False where one has failed, or is over its time."""
    instance = context.instance(machine)
    deadline = time.monotonic() + max(patience(machine).values(), default=0.0)
    while True:
        lines = instance.shell.run(HEALTHY).stdout.decode("utf-8", "replace").splitlines()
        reasons, hopeless = unready(lines)
        if not reasons:
            return True
        if time.monotonic() > deadline or hopeless:
            return False
        context.progress.line(f"waiting for {reasons[0]}")
        time.sleep(BETWEEN)


def _answers(instance: Instance) -> bool:
    try:
        return instance.shell.run("true", timeout=ANSWERS_WITHIN).code == 0
    except Unreachable:
        return False


def _wait(context: LaunchContext, machine: Machine, started: Launch) -> Launch:
    """Return once a machine has booted; one that hangs with an accelerator is started again without it."""
    instance = context.instance(machine)
    kind = started.accelerator
    try:
        _wait_for_init(instance, kind, context.progress)
    except Hangs as hung:
        instance.power_off()
        if acceleration.wanted(machine) != "auto":
            raise HostLacks(
                f"machine {machine.name} does not boot with {kind.upper()}: {hung.message}",
                evidence=shown(instance.last_lines(EVIDENCE_LINES)),
                hint=acceleration.INSTEAD,
            ) from hung
        acceleration.remember(kind, _kernel(started.disk), boots=False)
        context.progress.note(
            f"{machine.name} does not boot with {kind.upper()} ({hung.message}): emulating it from now on,"
            " which is slow"
        )
        if started.how == "new":
            instance.overlay.unlink(missing_ok=True)  # what was written to it is of unknown worth
        started = replace(started, accelerator="emulation")
        instance.start(_variables(context, machine, started))
        _wait_for_init(instance, started.accelerator, context.progress)
    return started


def _wait_for_init(instance: Instance, kind: Accelerator, progress: Progress) -> None:
    """Return once the machine's init answers, and its sshd takes connections.

    Raises:
        Hangs: an accelerated machine fell silent.
        EnvironmentFailed: QEMU ended, or it took too long.
    """
    deadline = time.monotonic() + BOOTS_WITHIN
    reason = f"it did not answer within {BOOTS_WITHIN:g} s"
    watch = Watch(
        machine=instance.machine,
        console=instance.console_text,
        accelerated=kind != "emulation",
        progress=progress,
    )
    while time.monotonic() < deadline:
        if instance.process() is None:
            reason = "QEMU exited"
            break
        try:
            instance.shell.run("systemctl start ssh.service", timeout=ASKED_AGAIN, meanwhile=watch.look)
        except Unreachable:
            watch.look()
            time.sleep(BETWEEN)
        else:
            return
    raise EnvironmentFailed(
        f"machine {instance.machine} did not boot: {reason}",
        evidence=shown(instance.last_lines(EVIDENCE_LINES)),
        hint=f"the console output above shows how far it got; {command('up')} tries again, --rebuild"
        " recreates it",
    )


def _variables(context: LaunchContext, machine: Machine, started: Launch) -> Mapping[str, str]:
    """What the rendered script is told of this host."""
    chosen = kept(context.state_dir)
    ports = {variable(machine, port): str(chosen[key(machine.name, port)]) for port in machine.ports}
    append = f"provision.hold={started.hold}" if started.hold else ""
    lan = network_of(str(context.state_dir.folder))
    processor = _processor(started.accelerator)
    image = str(started.disk.folder)
    # QEMU's own network takes a free port by itself, passt has to be given one.
    reached = {"NET": "passt", "SSH": str(free_port(LOOPBACK))} if network() == "passt" else {"NET": "user"}
    return {**processor, **ports, **reached, "IMAGE": image, "NETWORK": lan, "APPEND": append}


def _processor(kind: Accelerator) -> Mapping[str, str]:
    """What a machine is run with."""
    ours = required()
    if kind == "emulation":
        return {"ARCHITECTURE": ours.name, "ACCEL": EMULATED, "CPU": ours.emulated}
    return {"ARCHITECTURE": ours.name, "ACCEL": kind, "CPU": "host"}


def _write_configuration(context: LaunchContext, environment: Environment) -> None:
    """The text by which ssh enters each machine that runs."""
    state = context.instance(environment.machines[0]).folder
    lines = []
    for machine in environment.machines:
        if context.instance(machine).process() is None:
            continue  # it gets another port when it starts
        port = context.instance(machine).ssh_port()
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
    (context.state_dir.folder / CONFIGURATION).write_text("\n".join(lines))


def _key(context: LaunchContext, machine: Machine, disk: Artifact, kind: Accelerator) -> str:
    recipe = context.rendering.recipes[machine.name]
    return snapshot.fingerprint(
        context.rendering.digests[machine.name],
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
