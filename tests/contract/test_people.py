"""A person at work inside: their repository, name and SSH agent, and the spec's variables in each login."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Project, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWNER = 1234
ODD = 'it\'s $5 "cash" `id` \\n %s end"'
SPEC = """
version: 1
name: people
base: debian:12
packages: [git, openssh-client]
workspace: {source: ., user: dev, git: identity, forward: [ssh-agent]}
users: {dev: {uid: host, shell: /bin/bash}, other: {}}
hosts: {db.example.org: 192.0.2.10, six.example.org: "2001:db8::10"}
env: {PLAIN: dev, ODD: "it's $5 \\"cash\\" `id` \\\\n %s end\\"", HASH: "a#b", LINES: "a\\nb", EMPTY: ""}
setup:
  - {name: agent, user: dev, script: ssh-add -l >/home/dev/keys-at-setup}
"""


class Agent:
    """An SSH agent of this test, which can start again under another path."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = ""

    def start(self, key: str) -> None:
        self.stop()
        self._count += 1
        self.socket = str(self._folder / f"agent-{self._count}")
        self._process = subprocess.Popen(["ssh-agent", "-D", "-a", self.socket], stdout=subprocess.DEVNULL)
        file = self._folder / key
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", str(file)]
        subprocess.run(words, check=True)
        environment = {**os.environ, "SSH_AUTH_SOCK": self.socket}
        while subprocess.run(["ssh-add", "-q", str(file)], env=environment, check=False).returncode == 2:
            assert self._process.poll() is None

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    started = Agent(tmp_path_factory.mktemp("agent"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def up(backend: str, tmp_path_factory: pytest.TempPathFactory, agent: Agent) -> Iterator[Project]:
    """A worktree of a repository beside it, of another owner than root."""
    folder = tmp_path_factory.mktemp("people")
    project = make_project(folder / "worktree", backend)
    (project.folder / ".git").rmdir()
    project.folder.rmdir()

    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(folder / "main"), *words], check=True)

    (folder / "main").mkdir()
    git("init", "-q", "-b", "main", ".")
    git("-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "--allow-empty", "-m", "first")
    git("worktree", "add", "-q", str(project.folder))
    project.spec(SPEC)
    for path in (folder / "main", project.folder):
        for each in (path, *path.rglob("*")):
            os.chown(each, OWNER, OWNER)
    agent.start("first")
    words = "outside,host-env,agent"
    (folder / "gitconfig").write_text('[user]\n\tname = "Ada \\"L\\" Ünï"\n\temail = ada@example.org\n')
    project.environment.update(PROVISION_ALLOW=words, SSH_AUTH_SOCK=agent.socket)
    project.environment.update(GIT_CONFIG_GLOBAL=str(folder / "gitconfig"))
    try:
        project.up()
        yield project
    finally:
        project.good("down", "--volumes", "--images")


def test_a_worktree_works_and_commits_as_the_person(up: Project) -> None:
    up.inside("git status --short && echo hello >note && git add note && git commit -qm inside")
    whole = ["git", "-c", "safe.directory=*", "-C", str(up.folder.parent / "main"), "log", "-1", "worktree"]
    told = subprocess.run([*whole, "--format=%an <%ae> %s"], capture_output=True, text=True, check=True)
    assert told.stdout == 'Ada "L" Ünï <ada@example.org> inside\n'
    assert (up.folder / "note").stat().st_uid == OWNER


@pytest.mark.parametrize("user", ["root", "dev", "other"])
def test_git_takes_the_workspace_whoever_asks(up: Project, user: str) -> None:
    assert up.inside("git -C /workspace rev-parse --abbrev-ref HEAD", user=user) == "worktree\n"


def test_the_agent_is_the_workspace_users(up: Project) -> None:
    assert up.inside("cat /home/dev/keys-at-setup").split()[2] == "first"
    assert up.inside("ssh-add -l").split()[2] == "first"
    assert up.inside("ssh-add -l", user="root").split()[2] == "first"
    said = up.run("exec", "-u", "other", "--", "ssh-add", "-l")
    assert (said.code, "Permission denied" in said.stderr) == (2, True), said.all


def test_an_agent_that_starts_again_elsewhere_is_found(up: Project, agent: Agent) -> None:
    agent.start("second")
    up.environment["SSH_AUTH_SOCK"] = agent.socket
    assert up.inside("ssh-add -l").split()[2] == "second"


def test_a_pam_login_has_the_variables(up: Project) -> None:
    """As a cron job: all but those that PAM cannot read, and those from the file beside."""
    login = "su - dev -c 'env -0' | tr '\\0\\n' '\\n\\001'"
    found = dict(
        line.split("=", 1) for line in up.inside(f"env -i {login}", user="root").splitlines() if "=" in line
    )
    assert (found["PLAIN"], found["ODD"], found["EMPTY"]) == ("dev", ODD, "")
    assert not {"HASH", "LINES"} & found.keys()
    script = '. /run/provision/environment; printf %s,%s,%s "$HASH" "$LINES" "$ODD"'
    assert up.inside(f"env -i sh -c '{script}'", user="other") == f"a#b,a\nb,{ODD}"


def test_the_names_are_known(up: Project) -> None:
    assert (
        up.inside("getent ahosts db.example.org six.example.org; getent hosts db.example.org").split()[0]
        == "192.0.2.10"
    )
    assert up.checks()["host six.example.org"] == "passed"


def test_a_second_start_adds_nothing(up: Project) -> None:
    asked = "cat /etc/environment /etc/gitconfig /etc/hosts | grep -v people"
    before = up.inside(asked, user="root")
    up.good("stop")
    up.up()
    assert up.inside(asked, user="root") == before
    assert before.count("/run/provision/gitconfig") == 1


@pytest.mark.skipif(shutil.which("docker") is None, reason="there is no engine here")
def test_no_image_holds_what_a_start_makes(up: Project) -> None:
    if up.backend != "docker":
        pytest.skip("a machine's disk has no layers to look at")
    words = ["docker", "run", "--rm", "--entrypoint", "sh", up.image("people"), "-c"]
    script = "cat /etc/environment /etc/gitconfig 2>/dev/null; ls /run/provision 2>/dev/null; true"
    held = subprocess.run([*words, script], capture_output=True, text=True, check=True)
    assert (held.stdout, held.stderr) == ("", "")
