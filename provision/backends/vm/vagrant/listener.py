"""What Vagrant says while it boots machines, what their consoles show, and when to give up."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from provision.backends.vm.acceleration import FIRST_LINE
from provision.backends.vm.vagrant.errors import legible, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from provision.progress import Progress
    from provision.state import StateDir

CHOICES = "host.json"  # the Vagrantfile reads it
CONSOLE = "console-{machine}.log"
HEARD_LINES = 60
KERNEL_PATIENCE = 60.0  # seconds: with KVM a machine has said its first line after ten
ADDRESS_PATIENCE = 300.0  # seconds: under emulation a machine has its address after 25 to 120
WAITS_FOR_ADDRESS = "Waiting for domain to get an IP address..."
HAS_ADDRESS = "Waiting for machine to boot"


class Listener:
    """Hears Vagrant line by line, and stops it where it waits for an address for too long.

    Vagrant itself would wait for ten minutes, whatever its boot_timeout, and says nothing of
    what the machine does: the last line of its console is shown meanwhile.
    """

    def __init__(self, each_line: Callable[[str], None], state_dir: StateDir, progress: Progress) -> None:
        self.last: deque[str] = deque(maxlen=HEARD_LINES)  # without Ruby's frames, which may be hundreds
        self.given_up: Literal["", "no address", "hangs"] = ""
        self._each_line = each_line
        self._state_dir = state_dir
        self._progress = progress
        self._rested = threading.Event()
        self._watching = False

    def hear(self, raw: str) -> None:
        """Keep a line, hand it on, and see whether the machine is waited for."""
        line = plain(raw)
        self.last.extend(legible([line]))
        self._each_line(line)
        if line.endswith(WAITS_FOR_ADDRESS) and not self._watching:
            self._watching = True
            threading.Thread(target=self._watch, daemon=True).start()
        elif HAS_ADDRESS in line:
            self.rest()

    def rest(self) -> None:
        """Watch no more."""
        self._rested.set()

    def _watch(self) -> None:
        """Show the consoles, until there is an address or no hope of one."""
        begun = time.monotonic()
        accelerated = _is_accelerated(self._state_dir)
        while not self._rested.wait(1):
            waited = time.monotonic() - begun
            texts = [console_text(path) for path in consoles(self._state_dir)]
            for line in [text.splitlines()[-1] for text in texts if text.strip()][-1:]:
                self._progress.line(line)
            silent = not texts or any(FIRST_LINE not in text for text in texts)
            if accelerated and silent and waited > KERNEL_PATIENCE:
                self._give_up("hangs")
            elif waited > ADDRESS_PATIENCE:
                self._give_up("no address")

    def _give_up(self, why: Literal["no address", "hangs"]) -> None:
        """Interrupt the Vagrant that this process started there: it cleans up and ends."""
        import psutil

        self.rest()
        for child in psutil.Process().children():
            with suppress(psutil.Error):
                if child.cwd() == str(self._state_dir.rendering.resolve()):
                    self.given_up = why
                    child.send_signal(signal.SIGINT)


def consoles(state_dir: StateDir) -> Sequence[Path]:
    """The files of the machines' consoles, the one that was written last at the end."""
    return sorted(state_dir.folder.glob(CONSOLE.format(machine="*")), key=lambda path: path.stat().st_mtime)


def console_text(path: Path) -> str:
    """What a machine wrote to its serial console, without empty lines."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = text.replace("\r", "").splitlines()
    return "\n".join(line for line in lines if line.strip())


def _is_accelerated(state_dir: StateDir) -> bool:
    """Whether a machine of the environment was told to run with KVM."""
    try:
        choices = json.loads((state_dir.rendering / CHOICES).read_text())
    except (OSError, ValueError):
        return False
    return any(each.get("driver") == "kvm" for each in choices.get("processors", {}).values())
