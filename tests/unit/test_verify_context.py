"""The order of an examination, its retries and its end, over a local `sh`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from provision.model import (
    Base,
    Check,
    Environment,
    Expected,
    File,
    Machine,
    Origin,
    Port,
    Probe,
    Resources,
    Service,
    User,
)
from provision.spec.checks import FIELDS
from provision.target import Target
from provision.verify import verify
from provision.verify.implied import implied
from provision.verify.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.model import Result

pytestmark = pytest.mark.processes

HERE = Origin(file="dev.yaml", line=7, column=3)


def local(words: Sequence[str], *, user: str, workdir: str, terminal: bool) -> list[str]:
    return ["env", f"ASKED_AS={user}", f"ON_TERMINAL={terminal}", "sh", "-c", 'cd "$0"; exec "$@"',
            workdir, *words]  # fmt: skip


def gone(words: Sequence[str], *, user: str, workdir: str, terminal: bool) -> list[str]:
    return ["sh", "-c", "echo no such machine >&2; exit 1", *words, user, workdir, str(terminal)]


def machine(name: str = "here", *checks: Check, **parts: Any) -> Machine:
    nothing: dict[str, object] = dict.fromkeys(
        ("packages", "users", "files", "run", "services", "setup", "ports", "mounts", "volumes"), ()
    )
    return Machine(
        group=name,
        name=name,
        hostname=name,
        base=Base(name="debian:12", family="apt", image="debian:12"),
        resources=Resources(),
        workspace=None,
        env={},
        locale="C.UTF-8",
        timezone="UTC",
        checks=checks,
        options={},
        **(nothing | parts),  # type: ignore[arg-type]
    )


def script(text: str, **parts: object) -> Check:
    return Check(kind="script", subject=text, name=text, origin=HERE, **parts)  # type: ignore[arg-type]


def asked(
    machines: Sequence[Machine], each: list[Result] | None = None, **entries: object
) -> dict[tuple[str, str], Result]:
    environment = Environment(
        name="dev", description="", spec=Path("dev.yaml"), project=Path(), machines=tuple(machines)
    )
    targets = {
        name: Target(name, enter, user="root", workdir="/", ports=())  # type: ignore[arg-type]
        for name, enter in entries.items()
    }
    try:
        results = verify(
            environment,
            targets,
            backend="docker",
            capabilities={machine.name: frozenset({"kernel"}) for machine in machines},
            each=each.append if each is not None else None,
        )
    finally:
        for target in targets.values():
            target.close()
    return {(result.machine, result.check): result for result in results}


def test_each_result_is_handed_on_in_the_order_of_the_spec() -> None:
    each: list[Result] = []
    found = asked([machine("here", script("true"), script("exit 3"))], each, here=local)
    assert [*found.values()] == each
    assert [result.check for result in each] == ["answers", "time zone", "true", "exit 3"]
    assert found["here", "exit 3"].message == "script exit 3: exit code is 3, expected 0 (dev.yaml:7)"


def test_a_silent_machine_is_one_failure_and_the_others_are_asked() -> None:
    machines = [machine(name, script("true")) for name in ("silent", "missing", "localhost")]
    found = asked(machines, silent=gone, localhost=local)
    assert [key for key, result in found.items() if result.outcome == "failed"] == [
        ("silent", "answers"),
        ("missing", "answers"),
        ("localhost", "names of the machines"),  # nobody here knows the silent one
    ]
    assert '"silent is unknown"' in found["localhost", "names of the machines"].message
    assert found["silent", "answers"].message == "machine silent does not answer: no such machine"
    assert found["missing", "answers"].message.startswith("machine missing does not answer")
    assert found["localhost", "true"].outcome == "passed"


def test_a_machine_that_dies_is_one_failure_more(tmp_path: Path) -> None:
    def dying(words: Sequence[str], *, user: str, workdir: str, terminal: bool) -> list[str]:
        return gone(words, user=user, workdir=workdir, terminal=terminal) if (
            tmp_path / "dead"
        ).exists() else local(words, user=user, workdir=workdir, terminal=terminal)  # fmt: skip

    kill = script(f"touch {tmp_path}/dead; kill -9 $PPID")
    found = asked([machine("here", script("true"), kill, script("echo never"))], here=dying)
    assert found["here", "true"].outcome == "passed"
    assert found["here", "answers"].outcome == "failed"
    assert ("here", "echo never") not in found


def test_a_check_is_tried_again_until_its_timeout(tmp_path: Path) -> None:
    late = script(f"test -e {tmp_path}/late || {{ touch {tmp_path}/late; false; }}", timeout=30.0)
    never = script("false", timeout=0.3)
    found = asked([machine("here", late, never)], here=local)
    assert found["here", late.name].outcome == "passed"
    assert "exit code is 1, expected 0; still so after 0.3 s (dev.yaml:7)" in (found["here", "false"].message)


def test_checks_that_follow_from_the_spec_have_one_time_together(tmp_path: Path) -> None:
    def counted(name: str, *, declared: bool) -> Check:
        return script(f"echo >>{tmp_path}/{name}; false", timeout=0.3, declared=declared)

    checks = [
        counted("first", declared=False),
        counted("second", declared=False),
        counted("own", declared=True),
    ]
    found = asked([machine("here", *checks)], here=local)
    assert {found["here", each.name].outcome for each in checks} == {"failed"}
    attempts = {name: (tmp_path / name).read_text().count("\n") for name in ("first", "second", "own")}
    assert attempts["second"] == 1
    assert min(attempts["first"], attempts["own"]) > 1


def test_a_file_is_looked_at_anew_after_a_script(tmp_path: Path) -> None:
    path = str(tmp_path / "made")
    there = Check(kind="file", subject=path, name="there", origin=HERE)
    not_there = Check(kind="file", subject=path, name="not there", absent=True, origin=HERE)
    found = asked([machine("here", not_there, script(f"touch {path}"), there)], here=local)
    assert found["here", "not there"].outcome == found["here", "there"].outcome == "passed"


def test_what_the_backend_lacks_is_skipped() -> None:
    checks = script("true", requires=("kernel", "gpu")), script("false", requires=("kernel",))
    found = asked([machine("here", *checks)], here=local)
    skipped = found["here", "true"]
    assert (skipped.outcome, skipped.message) == ("skipped", "the docker backend does not provide gpu")
    assert found["here", "false"].outcome == "failed"


def test_a_check_that_cannot_be_asked_fails_even_turned_round() -> None:
    check = Check(kind="port", subject="web", name="port", absent=True, origin=HERE)
    field = Check(kind="file", subject="/", name="file", fields={"colour": 1}, origin=HERE)
    found = asked([machine("here", check, field)], here=local)
    assert "could not be checked: web is not a port" in found["here", "port"].message
    assert "a file check has no colour (dev.yaml:7)" in found["here", "file"].message


@pytest.mark.parametrize("name", ["it's $HOME", "a\nb", "-e", "ü|%s"])
def test_files_of_any_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"one\n")
    path.chmod(0o600)
    fields = {"content": b"one\n", "mode": 0o600, "is_file": True, "size": 4}
    good = Check(kind="file", subject=str(path), name="good", fields=fields, origin=HERE)
    bad = Check(kind="file", subject=str(path), name="bad", fields={"content": b"two\n"}, origin=HERE)
    found = asked([machine("here", good, bad)], here=local)
    assert (found["here", "good"].outcome, found["here", "good"].message) == ("passed", "")
    assert 'line 1 is "one", expected "two"' in found["here", "bad"].message


def test_a_command_is_run_through_no_shell() -> None:
    words = ("printf", "%s|", "$HOME", "X=1", "a b", "'")
    check = Check(
        kind="command",
        subject=" ".join(words),
        words=words,
        name="printf",
        fields={"stdout": Expected(how="equals", text="$HOME|X=1|a b|'|")},
        origin=HERE,
    )
    assert asked([machine("here", check)], here=local)["here", "printf"].message == ""


def test_what_a_spec_declares_is_checked() -> None:
    service = Service(
        name="web", words=("web",), script=None, user="root", workdir="/", env={}, restart="always",
        needs=(), runtime_dirs=(), limits={}, origin=HERE,
        ready=Probe(kind="tcp", subject="localhost:53", interval=1, timeout=60),
    )  # fmt: skip
    port = Port(guest=53, host=None, address="127.0.0.1", protocol="tcp", origin=HERE)
    user = User(
        name="dev", uid=None, gid=7, groups=("adm",), shell="/bin/sh", home="/home/dev", sudo=False,
        origin=HERE,
    )  # fmt: skip
    file = File(path="/gone", kind="absent", owner="root", group=None, mode=None, origin=HERE)
    declared: dict[str, Any] = {"users": (user,), "files": (file,), "ports": (port,)}

    def checks(machine: Machine) -> dict[str, Check]:
        return {check.name: check for check in implied(machine, (machine,), HERE)}

    alone = checks(machine(**declared))
    assert list(alone) == ["user dev", "file /gone", "time zone", "port 53/tcp from the host"]
    assert alone["user dev"].fields == {
        "shell": "/bin/sh", "home": "/home/dev", "gid": 7, "groups": ("adm",),
    }  # fmt: skip
    assert alone["file /gone"].absent
    served = checks(machine(services=(service,), **declared))
    assert served.keys() - alone.keys() == {"service web", "port 53/tcp"}


def test_every_field_that_a_spec_may_have_is_known() -> None:
    for kind, names in FIELDS.items():
        assert kind == "pytest" or KINDS[kind].fields >= set(names), kind
