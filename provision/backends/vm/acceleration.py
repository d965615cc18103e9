"""What runs guests on this host: KVM, HVF, or emulation where the machines' own kernel boots with neither.

A device node proves nothing, nor does a boot sector: a software or nested KVM may run real mode
and hang every kernel. So an accelerator counts once the very kernel that a machine boots has
come up with it, and the answer is remembered for that kernel, QEMU and host.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from provision import process, records, resources, runtime
from provision.backends.vm.architecture import architecture, required
from provision.backends.vm.options import options_of
from provision.errors import HostLacks, ProvisionError
from provision.lock import exclusive
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.model import Machine
    from provision.progress import Progress

Accelerator = Literal["kvm", "hvf", "emulation"]
CHOICES = ("auto", "kvm", "hvf", "emulation")
VARIABLE = "PROVISION_ACCELERATOR"
BOOTS_WITHIN = 20.0  # seconds until a kernel without a root has given up: three with KVM
HANGS_FOR = 7 * 24 * 3600.0  # seconds for which a kernel that hung is not tried again
FIRST_LINE = "Linux version"
REMEMBERED = "acceleration"
MOST_REMEMBERED = 50
INSTEAD = "`backends: {vm: {accelerator: emulation}}` avoids it"


@dataclass(frozen=True, kw_only=True)
class AccelerationRecord:
    """Whether a kernel booted, by accelerator, host and kernel; when it was tried, in seconds since 1970."""

    boots: Mapping[str, bool]
    tried: Mapping[str, float]


def offered() -> Accelerator | None:
    """What this host offers, proven or not: `hvf` on macOS, `kvm` where this user may open /dev/kvm."""
    ours = architecture()
    if ours is None or not ours.is_native:
        return None
    if sys.platform == "darwin":
        return "hvf"
    return "kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) else None


def wanted(machine: Machine) -> str:
    """One of CHOICES: what the spec names, else $PROVISION_ACCELERATOR, else `auto`.

    Raises:
        HostLacks: the variable holds another word.
    """
    named = str(options_of(machine).accelerator or os.environ.get(VARIABLE) or "auto")
    if named not in CHOICES:
        raise HostLacks(f"${VARIABLE} is {named!r}", hint=f"choose from {', '.join(CHOICES)}")
    return named


def choose(machine: Machine, kernel: bytes | None, progress: Progress, *, called: str = "") -> Accelerator:
    """What a machine with this kernel runs with here.

    Args:
        machine: its spec may name an accelerator.
        kernel: the kernel that it boots; None where it cannot be had by itself.
        progress: told what is tried, and why a machine is emulated.
        called: what the verdict on a machine without `kernel` is remembered by.

    Raises:
        HostLacks: the accelerator that is asked for does not boot the kernel here.
    """
    accelerator, here = wanted(machine), offered()
    if any(each.name == "kvm" for each in machine.requires):
        accelerator = "kvm"
    if accelerator == "emulation":
        return "emulation"
    if accelerator not in ("auto", here):
        raise HostLacks(
            f"machine {machine.name} requires {accelerator.upper()}, which this host does not offer",
            evidence=[f"this host offers {here.upper() if here else 'no accelerator'}"],
            hint=INSTEAD,
        )
    if here is not None and _boots(here, kernel, called, progress):
        return here
    if accelerator != "auto":
        raise HostLacks(f"{accelerator.upper()} cannot boot machine {machine.name}'s kernel", hint=INSTEAD)
    reason = f"{here.upper()} does not boot its kernel on this host" if here else "this host has no KVM"
    progress.note(f"{machine.name} is emulated, which is slow: {reason}")
    return "emulation"


def known() -> bool | None:
    """Whether this host's accelerator has booted a machine's kernel; None: none was tried."""
    here = offered()
    if here is None:
        return False
    prefix = f"{_host(here)} "
    verdicts = [boots for key, boots in _verdicts().items() if key.startswith(prefix)]
    return any(verdicts) if verdicts else None


def describe() -> str:
    """The words for `doctor` and `explain`."""
    here = offered()
    if here is None:
        return "emulation: slow, this user has no KVM on this host"
    boots = known()
    if boots is None:
        return f"{here.upper()}, not tried yet; the first machine will try it"
    return (
        here.upper()
        if boots
        else f"emulation: slow, {here.upper()} cannot boot a machine's kernel on this host"
    )


def remember(accelerator: Accelerator, kernel: bytes | None, *, boots: bool, called: str = "") -> None:
    """Keep whether a kernel booted with an accelerator, after it did or did not."""
    record = _record()
    record.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(record.with_suffix(".lock")):
        key = _key(accelerator, kernel, called)
        others = {name: value for name, value in _verdicts().items() if name != key}
        verdicts = dict([*others.items(), (key, boots)][-MOST_REMEMBERED:])
        tried = {**_tried(), key: time.time()}
        tried = {name: when for name, when in tried.items() if name in verdicts}
        records.save(record, AccelerationRecord(boots=verdicts, tried=tried))


def _boots(accelerator: Accelerator, kernel: bytes | None, called: str, progress: Progress) -> bool:
    """Whether a kernel comes up with an accelerator: as remembered, or tried now.

    One that cannot be tried by itself is believed where no other has failed: its console is
    watched while it boots.
    """
    boots = _verdicts().get(_key(accelerator, kernel, called))
    if boots is not None:
        return boots
    ours = architecture()
    if kernel is None or ours is None or process.find(ours.program) is None:
        return known() is not False
    with progress.step(f"trying {accelerator.upper()} with the machine's kernel"):
        boots = _try(accelerator, kernel)
    remember(accelerator, kernel, boots=boots)
    return boots


def _try(accelerator: Accelerator, kernel: bytes) -> bool:
    """Boot a kernel without a root: it says its version, gives up, and QEMU ends."""
    from tempfile import TemporaryDirectory

    ours = required()
    with TemporaryDirectory(prefix=runtime.TEMPORARY) as folder:
        file = Path(folder) / "kernel"
        file.write_bytes(kernel)
        try:
            tried = process.run(
                [ours.program, "-accel", accelerator, "-cpu", "host", "-machine", ours.machine, "-m", "256",
                 "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
                 "-kernel", str(file), "-append", f"{ours.kernel} panic=-1"],
                check=False,
                timeout=BOOTS_WITHIN,
            )  # fmt: skip
        except ProvisionError:
            return False
    return FIRST_LINE in tried.stdout


def _key(accelerator: Accelerator, kernel: bytes | None, called: str) -> str:
    """By which a verdict is known; disks that were built apart may have the same kernel."""
    identity = called if kernel is None else hashlib.sha256(kernel).hexdigest()[:32]
    return f"{_host(accelerator)} {identity}"


def _record() -> Path:
    return resources.cache() / f"{REMEMBERED}.json"


def _verdicts() -> Mapping[str, bool]:
    """The verdicts that still count: a host that was set up again may now boot what hung before."""
    record = _loaded()
    if record is None:
        return {}
    now = time.time()
    fresh = {name for name, when in record.tried.items() if 0 <= now - when < HANGS_FOR}
    return {name: boots for name, boots in record.boots.items() if boots or name in fresh}


def _tried() -> Mapping[str, float]:
    record = _loaded()
    return record.tried if record else {}


def _loaded() -> AccelerationRecord | None:
    try:
        return records.load(_record(), AccelerationRecord)
    except records.DamagedRecord:  # it is tried again, and written anew
        return None


def _host(accelerator: Accelerator) -> str:
    """This host as far as it matters: its kernel, its processor's module, its QEMU's file.

    Asking QEMU for its version would take as long as all else.
    """
    modules = sorted(path.name for path in Path("/sys/module").glob("kvm_*"))
    ours = architecture()
    program = process.find(ours.program) if ours else None
    file = Path(program).stat() if program else None
    qemu = f"{program} {file.st_size} {file.st_mtime_ns}" if file else "none"
    return f"{accelerator} {platform.release()} {','.join(modules)} {qemu}"
