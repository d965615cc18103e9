"""A machine on the host: its files, its process, how it is started and ended."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from provision import process
from provision.backends.ports import is_free
from provision.backends.vm.guest import ssh
from provision.backends.vm.qemu import qmp
from provision.backends.vm.qemu.console import GuestConsole
from provision.backends.vm.qemu.render import script_name
from provision.errors import EnvironmentFailed, HostLacks, ProvisionError
from provision.hints import command
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from psutil import Process

    from provision.state import StateDir

STATE = "qemu"
LOOPBACK = "127.0.0.1"
ENDS_WITHIN = 20.0
SAYS_WITHIN = 2.0  # seconds until a machine, or its QEMU, counts as not answering
BETWEEN = 0.02
_STARTING = threading.Lock()  # the first machine of an environment makes the key of all


class PortTaken(EnvironmentFailed):
    """Another took a port of the host between its choice and QEMU's start."""


@dataclass(frozen=True, kw_only=True)
class LaunchRecord:
    """The variables that a machine's script was told at its last start."""

    variables: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """Where one machine of an environment sits on the host."""

    state_dir: StateDir
    machine: str

    @property
    def folder(self) -> Path:
        """The folder of disks, keys and consoles of the environment's machines."""
        return self.state_dir.folder / STATE

    @property
    def overlay(self) -> Path:
        """Its own disk: what it wrote since it was made."""
        return self.folder / f"{self.machine}.qcow2"

    @property
    def console(self) -> Path:
        """What its kernel and init said."""
        return self.folder / f"{self.machine}.console"

    @property
    def monitor(self) -> Path:
        """QEMU's control socket."""
        return ssh.socket_path(self.state_dir, f"{self.machine}.qmp")

    @property
    def shell(self) -> GuestConsole:
        """The way to ask it as root."""
        return GuestConsole(self._line, self.machine)

    @property
    def _line(self) -> Path:
        return ssh.socket_path(self.state_dir, f"{self.machine}.line")

    @property
    def _ssh(self) -> Path:
        return self.folder / f"{self.machine}.ssh"

    @property
    def _pid(self) -> Path:
        return self.folder / f"{self.machine}.pid"

    @property
    def _answered(self) -> Path:
        return self.folder / f"{self.machine}.answered"

    def public_key(self) -> str:
        """The key by which this host enters the environment's machines, as sshd reads it."""
        return " ".join((self.folder / "key.pub").read_text().split()[:2])

    def unpause(self) -> None:
        """Let a paused machine run again, even one left by a process that was killed while saving it."""
        if self.is_paused():
            with suppress(ProvisionError):
                qmp.execute(self.monitor, "cont", within=SAYS_WITHIN)

    def process(self) -> Process | None:
        """QEMU, where it runs: not another that has its id now."""
        import psutil

        try:
            running = psutil.Process(int(self._pid.read_text()))
            ours = str(self._pid) in running.cmdline() and running.status() != psutil.STATUS_ZOMBIE
        except (OSError, ValueError, psutil.Error):
            return None
        return running if ours else None

    def start(self, variables: Mapping[str, str], *, waits: bool = False) -> None:
        """Run the rendered script; with `waits` the machine stands still until it is told to go on.

        Raises:
            EnvironmentFailed: QEMU did not take it: a port is held, a disk is not what it should be.
        """
        self.end_network()
        for path in (self.monitor, self._line):
            path.unlink(missing_ok=True)
        self.console.unlink(missing_ok=True)
        self._ssh.unlink(missing_ok=True)
        words = ["sh", str(self.state_dir.rendering / script_name(self.machine)),
                 "-chardev", f"socket,id=line,server=on,wait=off,path={self._line}",
                 "-device", "virtconsole,chardev=line",
                 "-qmp", f"unix:{self.monitor},server=on,wait=off",
                 "-daemonize", "-pidfile", str(self._pid), *(["-S"] if waits else [])]  # fmt: skip
        with _STARTING:
            started = process.run(words, env={**variables, **self._own()}, check=False)
        if started.code != 0:
            self.end_network()
            raise _refused(self.machine, started.stderr.splitlines())
        if "SSH" in variables:
            self._ssh.write_text(variables["SSH"])
        self.state_dir.save(self._launch, LaunchRecord(variables=variables))

    @property
    def _launch(self) -> str:
        return f"launch-{self.machine}"

    def variables(self) -> Mapping[str, str]:
        """What the machine that runs was started with, so that it can be started so again, on its ports.

        Raises:
            EnvironmentFailed: that is not known.
        """
        known = self.state_dir.load_sound(self._launch, LaunchRecord)
        if known is None:
            raise EnvironmentFailed(
                f"how machine {self.machine} was started is not known",
                hint=f"{command('stop')}, then {command('start')}, and try again",
            )
        return {**known.variables, "SSH": str(self.ssh_port())}

    def _own(self) -> Mapping[str, str]:
        """What the script is told of where the machine sits."""
        return {"STATE": str(self.folder), "SOCKET": str(self._network)}

    @property
    def _network(self) -> Path:
        return ssh.socket_path(self.state_dir, f"{self.machine}.net")

    def end_network(self) -> None:
        """End a passt that waits for a QEMU that never came: it holds the machine's ports.

        It serves one caller and ends with it. Not for a machine that runs.
        """
        with suppress(OSError), socket.socket(socket.AF_UNIX) as call:
            call.connect(str(self._network))
        self._network.unlink(missing_ok=True)

    def is_connected(self) -> bool:
        """Whether the network of the machine that runs is there; passt may have ended before it."""
        port = self._given_ssh_port()
        return port is None or not is_free(LOOPBACK, port)  # QEMU's own network ends with it

    def ssh_port(self) -> int:
        """The host's port that leads to the sshd of the machine that runs."""
        port = self._given_ssh_port()
        return qmp.forwarded_port(self.monitor, 22) if port is None else port

    def _given_ssh_port(self) -> int | None:
        """The port that passt was given; None where QEMU itself is the network, and chose one."""
        try:
            return int(self._ssh.read_text())
        except (OSError, ValueError):
            return None

    def grow(self, gib: int) -> None:
        """Make the disk of a machine that does not run as large as that; it never shrinks."""
        known = json.loads(process.run(["qemu-img", "info", "--output=json", str(self.overlay)]).stdout)
        if known["virtual-size"] < gib << 30:
            process.run(["qemu-img", "resize", "-q", str(self.overlay), f"{gib}G"])

    def power_off(self) -> None:
        """End QEMU as one pulls a plug, after a word; what the machine has not written is lost."""
        running = self.process()
        if running is None:
            return
        with suppress(ProvisionError):
            qmp.execute(self.monitor, "quit", within=SAYS_WITHIN)
        import psutil

        try:
            running.wait(ENDS_WITHIN / 4)
        except psutil.TimeoutExpired:
            running.kill()
            running.wait(ENDS_WITHIN)
        except psutil.Error:
            pass
        for path in (self.monitor, self._line):
            path.unlink(missing_ok=True)

    def shut_down(self) -> None:
        """Let the machine's init stop everything, then end QEMU."""
        if self.process() is None:
            return
        with suppress(ProvisionError):
            self.shell.run("systemctl --no-block poweroff", timeout=10, answers_within=SAYS_WITHIN)
            deadline = time.monotonic() + 60
            while self.process() is not None and time.monotonic() < deadline:
                time.sleep(BETWEEN)
        self.power_off()

    def console_text(self) -> str:
        """All that its console has said since it was started, without what moves and colours."""
        try:
            text = self.console.read_bytes().decode("utf-8", "replace")
        except OSError:
            return ""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1bc|\r", "", text)

    def last_lines(self, count: int) -> tuple[str, ...]:
        """The end of its console."""
        return tuple(line for line in self.console_text().splitlines() if line.strip())[-count:]

    def note_answered(self) -> None:
        """Remember that the QEMU that runs now has come up: its machine has answered."""
        self._answered.write_text(self._pid.read_text())

    def has_answered(self) -> bool:
        """Whether the machine has answered since its QEMU was started."""
        try:
            return self._answered.read_text() == self._pid.read_text()
        except OSError:
            return False

    def is_paused(self) -> bool:
        """Whether QEMU has stopped the machine's processors; False where QEMU does not say.

        A machine that is being saved or loaded counts as paused.
        """
        try:
            status = qmp.execute(self.monitor, "query-status", within=SAYS_WITHIN)
        except ProvisionError:
            return False
        return not status["running"]


def _refused(machine: str, output: Sequence[str]) -> ProvisionError:
    """QEMU's own words as an error that a person can act on."""
    text = "\n".join(output)
    taken = re.search(r"host forwarding rule '(\w+):([^']*?):(\d+)-", text) or re.search(
        r"Failed to bind .* for (?:option )?'-([tu]) ([^/']*)/(\d+)", text
    )
    if taken:
        return PortTaken(
            f"port {taken[3]} on the host was taken by another process before machine {machine} could use it",
            evidence=output,
            hint=f"{command('up')} again shows what uses it, or picks another port if the spec names none",
        )
    if "could not access kvm" in text.lower() or "failed to initialize kvm" in text.lower():
        return HostLacks(f"machine {machine} could not be started with KVM", evidence=output,
                         hint="give this user access to /dev/kvm: sudo usermod -aG kvm $USER")  # fmt: skip
    return EnvironmentFailed(
        f"QEMU did not start machine {machine}",
        evidence=output,
        hint=f"{command('up', '--rebuild')} recreates it",
    )
