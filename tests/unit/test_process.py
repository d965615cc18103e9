"""What a command of the host is given: an environment without what outranks the rendering."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from provision import process
from provision.errors import HostLacks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.processes

# A variable of the host, and whether a command still sees it.
VARIABLES = {
    "COMPOSE_PROJECT_NAME": False,
    "COMPOSE_FILE": False,
    "COMPOSE_PROFILES": False,
    "COMPOSE_ENV_FILES": False,
    "COMPOSE_DISABLE_ENV_FILE": False,
    "VAGRANT_CWD": False,
    "VAGRANT_VAGRANTFILE": False,
    "VAGRANT_DOTFILE_PATH": False,
    "VAGRANT_DEFAULT_PROVIDER": False,
    "VAGRANT_HOME": True,
    "VAGRANT_CLOUD_TOKEN": True,
    "PYTEST_ADDOPTS": False,
    "PYTEST_PLUGINS": False,
    "BUILDKIT_PROGRESS": False,
    "BUILDKIT_HOST": False,
    "BUILDX_BUILDER": False,
    "BUILDX_CONFIG": True,
    "DOCKER_BUILDKIT": False,
    "DOCKER_DEFAULT_PLATFORM": False,
    "DOCKER_HOST": True,
    "DOCKER_CONTEXT": True,
    "DOCKER_CONFIG": True,
    "DOCKER_TLS_VERIFY": True,
    "DOCKER_CERT_PATH": True,
    "DOCKER_CONTENT_TRUST": True,
    "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY": False,
    "SOURCE_DATE_EPOCH": False,
    "LIBVIRT_DEFAULT_URI": True,
    "VBOX_USER_HOME": True,
    "RSYNC_PROTECT_ARGS": False,
    "TAR_OPTIONS": False,
    "BASH_ENV": False,
    "ENV": False,
    "CDPATH": False,
    "BASH_FUNC_docker%%": False,
    "SSH": False,
    "SSH_AUTH_SOCK": True,
    "GIT_DIR": False,
    "GIT_INDEX_FILE": False,
    "GIT_CONFIG_GLOBAL": True,
    "LD_LIBRARY_PATH": True,
    "HTTPS_PROXY": True,
    "LANG": True,
    "API_KEY": True,
}
SAY = "import json, os; print(json.dumps(dict(os.environ)))"
WORDS = [sys.executable, "-c", SAY]


def _streamed() -> str:
    lines: list[str] = []
    process.stream(WORDS, lines.append)
    return lines[-1]


def _started() -> str:
    return process.start(WORDS).communicate()[0].decode()


def _attached() -> str:
    """As a person gets it: on this process's own stdout."""
    return _printed(f"process.attach([sys.executable, '-c', {SAY!r}], lambda _: None)")


def _printed(statement: str) -> str:
    script = f"import sys; from provision import process; {statement}"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout


WAYS: dict[str, Callable[[], str]] = {
    "run": lambda: process.run(WORDS).stdout,
    "run with more": lambda: process.run(WORDS, env={"OWN": "value"}).stdout,
    "stream": _streamed,
    "start": _started,
    "attach": _attached,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_command_gets_nothing_that_outranks_what_is_rendered(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "/somewhere" if name != "LD_LIBRARY_PATH" else os.environ.get(name, ""))
    seen = json.loads(WAYS[way]())
    assert {name: name in seen for name in VARIABLES} == VARIABLES
    assert ("OWN" in seen) == (way == "run with more")


def test_what_is_given_by_name_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPOSE_TOKEN", "the host's")
    assert process.environment({"COMPOSE_TOKEN": "ours"})["COMPOSE_TOKEN"] == "ours"
    assert os.environ["COMPOSE_TOKEN"] == "the host's"


def test_vagrant_gets_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """python-vagrant runs commands itself."""
    from pathlib import Path

    from provision.backends.vm.vagrant import driver
    from provision.state import StateDir

    for name in ("VAGRANT_CWD", "VAGRANT_VAGRANTFILE", "VAGRANT_HOME"):
        monkeypatch.setenv(name, "/elsewhere")
    made = driver._vagrant(StateDir(folder=Path("/state"), name="dev", id="0"), lambda _line: None)
    assert "VAGRANT_CWD" not in made.env
    assert "VAGRANT_VAGRANTFILE" not in made.env
    assert made.env["VAGRANT_HOME"] == "/elsewhere"
    assert made.env["VAGRANT_NO_COLOR"] == "1"


def test_a_command_that_ignores_its_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an interrupt, as `docker` may do while its engine hangs."""
    monkeypatch.setattr(process, "KILLED_AFTER", 0.2)
    script = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('begun', flush=True); time.sleep(600)"
    )

    def interrupted(line: str) -> None:
        assert line == "begun"
        process.end_children()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.stream([sys.executable, "-c", script], interrupted)


def test_what_did_not_answer_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until some seconds later; and another engine at once."""
    program = tmp_path / "engine"
    program.write_text(f"#!/bin/sh\necho >>{tmp_path}/asked\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(process, "ANSWERS_WITHIN", 0.3)
    monkeypatch.setattr(process, "_silent", {})

    def asked() -> int:
        with pytest.raises(HostLacks, match=r"engine status did not answer within 0\.3 s"):
            process.ask([str(program), "status"])
        return (tmp_path / "asked").read_text().count("\n")

    assert not process.is_silent(str(program))
    assert [asked(), asked()] == [1, 1]
    assert process.is_silent(str(program))
    assert not process.is_silent("docker")
    monkeypatch.setenv("DOCKER_HOST", "unix:///other.sock")
    assert asked() == 2
    monkeypatch.setattr(process, "SILENT_FOR", 0.0)
    assert asked() == 3
