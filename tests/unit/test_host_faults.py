"""The first line of an error says what the host lacks, where that is why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision.backends.build_errors import LONGEST, build_failed
from provision.backends.host_faults import find_fault
from provision.process import CommandFailed
from provision.state import StateDir

if TYPE_CHECKING:
    from pathlib import Path

CASES = [
    ("dd: error writing '/a': No space left on device", "the disk is full"),
    ("write /var/lib/docker/tmp/x: no space left on device", "the disk is full"),
    ("E: You don't have enough free space in /var/cache/apt/archives/.", "the disk is full"),
    ("tar: /a: Cannot write: Disk quota exceeded", "the disk is full"),
    ("fork: Cannot allocate memory", "there is not enough memory"),
    ("virtual memory exhausted: Cannot allocate memory", "there is not enough memory"),
    ("E: Release file for http://d/InRelease is not valid yet (invalid for another 3h 2min 1s).",
     "the clock of this host is behind"),
    ("curl: (60) SSL certificate problem: certificate is not yet valid", "the clock of this host is behind"),
    ("E: Release file for http://d/InRelease is expired (invalid since 2d 1h).",
     "what the mirror offers has expired, or the clock of this host is ahead"),
    ("curl: (60) SSL certificate problem: certificate has expired",
     "what the mirror offers has expired, or the clock of this host is ahead"),
    ("make: *** [all] Error 2", None),
    ("the spaceship left on the device", None),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), CASES, ids=[line[:30] for line, _ in CASES])
def test_what_a_program_says_of_the_host(line: str, message: str | None) -> None:
    fault = find_fault(["fetching", line, "exit"], 1)
    assert (fault.message if fault else None) == message
    assert fault is None or fault.hint


def test_what_was_killed_lacked_memory() -> None:
    fault = find_fault(["Killed"], 137)
    assert fault is not None
    assert "memory" in fault.message
    assert find_fault(["Killed"], 1) is None


def test_the_first_line_of_a_failed_build_says_it(tmp_path: Path) -> None:
    state_dir = StateDir(folder=tmp_path, name="dev", id="01234567")
    said = 'process "/bin/sh -c sh /run/provision/steps/020-fill.sh" did not complete: exit code: 1'
    long = "x" * 5000
    lines = (f"#7 0.1 {long}", "#7 0.2 dd: error writing: No space left on device", f"#7 ERROR: {said}")
    state_dir.log.write_text("\n".join(lines))
    error = build_failed(CommandFailed(["docker"], 1, said), state_dir, [])
    assert error.message == "the disk is full: the step fill exited with code 1"
    assert "provision gc" in error.hint
    assert max(map(len, error.evidence)) == LONGEST + 1


def test_a_failed_step_of_podmans_builder_is_named_too(tmp_path: Path) -> None:
    state_dir = StateDir(folder=tmp_path, name="dev", id="01234567")
    step = "RUN sh /run/provision/steps/030-fine.sh"
    said = f'building at STEP "{step} # c348": while running runtime: exit status 7'
    state_dir.log.write_text(f"STEP 4/9: RUN true\nbefore\nSTEP 5/9: {step}\nwhy\n{said}\n\n$ docker ps")
    error = build_failed(CommandFailed(["docker"], 1, said), state_dir, [])
    assert error.message == "the step fine exited with code 7"
    assert error.evidence == ("why",)
