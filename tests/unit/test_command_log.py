"""Every command is told: with `-v` on stderr, and always in the log of a change."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from provision import log, process
from provision.cli import verbose
from provision.progress import Silent
from provision.state import StateDir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.processes


@pytest.fixture(autouse=True)
def _quiet_afterwards() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in (log.COMMANDS, log.SCRIPTS)]
    yield
    for logger in loggers:
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)


def commands(text: str) -> list[str]:
    """The logged commands, with N for each duration."""
    return [re.sub(r"\d+\.\d\d s", "N s", line) for line in text.splitlines() if line.startswith("$ ")]


def act() -> None:
    process.run(["sh", "-c", "exit 3"], check=False)
    process.stream(["echo", "a b\x1b[31m"], lambda _line: None)
    with pytest.raises(process.CommandFailed):
        process.run(["sleep", "9"], timeout=0.05)


EXPECTED = [
    "$ sh -c 'exit 3' # N s, exit code 3",
    "$ echo 'a b\x1b[31m' # N s, exit code 0",
    "$ sleep 9 # N s, exit code -9",
]


def test_the_log_of_a_change_has_each_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))
    state_dir = StateDir.of(tmp_path, "dev", "docker", tmp_path / "provision.yaml")
    with state_dir.lock(Silent()):
        process.run(["true"])  # before there is a log: nothing is made for it
        assert not state_dir.log.exists()
        state_dir.make()
        state_dir.log.write_text("first\n")
        act()
    process.run(["true"])  # not of this change
    log = state_dir.log.read_text()
    assert log.startswith("first\n")
    assert commands(log) == EXPECTED


@pytest.mark.parametrize("option", ["-v", "--verbose", "-vv", None])
def test_verbose_shows_each_command_and_its_output(option: str | None) -> None:
    verb = verbose.add_option(verbose.add_option(click.Command("verb", callback=act)))
    shown = CliRunner().invoke(verb, [option] if option else [], catch_exceptions=False)
    assert shown.stdout == ""
    if option is None:
        assert shown.stderr == ""
        return
    assert "\x1b" not in shown.stderr
    assert "\n  a b\\x1b[31m\n" in shown.stderr
    ended = [line for line in commands(shown.stderr) if not line.endswith("# running")]
    assert ended == [line.replace("\x1b", "\\x1b") for line in EXPECTED]


SLOW = """
import sys
import threading

from provision import log

assert "logging" not in sys.modules  # slow to import: only where somebody listens
threading.Thread(target=lambda: __import__("logging")).start()
while "logging" not in sys.modules:
    pass
log.info(log.COMMANDS, "told by the %s", "first")
log.debug(log.COMMANDS, "and by the second")
print(*sys.modules["logging"].told)
"""

HALF = """
import time

time.sleep(0.5)  # another thread meets half a module


class getLogger:
    def __init__(self, name):
        pass

    def info(self, message, *values):
        told.append(message % values)

    debug = info


told = []
"""


def test_logging_that_another_thread_imports_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "logging.py").write_text(HALF, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, env=environment)
    assert (said.stdout, said.stderr) == ("told by the first and by the second\n", "")
