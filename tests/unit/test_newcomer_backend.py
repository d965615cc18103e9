"""A backend of another package: nothing of provision is edited, and its name works everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.processes

ENTRY_POINTS = "[provision.backends]\nnewcomer = newcomer\n"
METADATA = "Metadata-Version: 2.1\nName: newcomer\nVersion: 1\n"
OPTIONS = """
{
  "size": {"title": "small or large", "enum": ["small", "large"], "x-harmless": true,
           "description": "How large.", "default": "small", "examples": ["large"]},
  "device": {"title": "text", "type": "string", "description": "A device.", "examples": ["/dev/x"]}
}
"""
BACKEND = '''
"""Makes nothing, and says so."""
from provision.errors import Problem


class Newcomer:
    name, title, noun, preference = "newcomer", "Newcomer", "a newcomer", 9

    def supports(self, machine):
        return frozenset()

    def choose(self, environment, state_dir):
        return None

    def notes(self, environment):
        return tuple(f"{m.name} is {m.options.get('size', 'small')}" for m in environment.machines)

    def refusals(self, environment, state_dir):
        machines = (machine for machine in environment.machines if machine.services)
        return [Problem(f"{each.name} has services", each.services[0].origin) for each in machines]


BACKEND = Newcomer()
'''


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder as pip would leave it with the package `newcomer`."""
    folder = tmp_path / "packages"
    (folder / "newcomer").mkdir(parents=True)
    (folder / "newcomer" / "__init__.py").write_text(BACKEND)
    (folder / "newcomer" / "options.schema.json").write_text(OPTIONS)
    (folder / "newcomer-1.dist-info").mkdir()
    (folder / "newcomer-1.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "newcomer-1.dist-info" / "METADATA").write_text(METADATA)
    return folder


def validate(packages: Path, spec: str, *options: str) -> subprocess.CompletedProcess[str]:
    project = packages.parent / "project"
    (project / ".git").mkdir(parents=True)
    head = "version: 1\nname: dev\nbase: debian:12\n"
    (project / "provision.yaml").write_text(head + textwrap.dedent(spec))
    return subprocess.run(
        [sys.executable, "-m", "provision", "validate", *options],
        cwd=project, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(packages), "PROVISION_ALLOW": "",
             "PROVISION_STATE_DIR": str(packages.parent / "state")},
    )  # fmt: skip


def test_its_own_keys_are_read_and_it_speaks(packages: Path) -> None:
    answer = validate(packages, "backends: {newcomer: {size: large, packages: [curl]}}", "-b", "newcomer")
    assert answer.returncode == 0, answer.stderr
    assert "dev is large" in answer.stdout
    assert "for newcomer: dev (debian:12)" in answer.stdout


def test_without_a_backend_all_are_asked(packages: Path) -> None:
    answer = validate(packages, "services: {web: {command: sleep 9}}")
    assert answer.returncode == 0, answer.stderr
    assert [line.split(":")[1] for line in answer.stdout.splitlines() if "is valid" in line] == [
        " dev, for docker", " dev, for vm"
    ]  # fmt: skip
    assert "not for newcomer: dev has services (provision.yaml:4:12)" in answer.stdout


WRONG = {
    "a value that its schema refuses": (
        "backends: {newcomer: {size: huge}}", 'size must be small or large; this is "huge"'
    ),
    "a key that it does not have": ("backends: {newcomer: {speed: 1}}", "unknown key speed in"),
    "an option that is not harmless": (
        "backends: {newcomer: {device: /dev/sda}}", "backends.newcomer.device can reach beyond"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_as_for_any_other(packages: Path, case: str) -> None:
    spec, message = WRONG[case]
    answer = validate(packages, spec, "-b", "newcomer")
    assert answer.returncode == 2
    assert message in answer.stderr
    assert "provision.yaml:4:" in answer.stderr


def test_a_backend_that_is_not_there_names_those_that_are(packages: Path) -> None:
    answer = validate(packages, "", "-b", "nobody")
    assert answer.returncode == 2
    assert "choose from docker, vm, newcomer" in answer.stderr
