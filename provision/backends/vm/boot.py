"""A machine that boots: what its console says of it, and whether it still comes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provision.backends.vm.acceleration import FIRST_LINE
from provision.errors import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from provision.progress import Progress

# Seconds that an accelerated machine may say nothing. With KVM the first line comes after one or
# two, all that follows in less than ten; an emulated machine on a busy host has no such bounds.
FIRST_LINE_WITHIN = 15.0
NEXT_LINE_WITHIN = 40.0


class Hangs(EnvironmentFailed):
    """A machine with an accelerator has fallen silent before it was up."""


def hangs(*, accelerated: bool, kernel_began: bool, silent_for: float) -> bool:
    """Whether a machine that has been silent for that many seconds, and does not answer, is given up."""
    if not accelerated:
        return False
    return silent_for > (NEXT_LINE_WITHIN if kernel_began else FIRST_LINE_WITHIN)


@dataclass(kw_only=True)
class Watch:
    """Reads a console while its machine boots; called again and again.

    Args:
        machine: its name, for messages.
        console: the text that the machine has written so far.
        accelerated: whether it runs with KVM or HVF.
        progress: shown the console's last line.
    """

    machine: str
    console: Callable[[], str]
    accelerated: bool
    progress: Progress
    _text: str = ""
    _changed: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """Show the last line.

        Raises:
            Hangs: an accelerated machine has been silent for too long.
        """
        text = self.console()
        if text != self._text:
            self._text, self._changed = text, time.monotonic()
            if last := [line for line in text.splitlines() if line.strip()][-1:]:
                self.progress.line(last[0].strip())
        silent_for = time.monotonic() - self._changed
        if hangs(accelerated=self.accelerated, kernel_began=FIRST_LINE in text, silent_for=silent_for):
            raise Hangs(f"machine {self.machine} printed nothing for {silent_for:.0f} s")


def shown(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The end of a console as evidence; that it is empty is evidence too."""
    return lines or ("its console is empty: the kernel printed nothing",)
