"""What Vagrant's last words stand for: a table of them, and the error that each is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.errors import EnvironmentFailed, HostLacks, ProvisionError
from provision.hints import command
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LAST_LINES = 15
# Ruby's frames, and the progress of a download that was drawn over itself.
_NOISE = re.compile(r"^\s*from /|^\s*(==> \S+ )?\S*:?\s*Progress: \d+%|^\s*$")
_RAISED = re.compile(r"\S+\.rb:\d+:in .*?: (?P<said>.+ \((Libvirt|Fog|Errno|VagrantPlugins)\S*\))")


class Leftover(EnvironmentFailed):
    """Something is left of a machine that was removed by hand; once it is gone, `up` works."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A thing that goes wrong: how Vagrant says it, and what a person is told.

    `pattern` is looked for in all that was said; its groups may stand in `message`.
    `shows_console` takes the machines' consoles for evidence, where they tell more.
    """

    pattern: str
    message: str
    hint: str
    kind: type[ProvisionError] = EnvironmentFailed
    shows_console: bool = False


# The first that fits counts: what is said at the same time as something wider stands before it.
FAULTS = (
    Fault(
        pattern=r"(?i)no space left on device|failure writing output to destination|disk quota exceeded",
        message="the host has no space left for the machine",
        hint="make room where boxes ($VAGRANT_HOME), their images and the machines' disks are,"
        f" then {command('up')} again",
    ),
    Fault(
        pattern=r"The box '(?P<box>[^']+)' could not be found",
        message="there is no box {box}",
        hint="name one that is on this host or can be downloaded, with `backends: {vm: {box: …}}`;"
        " `vagrant box list` shows the local ones",
    ),
    Fault(
        pattern=r"An error occurred while downloading the remote file",
        message="the box cannot be downloaded",
        hint="check its address and the network, or name another with `backends: {vm: {box: …}}`",
    ),
    Fault(
        pattern=r"The box you're attempting to add doesn't support the provider",
        message="the box is for another provider",
        hint="name a box for this one with `backends: {vm: {box: …}}`, or choose its provider",
    ),
    Fault(
        pattern=r"The provider '(?P<provider>[^']+)' (that was requested to back the machine"
        r"|could not be found, but was requested)",
        message="Vagrant cannot use {provider} on this host",
        hint="`provision doctor` shows what is missing, and which provider works instead",
        kind=HostLacks,
    ),
    Fault(
        pattern=r"Error while connecting to Libvirt|[Ff]ailed to connect (socket to|to the hypervisor)",
        message="libvirtd does not answer",
        hint="start it (systemctl start libvirtd, or scripts/host-setup vm); running machines are not lost",
        kind=HostLacks,
    ),
    Fault(
        pattern=r"failed to set MSR|[Cc]ould not access KVM kernel module|failed to initialize kvm"
        r"|invalid argument: could not find capabilities for domaintype=kvm",
        message="this host has KVM, but no guest boots with it",
        hint=f"{command('up', variables='PROVISION_ACCELERATOR=emulation')}, or"
        " `backends: {vm: {accelerator: emulation}}` in the spec",
        kind=HostLacks,
    ),
    Fault(
        pattern=r"another process is already executing an action on the machine",
        message="another vagrant process is using this machine",
        hint="wait until it has finished, then try again",
    ),
    Fault(
        pattern=r"Volume for domain is already created",
        message="a disk is left over from a machine that was removed by hand",
        hint=f"{command('down')} removes it",
        kind=Leftover,
    ),
    Fault(
        pattern=r"Name `(?P<domain>[^`']+)` of domain about to create is already taken",
        message="a machine {domain} that does not belong to this environment already exists",
        hint="remove it from its own project, or give this environment another name: `--name`",
    ),
    Fault(
        pattern=r"(?s)Timed out while waiting for the machine to boot",
        message="the machine did not answer in time",
        hint=f"the console output above shows how far it got; the next {command('up')} starts over",
        shows_console=True,
    ),
    Fault(
        pattern=r"invalid state while waiting for it to boot.*?'paused'|state '?paused",
        message="the machine was paused while it booted: the host's disk is full",
        hint=f"free some space, then run {command('down')} and {command('up')}",
    ),
    Fault(
        pattern=r"(?i)cannot set up guest memory|cannot allocate memory",
        message="the host has too little free memory for the machine",
        hint="stop another machine, or lower `resources: {memory: …}`",
    ),
)  # fmt: skip


def fault(output: Sequence[str], provider: str, console: Sequence[str], log: str) -> ProvisionError:
    """The error that Vagrant's words stand for.

    Args:
        output: the last lines it printed.
        provider: whose machine it was.
        console: the last lines of the machines' consoles.
        log: where all of it can be read.
    """
    shown = legible(output)
    words = "\n".join(shown)
    for known in FAULTS:
        if match := re.search(known.pattern, words):
            named = {name: value or "" for name, value in match.groupdict().items()}
            return known.kind(
                known.message.format(**named),
                evidence=(console if known.shows_console and console else shown)[-LAST_LINES:],
                hint=f"{known.hint}; full log: {log}",
            )
    return EnvironmentFailed(
        f"vagrant failed with {provider}", evidence=shown[-LAST_LINES:], hint=f"full log: {log}"
    )


def legible(output: Sequence[str]) -> Sequence[str]:
    """The part that helps a person: no Ruby stack frames, no progress bars drawn over each other."""
    return tuple(_lines(output))


def _lines(output: Sequence[str]) -> Iterator[str]:
    for line in output:
        drawn = plain(line)
        if _NOISE.match(drawn):
            continue
        raised = _RAISED.search(drawn)
        yield raised["said"] if raised else drawn


def plain(line: str) -> str:
    """The last of what a line showed that was drawn over itself, without its control codes."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line.rstrip("\r").split("\r")[-1]).rstrip()
