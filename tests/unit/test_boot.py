"""When a machine that boots is given up: a table of decisions."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from provision.backends.vm.boot import Hangs, Watch, hangs
from provision.progress import Silent

CASES = yaml.safe_load((Path(__file__).parent / "boot.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_machine_is_given_up_where_no_kernel_needs_so_long(case: dict[str, object]) -> None:
    found = hangs(
        accelerated=bool(case["accelerated"]),
        kernel_began=bool(case["kernel_began"]),
        silent_for=float(str(case["silent_for"])),
    )
    assert found is case["hangs"]


def test_what_a_console_says_is_shown_and_puts_the_end_off() -> None:
    lines: list[str] = []

    class Shown(Silent):
        def line(self, text: str) -> None:
            lines.append(text)

    text = ""
    watch = Watch(machine="m", console=lambda: text, accelerated=True, progress=Shown())
    watch.look()
    text = "Linux version 6.1\n"
    watch.look()
    watch._changed -= 20
    watch.look()  # its kernel has begun: it may be silent for longer
    text += "Run /init as init process\n\n"
    watch.look()
    assert lines == ["Linux version 6.1", "Run /init as init process"]
    watch._changed -= 60
    with pytest.raises(Hangs, match="machine m printed nothing for 60 s"):
        watch.look()
