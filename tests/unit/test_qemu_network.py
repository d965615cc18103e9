"""Which network a machine of QEMU gets, and what is said where its port is taken."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provision import process
from provision.backends.vm.qemu import instance, network

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

QEMU_7_2 = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)"
LACKS = {
    "macOS": ("Darwin", ("passt", "pasta"), QEMU_7_2, "passt is only for Linux"),
    "nothing installed": ("Linux", (), QEMU_7_2, "no passt and no pasta command"),
    "half of it": ("Linux", ("passt",), QEMU_7_2, "no pasta command"),
    "an old QEMU": ("Linux", ("passt", "pasta"), "QEMU emulator version 6.2.0", "QEMU is older than 7.2"),
    "no answer": ("Linux", ("passt", "pasta"), "", "QEMU is older than 7.2"),
    "all there": ("Linux", ("passt", "pasta"), "QEMU emulator version 10.0.2", None),
}


PASST = "scripts/host-setup vm installs passt"
NEWER = "install QEMU 7.2 or newer"
HINTS = {"half of it": PASST, "nothing installed": PASST, "an old QEMU": NEWER, "no answer": NEWER}


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    network.passt_lacks.cache_clear()
    yield
    network.passt_lacks.cache_clear()


@pytest.mark.parametrize("case", LACKS)
def test_why_passt_is_not_taken(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    system, programs, version, expected = LACKS[case]
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr(process, "find", lambda name: f"/usr/bin/{name}" if name in programs else None)

    def ask(words: Sequence[str]) -> process.Completed:
        return process.Completed(argv=tuple(words), code=0, stdout=version, stderr="")

    monkeypatch.setattr(process, "ask", ask)
    monkeypatch.setattr(network, "_trial", lambda: None)
    lack = network.passt_lacks()
    assert (lack.reason if lack else None) == expected
    assert HINTS.get(case, "") == (lack.hint if lack else "")
    assert network.network() == ("user" if expected else "passt")


PROGRAMS = {
    "waits for ever": "sleep 1000 & wait",  # its child holds the pipes when it is killed
    "ends with an error": "echo No namespaces here >&2; exit 1",
}
REASONS = {"waits for ever": "it did not finish within 0.3 s", "ends with an error": "No namespaces here"}


@pytest.mark.processes
@pytest.mark.parametrize("case", PROGRAMS)
def test_a_passt_that_does_not_work_is_told_in_time(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "pasta"
    program.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/session\n{PROGRAMS[case]}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(network, "TRIAL_ENDS_WITHIN", 0.3)
    assert network._trial() == REASONS[case]
    assert _alive(session=(tmp_path / "session").read_text().strip()) == []


def _alive(*, session: str) -> list[str]:
    """The processes of a session that have not ended; no `ps`, which a small system lacks."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, own = status.read_text().rpartition(")")[2].split()[:4]
            if own == session and state != "Z":
                found.append(status.parent.name)
    return found


RECORD = (
    "qemu-system-x86_64: -netdev user,id=net: Could not set up host forwarding rule 'tcp:127.0.0.1:8080-:80'",
    "Failed to bind any port for '-t 127.0.0.1/8080:20001', exiting",
    "Failed to bind port 8080 (Address already in use) for option '-t 127.0.0.1/8080:20001'",
    "Failed to bind any port for '-u 127.0.0.1/8080', exiting",
)


@pytest.mark.parametrize("said", RECORD)
def test_a_port_that_is_taken_is_named(said: str) -> None:
    error = instance._refused("web", [said])
    assert isinstance(error, instance.PortTaken)
    assert (
        error.message == "port 8080 on the host was taken by another process before machine web could use it"
    )
