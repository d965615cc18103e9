"""The command line as a person meets it: help, mistakes, completion, terminals, exit codes, JSON."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provision.cli import VERBS
from tests.conftest import Project, brought_up

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 60
HEAVY = {
    "docker",
    "jinja2",
    "jsonschema",
    "yaml",
    "rich",
    "pytest",
    "testinfra",
    "vagrant",
    "psutil",
}

SPEC = """
version: 1
name: words
base: debian:12
workspace: {source: ., path: /workspace}
services:
  one: {command: sleep infinity, ready: {command: "true"}}
ports: [{guest: 8080, optional: true}]
checks:
  - {command: echo hello, stdout: hello}
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with brought_up(tmp_path_factory.mktemp("words") / "project", "docker", SPEC) as project:
        yield project


# --- help


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_what_it_does(project: Project, verb: str) -> None:
    said = project.good(verb, "--help")
    assert said.startswith(f"Usage: provision {verb} ")
    assert project.good(verb, "-h") == said


def test_help_lists_every_verb_and_how_to_begin(project: Project) -> None:
    said = project.good("--help")
    for verb, meaning in VERBS.items():
        assert verb in said
        assert meaning.split()[0] in said
    assert "provision up envs/dev.yaml" in said
    assert project.run().all == said


def test_help_loads_nothing_that_it_does_not_need(project: Project) -> None:
    """Start-up is paid at every call."""
    for word in ("--help", "--version"):
        said = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "provision", word],
            cwd=project.folder, capture_output=True, text=True, check=True, timeout=PATIENCE,
        )  # fmt: skip
        imported = {line.rpartition("|")[2].strip() for line in said.stderr.splitlines()}
        assert "click" in imported
        assert imported & HEAVY == set()


