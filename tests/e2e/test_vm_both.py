"""`provision test`: the reference environment as a container and as a machine at the same time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from provision.state import StateDir
from tests.conftest import LONG, ROOT, Said, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def provision(*words: str, provider: str) -> Said:
    done = subprocess.run(
        [sys.executable, "-m", "provision", *words],
        cwd=ROOT,
        env={**os.environ, "PROVISION_PROVIDER": provider},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def provider() -> Iterator[str]:
    """The one that has least in common with a container; QEMU's machines are compared file by file."""
    yield "libvirt"
    for backend in ("docker", "vm"):
        words = ("down", "envs/dev.yaml", "--name", "both-test", "-b", backend, "--volumes", "--images")
        assert provision(*words, provider="libvirt").code == 0


def test_dev_passes_in_both_with_no_check_skipped(provider: str, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    words = ("test", "envs/dev.yaml", "--name", "both", "--set", "port=18091",
             "--backend", "docker", "--backend", "vm", "--junit", str(report))  # fmt: skip
    said = provision(*words, provider=provider)
    assert said.code == 0, said.all
    for backend in ("docker", "vm"):
        assert f"{backend}: 28 checks passed\n" in said.stdout
        asking = ("status", "envs/dev.yaml", "--name", "both-test", "-b", backend, "--format", "json")
        status = provision(*asking, provider=provider)
        assert json.loads(status.stdout)["machines"][0]["state"] == "absent"
    log = StateDir.of(ROOT, "both-test", "vm").log.read_text()
    assert re.search(r"^==> attach:", log, re.MULTILINE)
    assert not re.search(r"^==> \d+-", log, re.MULTILINE), "its box had all steps done"
    suites = ET.parse(report).getroot()
    counts = [(suite.get("tests"), suite.get("failures")) for suite in suites]
    assert counts == [("28", "0"), ("28", "0"), ("1", "0")], "each form's checks, and the comparison"


DIFFERS = """
version: 1
name: differs
base: debian:12
checks:
  - {command: uname -r, name: same}
  - {script: "test ! -d /run/systemd/system", name: no systemd}
  - {command: "true", requires: [kernel], name: kernel}
"""


def test_what_differs_is_shown_and_is_a_failure(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", "docker")
    project.spec(DIFFERS)
    said = project.run("test", "-b", "docker", "-b", "vm", env={"PROVISION_PROVIDER": "qemu"})
    assert said.code == 1, said.all
    assert "✗ vm: differs: no systemd" in said.stdout
    assert "- docker: differs: kernel" in said.stdout
    assert project.state()["state"] == "absent"
