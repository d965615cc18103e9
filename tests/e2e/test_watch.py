"""`provision watch`: what changes is brought up, a wrong spec is waited on, Ctrl-C ends with 130."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.conftest import make_project

if TYPE_CHECKING:
    from pathlib import Path

SPEC = """
    version: 1
    name: watched
    extends: base.yaml
    files: {{/srv/message: {{source: message}}}}
    services: {{web: {{command: sleep {seconds}}}}}
"""
LONG = 180.0  # seconds that a busy host may take


def _until(path: Path, words: str, times: int = 1) -> str:
    """Wait until the words stand in what was printed, so many times."""
    deadline = time.monotonic() + LONG
    while (said := path.read_text()).count(words) < times:
        assert time.monotonic() < deadline, f"waited for {words!r}:\n{said}"
        time.sleep(0.1)
    return said


def test_what_changes_is_brought_up(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", "docker")
    project.write("base.yaml", "version: 1\nbase: debian:12\n")
    project.write("message", "one\n")
    project.spec(SPEC.format(seconds=1000))
    printed = tmp_path / "printed"
    with printed.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "provision", "watch", "--no-verify"],
            cwd=project.folder, stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, "PROVISION_BACKEND": "docker"},
        )  # fmt: skip
    try:
        _until(printed, "watching 4 files")
        project.spec(SPEC.format(seconds=2000))
        _until(printed, "watching", 2)
        assert "provision.yaml changed" in printed.read_text()
        assert "change in place (the command of service web changed)" in printed.read_text()
        project.write("message", "two\n")
        _until(printed, "watching", 3)
        assert "message changed" in printed.read_text()
        assert project.inside("cat /srv/message") == "two\n"
        project.write("base.yaml", "version: 1\nbase: nothing:12\n")
        said = _until(printed, "watching", 4)
        assert "base.yaml:2" in said
        assert child.poll() is None, "a wrong spec is waited on"
        project.write("base.yaml", "version: 1\nbase: debian:12\nenv: {A: b}\n")
        _until(printed, "watching", 5)
        assert project.inside("echo $A") == "b\n"
        child.send_signal(signal.SIGINT)
        assert child.wait(LONG) == 130
        assert printed.read_text().rstrip().endswith("interrupted")
        assert project.state()["state"] == "running", "the machines stay up"
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        down = project.run("down", "--volumes", "--images")
        assert down.code == 0, down.all