# Each takes 10 to 100 ms to import; the first run of a spec may need them, the next ones must not.
SLOW = {
    "asyncio", "asyncssh", "attr", "docker", "email", "http", "importlib.metadata", "jinja2", "jsonschema",
    "multiprocessing", "psutil", "pytest", "referencing", "rich", "rpds", "ssl", "statistics",
    "tarfile", "testinfra", "vagrant", "xml", "yaml",
    "provision.backends.build_errors", "provision.backends.docker.snapshots", "provision.backends.vm",
    "provision.inventory", "provision.spec.sandbox", "provision.verify",
}  # fmt: skip
ONLY_UP = {
    "provision.backends.docker.apply", "provision.backends.docker.render",
    "provision.backends.in_place", "provision.lockfile", "provision.recipe.steps",
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "unneeded"),
    [
        (["status"], SLOW | ONLY_UP),
        (["exec", "--", "true"], SLOW | ONLY_UP | {"provision.spec.build", "provision.spec.contract"}),
        (["up", "--no-verify"], SLOW - {"provision.backends.build_errors", "statistics"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_is_asked_often_loads_only_what_it_needs(
    up: Project, words: list[str], unneeded: set[str]
) -> None:
    """Importing is most of the time of these."""
    up.good(*words)
    said = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "provision", *words],
        cwd=up.folder, env={**os.environ, "PROVISION_BACKEND": "docker"},
        capture_output=True, text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in said.stderr.splitlines()}
    assert "provision.engine" in imported
    assert imported & unneeded == set()


@pytest.mark.parametrize(
    ("words", "meant"),
    [(["stauts"], "status"), (["verfy"], "verify"), (["docter"], "doctor")],
)
def test_a_mistyped_verb_is_answered_with_the_nearest(project: Project, words: list[str], meant: str) -> None:
    said = project.run(*words)
    assert said.code == 2
    assert f"Did you mean {meant}?" in said.stderr


# --- mistakes


def large() -> bytes:
    return b"version: 1\nname: x\n" + b"# no end\n" * 1_200_000


def bomb() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join(
        ["version: 1", "name: x", "base: debian:12", "x-bomb:", *(f"  {x}" for x in lines)]
    ).encode()


WRONG = {
    "empty": b"",
    "not utf-8": b"version: 1\nname: \xff\xfe\n",
    "nul": b"version: 1\nname: a\0b\n",
    "10 MB": large(),
    "alias bomb": bomb(),
    "not yaml": b"version: [1\nname: {",
    "a list": b"- version: 1\n",
    "deep": b"[" * 20_000,
    "unknown key": b"version: 1\nname: x\nbase: debian:12\nservice: {}\n",
    "wrong type": b"version: 1\nname: x\nbase: debian:12\npackages: git\n",
    "duplicate key": b"version: 1\nname: x\nname: y\nbase: debian:12\n",
    "undefined variable": b"version: 1\nname: x\nbase: debian:12\nenv: {A: '${{ vars.nothing }}'}\n",
    "missing source": b"version: 1\nname: x\nbase: debian:12\nfiles: {/a: {source: nothing}}\n",
    "outside": b"version: 1\nname: x\nbase: debian:12\nfiles: {/a: {source: /etc/passwd}}\n",
    "bad size": b"version: 1\nname: x\nbase: debian:12\nresources: {memory: 2GB2}\n",
    "port out of range": b"version: 1\nname: x\nbase: debian:12\nports: ['70000']\n",
    "port twice": b"version: 1\nname: x\nbase: debian:12\nports: ['80', '80']\n",
    "unknown base": b"version: 1\nname: x\nbase: debain:12\n",
    "unknown user": b"version: 1\nname: x\nbase: debian:12\nservices: {a: {command: b, user: nobdy}}\n",
    "a version for a string": b"version: 1\nname: x\nbase: debian:12\nenv: {A: 3.10}\n",
}
WRONG |= {
    url: b"version: 1\nname: x\nbase: debian:12\nservices: {a: {command: b, ready: {http: '%b'}}}\n"
    % url.encode()
    for url in ("http://localhost:99999/", "http://localhost:abc/", "http://[::1/", "http://:80/")
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("verb", ["validate", "up"])
def test_a_wrong_spec_is_told_where_and_why(project: Project, kind: str, verb: str) -> None:
    project.write("provision.yaml", WRONG[kind])
    said = project.run(verb)
    assert said.code == 2, said.all
    assert "Traceback" not in said.all
    assert "provision.yaml:" in said.stderr
    assert "hint:" in said.stderr
    assert said.stdout == ""
    assert len(said.stderr) < 5000, "an error is to be read"
    assert not project.state_dir("x").folder.parent.exists()
    assert sorted(path.name for path in project.folder.iterdir()) == [".git", "provision.yaml"]


MISTAKES = [
    ["up", "nothing.yaml"],
    ["up", "."],
    ["validate"],
    ["up", "-b", "nonsense"],
    ["up", "--timeout", "-1"],
    ["up", "--set", "novalue"],
    ["up", "--name", "Not A Name"],
    ["status", "--format", "xml"],
    ["exec"],
    ["bases", "build", "debain:12"],
    ["bases", "build", "debian:12", "--snapshot", "yesterday"],
    ["bases", "build", "debian:12", "-b", "vm", "--provider", "parallels"],
    ["bases", "build", "debian:12", "-b", "wsl"],
    ["completion", "tcsh"],
    ["--nonsense"],
]


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_wrong_command_line(project: Project, words: list[str]) -> None:
    if words != ["validate"]:
        project.spec(SPEC)
    said = project.run(*words)
    assert said.code == 2, said.all
    assert "Traceback" not in said.all
    assert said.stdout == ""
    assert len(said.stderr.strip()) > 10


def test_a_reader_who_goes_away_is_no_error(project: Project) -> None:
    words = f"{sys.executable} -m provision schema | head -n 1"
    said = subprocess.run(
        ["bash", "-o", "pipefail", "-c", words],
        cwd=project.folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == "{\n"


# --- completion


def test_bash_completes_verbs_and_options(project: Project, tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(project.good("completion", "bash"))
    subprocess.run(["bash", "-n", str(script)], check=True, timeout=PATIENCE)
    (tmp_path / "provision").write_text(f'#!/bin/sh\nexec {sys.executable} -m provision "$@"\n')
    (tmp_path / "provision").chmod(0o755)

    def completed(*words: str) -> set[str]:
        """What bash offers when the last of these words is begun."""
        asked = (
            f"source {script}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1};"
            " _provision_completion provision; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        said = subprocess.run(
            ["bash", "--norc", "-c", asked],
            env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
            cwd=project.folder, capture_output=True, text=True, check=True, timeout=PATIENCE,
        )  # fmt: skip
        return set(said.stdout.split())

    assert completed("provision", "st") == {"start", "status", "stop"}
    assert completed("provision", "''") >= set(VERBS)
    assert completed("provision", "up", "--re") == {"--rebuild", "--record"}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_take_their_completion(project: Project, tmp_path: Path, shell: str) -> None:
    script = tmp_path / "completion"
    script.write_text(project.good("completion", shell))
    text = script.read_text()
    assert "_PROVISION_COMPLETE" in text
    assert ("#compdef provision" if shell == "zsh" else "complete --no-files --command provision") in text
    if program := shutil.which(shell):
        subprocess.run([program, "-n", str(script)], check=True, timeout=PATIENCE)


# --- exec and terminals


def on_a_terminal(project: Project, *words: str) -> str:
    """What a person sees who runs `provision` on a terminal."""
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "provision", *words],
        cwd=project.folder,
        env={**os.environ, "PROVISION_BACKEND": "docker", "TERM": "xterm", "CI": ""},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 65536):
            seen += chunk
    except OSError as error:  # a terminal that nobody holds any longer
        assert error.errno == errno.EIO  # noqa: PT017 - the way Linux tells the end
    finally:
        os.close(ours)
    assert running.wait(PATIENCE) == 0, seen
    return seen.decode()


def test_exec_gives_a_terminal_where_there_is_one(up: Project) -> None:
    assert "not a tty" not in on_a_terminal(up, "exec", "--", "tty")
    assert up.run("exec", "--", "tty").stdout == "not a tty\n"


def test_progress_on_a_terminal_keeps_one_line_a_step(up: Project) -> None:
    up.good("down")
    seen = on_a_terminal(up, "up", "--no-record")
    last = seen.rpartition("is up in docker")[0]
    assert last.count("✓") == 2
    assert "Creating" not in last.splitlines()[-1]


def test_progress_in_a_pipe_is_plain(up: Project) -> None:
    up.good("down")
    up.up("--no-record")  # so that there is a last such change, whatever ran before
    up.good("down")
    said = up.run("up", "--no-record")
    assert "\x1b" not in said.all
    assert "\r" not in said.all
    plan, duration, *steps = said.stderr.splitlines()
    assert plan == "words: create (there is no container yet)"
    assert re.fullmatch(r"the last such change took \d+ s", duration)
    assert [line[0] for line in steps] == ["…", "✓", "…", "✓"]
    assert said.stdout.startswith("words is up in docker: ")
    assert "provision shell provision.yaml" in said.stdout


# --- answers for programs


def test_status_as_json(up: Project) -> None:
    up.up("--no-verify")
    answer = up.run("status", "--format", "json").json()
    [machine] = answer["machines"]
    assert machine.pop("address").count(".") == 3
    assert isinstance(machine["ports"][0].pop("host"), int)
    assert answer == {
        "name": "words",
        "backend": "docker",
        "machines": [
            {
                "name": "words",
                "state": "running",
                "ports": [{"guest": 8080, "address": "127.0.0.1", "protocol": "tcp"}],
                "services": [{"name": "one", "state": "running"}],
            }
        ],
    }


def test_verify_as_json_and_junit(up: Project) -> None:
    up.up("--no-verify")
    said = up.run("verify", "--format", "json", "--junit", "report.xml")
    assert said.code == 0
    answer = said.json()
    assert list(answer) == ["name", "backend", "passed", "failed", "skipped", "checks"]
    assert (answer["name"], answer["backend"]) == ("words", "docker")
    assert answer["passed"] == len(answer["checks"]) > 3
    assert answer["failed"] == answer["skipped"] == 0
    for check in answer["checks"]:
        assert list(check) == ["machine", "check", "outcome", "message", "seconds"]
        assert (check["machine"], check["outcome"]) == ("words", "passed")
        assert isinstance(check["seconds"], float)
    assert f'tests="{answer["passed"]}"' in (up.folder / "report.xml").read_text()


def test_bases_as_json(project: Project) -> None:
    found = {each["name"]: each for each in project.run("bases", "--format", "json").json()["bases"]}
    assert found["debian:12"]["family"] == "apt"
    assert found["debian:12"]["makeable"] is True
    assert set(found["debian:12"]) >= {"name", "family", "image", "box", "present", "made", "makeable"}
    assert project.run("bases", "list", "--format", "json").json() == {"bases": list(found.values())}


def test_doctor_as_json(project: Project) -> None:
    answer = project.run("doctor", "-b", "docker", "--format", "json").json()
    [docker] = answer["backends"]
    assert (docker["name"], docker["usable"]) == ("docker", True)
    for finding in docker["findings"]:
        assert list(finding) == ["subject", "usable", "detail", "hint"]


def test_schema_is_the_published_one(project: Project) -> None:
    published = Path(__file__).parent.parent.parent / "schemas" / "environment.schema.json"
    assert project.good("schema") == published.read_text()
    assert json.loads(project.good("schema"))["$schema"].endswith("2020-12/schema")


# --- exit codes


def test_exit_codes(up: Project) -> None:
    up.up("--no-verify")
    assert up.run("verify").code == 0
    assert up.run("exec", "--", "sh", "-c", "exit 42").code == 42
    up.good("exec", "--", "sh", "-c", "kill $(cat /run/provision/services/one)")
    up.good("up", "--no-verify")
    up.spec(SPEC.replace("stdout: hello", "stdout: goodbye"))
    said = up.run("verify")
    assert said.code == 1
    assert "✗ words: " in said.stdout
    assert up.run("up").code == 1
    up.spec(SPEC)
    assert up.run("up").code == 0
    assert up.run("doctor", "-b", "docker", env={"DOCKER_HOST": "unix:///nowhere"}).code == 3
