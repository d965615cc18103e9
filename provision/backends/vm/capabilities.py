"""What virtual machines give a spec on this host, and what they cannot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from provision.backends import starts
from provision.backends.base import Capabilities
from provision.backends.requirements import (
    NO_FOLDERS,
    TITLES,
    Reasons,
    cannot,
    folders_of,
    required,
    volumes_kept,
)
from provision.backends.vm import acceleration, drivers
from provision.backends.vm.driver import loopback_reason
from provision.backends.vm.options import options_of
from provision.errors import HostLacks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.backends.base import Finding
    from provision.model import Capability, Environment, Machine
    from provision.state import StateDir

NESTED = tuple(Path(f"/sys/module/{module}/parameters/nested") for module in ("kvm_intel", "kvm_amd"))
HINT = "`-b docker` provides it if the engine has a runtime for it"
# What a program in a machine meets in a folder of the host, by the way that it gets there.
FOLDERS = {
    "9p": "live, through 9p: no sockets, FIFOs or unnamed temporary files; slow with many small files",
    "virtiofs": "live, through virtiofs",
    "vboxsf": "live, through vboxsf: no sockets, FIFOs or hard links; slow with many small files",
    "rsync": "copied at each start, and by the verb sync",
}
NO_GPU = "a virtual machine cannot use the host's GPU"


def lacks(machine: Machine) -> Mapping[Capability, str]:
    """What no virtual machine can have here."""
    del machine  # none can
    return {"gpu": NO_GPU}


def supports(machine: Machine) -> frozenset[str]:
    """The capabilities that checks can require and this machine has."""
    return frozenset({"kernel", "systemd"} | {each.name for each in machine.requires if each.name == "kvm"})


def require_host(environment: Environment) -> None:
    """Raise HostLacks if this host lacks what the machines require."""
    reasons = _host_lacks(required(environment))
    if reasons:
        raise HostLacks(
            f"this host cannot provide a virtual machine with"
            f" {' and '.join(TITLES[name] for name in reasons)}",
            evidence=list(reasons.values()),
            hint="turn nested virtualization on: modprobe kvm_intel nested=1",
        )


def _host_lacks(wanted: frozenset[Capability]) -> Reasons:
    if "kvm" not in wanted:
        return {}
    if acceleration.known() is False:
        return {"kvm": "no machine's kernel boots with KVM on this host"}
    nested = any(path.read_text().strip() in ("1", "Y") for path in NESTED if path.exists())
    return {} if nested else {"kvm": "this host's KVM is not nested, so a guest has none"}


def describe(environment: Environment, state_dir: StateDir) -> Capabilities:
    """The VM backend's answers for `explain`."""
    usable = [finding for finding in drivers.examine() if finding.usable]
    missing = list(_host_lacks(required(environment)).values()) if usable else ["no provider is usable"]
    missing += _wrong_accelerators(environment)
    memory = [machine.resources.memory for machine in environment.machines]
    aside = sum(each or 1024**3 for each in memory) / 1024**2
    return Capabilities(
        aspects={
            "kernel": "its own, from its distribution, with its own modules and sysctls",
            "isolation": _isolation(environment, usable),
            "start": starts.measured(state_dir, _start(environment, usable)),
            "size": f"a disk with the base and what is installed; {aside:.0f} MiB of memory reserved",
            "init": _init(environment),
            "folders": _folders(environment, usable),
            "persistence": f"its disk, until `down`; `down` keeps {volumes_kept(environment)}",
        },
        cannot=cannot(environment, lacks),
        lacks=tuple(missing),
    )


def _init(environment: Environment) -> str:
    services = any(machine.services for machine in environment.machines)
    return "systemd" if services else "systemd; the spec has no services"


def _folders(environment: Environment, usable: Sequence[Finding]) -> str:
    """How the host's folders get into the machines, and what they lack there."""
    driver = _provider(environment, usable)
    if not folders_of(environment) or driver is None:
        return NO_FOLDERS
    chosen = (options_of(machine).sync for machine in environment.machines)
    kinds = (drivers.find(driver).live_folders if kind == "auto" else kind for kind in chosen)
    return "; ".join(FOLDERS.get(kind, f"live, through {kind}") for kind in dict.fromkeys(kinds))


def _wrong_accelerators(environment: Environment) -> list[str]:
    """What is wrong with the host's variable that chooses one."""
    try:
        for machine in environment.machines:
            acceleration.wanted(machine)
    except HostLacks as error:
        return [error.message]
    return []


def _provider(environment: Environment, usable: Sequence[Finding]) -> str | None:
    """The driver that would be taken."""
    named = (provider for m in environment.machines if (provider := options_of(m).provider))
    return next((str(name) for name in named), None) or next((finding.subject for finding in usable), None)


def _isolation(environment: Environment, usable: Sequence[Finding]) -> str:
    name = _provider(environment, usable)
    reason = loopback_reason(drivers.find(name)) if name else None
    but = f"; but it can reach services on the host's loopback: {reason}" if reason else ""
    return f"a machine of its own, behind the hypervisor{but}"


def _start(environment: Environment, usable: Sequence[Finding]) -> str:
    """How long a start takes with the driver that would be taken."""
    driver = _provider(environment, usable)
    fast = bool(usable) and acceleration.known() is not False
    boot = (
        "about twenty seconds" if fast or driver == "qemu" else "minutes: without KVM the machine is emulated"
    )
    return f"{boot}; about a second after the first time, from its saved state" if driver == "qemu" else boot
