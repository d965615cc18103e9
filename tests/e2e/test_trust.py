"""What a repository can do to the host of a person who opens it: nothing without a word of theirs."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Project, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Said

PATIENCE = 120
SPEC = "version: 1\nname: trusting\nbase: debian:12\n"
LOOKING = ("validate", "plan", "render", "explain", "status")
ACTING = ("up", "verify", "exec", "logs", "stop", "down")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Project]:
    """A project of a stranger's; its person has allowed it nothing yet."""
    project = make_project(tmp_path / "project", "docker")
    project.environment.update(CI="", PROVISION_ALLOW="", XDG_CONFIG_HOME=str(tmp_path / "configuration"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("from elsewhere\n")
    try:
        yield project
    finally:
        project.spec(SPEC)
        project.good("down", "--volumes", "--images")


def is_refused(said: Said, word: str, place: str) -> None:
    assert said.code == 2, said.all
    assert place in said.stderr
    assert f"--allow {word}, or `provision trust`" in said.stderr


def inspected(key: str) -> str:
    name = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", "label=provision.environment=trusting"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert len(name) <= 1
    if not name:
        return ""
    return subprocess.run(
        ["docker", "inspect", "--format", key, *name], capture_output=True, text=True, check=True
    ).stdout.strip()


# --- without a word, and with it


def test_folders_outside_the_project(fresh: Project) -> None:
    fresh.spec(SPEC + "mounts: {/m: {source: ../elsewhere, read_only: true}}\n")
    for verb in ("up", "plan", "validate", "render"):
        is_refused(fresh.run(verb), "outside", "provision.yaml:4:23: the source ../elsewhere is outside")
    fresh.up("--no-verify", "--allow", "outside")
    assert fresh.inside("cat /m/file") == "from elsewhere\n"
    is_refused(fresh.run("up"), "outside", "provision.yaml:4:23")
    assert fresh.state()["state"] == "running", "status only looks"


def test_a_link_that_leads_out_of_the_project(fresh: Project) -> None:
    (fresh.folder / "inside").symlink_to("../elsewhere")
    fresh.spec(SPEC + "files: {/f: {source: inside/file}}\n")
    is_refused(fresh.run("up"), "outside", "provision.yaml:4:22: the source inside/file is outside")


def test_keys_of_compose_that_lower_the_walls(fresh: Project) -> None:
    fresh.spec(SPEC + "backends: {docker: {compose: {privileged: true, pids_limit: 100}}}\n")
    is_refused(fresh.run("up"), "privileges", "provision.yaml:4:31: backends.docker.compose.privileged")
    assert inspected("{{.Id}}") == "", "nothing was made"
    fresh.up("--no-verify", "--allow", "privileges")
    assert inspected("{{.HostConfig.Privileged}} {{.HostConfig.PidsLimit}}") == "true 100"


def test_ports_for_others_than_this_host(fresh: Project) -> None:
    fresh.spec(SPEC + 'ports: ["0.0.0.0::8080"]\n')
    is_refused(fresh.run("up"), "network", "provision.yaml:4:9: the port 8080 is published on 0.0.0.0")
    fresh.up("--no-verify", "--allow", "network")
    assert fresh.state()["ports"][0]["address"] == "0.0.0.0"


def test_the_hosts_environment(fresh: Project) -> None:
    fresh.environment["TRUST_TOKEN"] = "s3cret"
    fresh.spec(
        SPEC + "vars: {token: {env: TRUST_TOKEN, default: none}}\nenv: {TOKEN: '${{ vars.token }}'}\n"
        "checks: [{env: TOKEN, value: none}]\n"
    )
    said = fresh.run("up")
    assert said.code == 0, said.all
    assert (
        "vars.token uses the host variable $TRUST_TOKEN: not allowed, vars.token gets its default"
        in said.stderr
    )
    assert fresh.inside("echo $TOKEN") == "none\n"
    fresh.up("--no-verify", "--allow", "host-env")
    assert fresh.inside("echo $TOKEN") == "s3cret\n"
    fresh.spec(SPEC + "secrets: {token: {env: TRUST_TOKEN}}\n")
    is_refused(fresh.run("up"), "host-env", "provision.yaml:4:24: the secret token uses the host variable")
    fresh.environment["CI"] = "true"
    fresh.up("--no-verify")
    assert fresh.inside("cat /run/secrets/token") == "s3cret"


def test_code_on_the_host(fresh: Project) -> None:
    for name in ("conftest.py", "test_host.py"):
        fresh.write(name, f"open({str(fresh.folder / 'ran')!r}, 'a').close()\ndef test_it(host): pass\n")
    fresh.spec(SPEC + "checks: [{pytest: test_host.py}, {command: 'true'}]\n")
    ran = fresh.folder / "ran"
    said = fresh.run("up")
    assert said.code == 0, said.all
    assert "1 skipped" in said.stdout
    assert "host-code" in said.stdout
    assert "run test_host.py with pytest on this host: not allowed, its checks are skipped" in said.stderr
    found = fresh.run("verify", "--format", "json").json()
    assert found["skipped"] == 1
    assert {"check": "pytest test_host.py", "outcome": "skipped"}.items() <= found["checks"][-2].items()
    fresh.good("verify")
    assert not ran.exists()
    assert "1 skipped" not in fresh.up("--allow", "host-code")
    assert ran.exists()
    ran.unlink()
    fresh.environment["CI"] = "true"
    fresh.good("verify")
    assert ran.exists()


def test_a_key_beside_a_certificate_stays_on_the_host(fresh: Project) -> None:
    certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    fresh.write("ca.pem", f"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n{certificate}")
    fresh.spec(SPEC + "proxy: {ca: ca.pem}\n")
    fresh.up("--no-verify")
    assert fresh.inside("cat /run/provision/proxy/ca.crt") == certificate
    assert fresh.inside("grep -rsl 'BEGIN PRIVATE' /run || true", user="root") == ""


# --- the word that is kept


def test_the_persons_word_is_kept_until_something_else_is_wanted(fresh: Project) -> None:
    fresh.spec(SPEC + "mounts: {/m: {source: ../elsewhere}}\nports: ['0.0.0.0::80']\n")
    said = fresh.good("trust", "--allow", "network")
    assert "network: port 80/tcp on 0.0.0.0:any (provision.yaml:5): allowed" in said
    assert "not allowed, the spec is refused" in said
    is_refused(fresh.run("validate"), "outside", "provision.yaml:4")
    fresh.good("trust")
    assert "allowed" in fresh.good("validate")
    answer = fresh.plan()
    assert [(each["word"], each["allowed"]) for each in answer["trust"]] == [
        ("outside", True),
        ("network", True),
    ]
    listed = fresh.good("trust", "--list")
    assert listed.count(str(fresh.folder)) == 2
    fresh.spec(SPEC + "mounts: {/m: {source: ../elsewhere}, /e: {source: /etc, read_only: true}}\n")
    refused = fresh.run("validate")
    is_refused(refused, "outside", "the source /etc is outside")
    assert "../elsewhere is" not in refused.stderr
    assert "is no longer allowed anything" in fresh.good("trust", "--revoke")
    assert fresh.run("validate").stderr.count("is outside") == 2


def test_who_takes_the_word_back_hears_what_keeps_running(fresh: Project) -> None:
    fresh.spec(SPEC + "ports: ['0.0.0.0::80']\n")
    fresh.good("trust")
    fresh.good("up", "--no-verify")
    said = fresh.good("trust", "--revoke")
    assert "is running in docker, and keeps what it was allowed when it was created" in said
    words = re.search(r"`provision (down [^`]*)`", said)
    assert words is not None
    assert fresh.good(*words[1].split()).strip().endswith("is down")
    assert "is running" not in fresh.good("trust", "--revoke")


def test_what_is_wanted_in_either_form_is_allowed_at_once(fresh: Project) -> None:
    fresh.spec(
        SPEC + "backends: {docker: {compose: {privileged: true}}, vm: {options: {emulator_path: /x}}}\n"
    )
    explained = fresh.run("explain", "--format", "json").json()["backends"]
    assert [[each["allowed"] for each in offer["trust"]] for offer in explained] == [[False], [False]]
    assert fresh.run("validate", "-b", "vm").code == fresh.run("validate", "-b", "docker").code == 2
    fresh.good("trust")
    assert fresh.run("validate", "-b", "vm").code == fresh.run("validate", "-b", "docker").code == 0


def test_a_repository_cannot_give_itself_a_word(fresh: Project) -> None:
    fresh.write(".env", "PROVISION_ALLOW=outside\nCI=true\n")
    fresh.spec(SPEC + "env: {PROVISION_ALLOW: outside}\nmounts: {/m: {source: ../elsewhere}}\n")
    is_refused(fresh.run("up"), "outside", "provision.yaml:5")
    assert fresh.run("up", "--allow", "everything").code == 2


# --- the question on a terminal


def typed(project: Project, words: list[str], answers: list[str]) -> tuple[int, str, int]:
    """Run `provision` on a terminal, type an answer to each question; its code, what it showed, and
    how many questions it asked."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project.folder)
        environment = {**os.environ, "PROVISION_BACKEND": "docker", "TERM": "dumb", **project.environment}
        os.execve(sys.executable, [sys.executable, "-m", "provision", *words], environment)
    shown, asked, deadline = "", 0, time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 1)
        try:
            more = os.read(terminal, 65536) if ready else b""
        except OSError:
            break
        if ready and not more:
            break
        shown += more.decode("utf-8", "replace")
        if shown.count("[y/N]") > asked:
            asked += 1
            os.write(terminal, f"{answers.pop(0)}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    return code, shown, asked


def test_on_a_terminal_up_lists_what_is_wanted_and_asks_once(fresh: Project) -> None:
    fresh.write("test_host.py", "def test_it(host): pass\n")
    fresh.spec(SPEC + "mounts: {/m: {source: ../elsewhere}}\nchecks: [{pytest: test_host.py}]\n")
    code, shown, asked = typed(fresh, ["up"], ["n"])
    assert (code, asked) == (2, 1), shown
    assert "outside: the mount" in shown
    assert "host-code: run test_host.py with pytest on this host (provision.yaml:5)" in shown
    assert inspected("{{.Id}}") == ""
    code, shown, asked = typed(fresh, ["up"], [])
    assert (code, asked) == (2, 0), shown
    fresh.good("trust", "--revoke")
    code, shown, asked = typed(fresh, ["up"], ["y"])
    assert (code, asked) == (0, 1), shown
    assert "1 skipped" not in shown
    code, shown, asked = typed(fresh, ["up"], [])
    assert (code, asked) == (0, 0), shown
    fresh.good("verify")


def test_what_a_spec_can_do_without_is_not_asked_for_again(fresh: Project) -> None:
    fresh.write("test_host.py", "def test_it(host): pass\n")
    fresh.spec(SPEC + "checks: [{pytest: test_host.py}]\n")
    for answers, questions in ((["n"], 1), ([], 0)):
        code, shown, asked = typed(fresh, ["up"], list(answers))
        assert (code, asked) == (0, questions), shown
        assert "1 skipped" in shown


def test_nobody_is_asked_in_ci_or_where_other_things_are_wrong(fresh: Project) -> None:
    fresh.spec(SPEC + "mounts: {/m: {source: ../elsewhere}}\npakages: []\n")
    code, shown, asked = typed(fresh, ["up"], [])
    assert (code, asked) == (2, 0), shown
    assert "did you mean packages" in shown
    fresh.spec(SPEC + "mounts: {/m: {source: ../elsewhere}}\n")
    fresh.environment["CI"] = "true"
    assert typed(fresh, ["up"], [])[::2] == (2, 0)


# --- what only looks runs nothing


@pytest.mark.parametrize("provider", ["libvirt", "virtualbox", "vmware_desktop", "parallels", "hyperv"])
def test_verbs_that_look_run_no_vagrantfile_of_the_repository(fresh: Project, provider: str) -> None:
    """Neither one of its own, nor one where an earlier version of this tool kept its state."""
    if shutil.which("vagrant") is None:
        pytest.skip("no vagrant here")
    ran = fresh.folder / "ran"
    state = Path(".provision/trusting/vm/rendering")
    for folder in (Path(), state):
        fresh.write(f"{folder}/Vagrantfile", f"File.write({str(ran)!r}, 'x')\n")
    fresh.write(f"{state}/.vagrant/machines/trusting/{provider}/id", "00000000-0000-0000-0000-000000000000")
    fresh.spec(SPEC + f"backends: {{vm: {{provider: {provider}}}}}\n")
    for verb in LOOKING:
        fresh.run(verb, "-b", "vm")
        assert not ran.exists(), verb


def test_a_layer_that_git_tracks_is_said_in_every_verb(fresh: Project) -> None:
    shutil.rmtree(fresh.folder / ".git")
    subprocess.run(["git", "init", "-q"], cwd=fresh.folder, check=True)
    fresh.spec(SPEC)
    fresh.write("provision.local.yaml", "description: the repository's\n")
    warning = "warning: git tracks provision.local.yaml"
    assert warning not in fresh.run("validate").stderr
    subprocess.run(["git", "add", "--force", "."], cwd=fresh.folder, check=True)
    for verb in (*LOOKING, *ACTING, "trust"):
        assert warning in fresh.run(verb).stderr, verb
    assert warning not in fresh.run("validate", "--no-local").stderr
