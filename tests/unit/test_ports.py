"""The host's side of ports: what is kept, what gives way, and to whom."""

from __future__ import annotations

import io
import socket
from typing import TYPE_CHECKING

import pytest

from provision import spec
from provision.backends import ports
from provision.backends.ports import choose, keep, key, variable
from provision.errors import EnvironmentFailed
from provision.progress import Plain
from provision.state import StateDir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from provision.model import Environment

KEY = "dev:80/tcp@127.0.0.1"


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(ports, "_holder", lambda *_: "somebody")


@pytest.fixture
def held() -> Iterator[int]:
    """A port of the host that somebody has."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


@pytest.fixture
def free() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def environment(folder: Path, port: str, name: str = "dev") -> Environment:
    (folder / ".git").mkdir(parents=True, exist_ok=True)
    (folder / "dev.yaml").write_text(f"version: 1\nname: {name}\nbase: debian:12\nports: ['{port}']\n")
    return spec.load(folder / "dev.yaml", backend="docker", host={})


def of(folder: Path, name: str = "dev", backend: str = "docker") -> StateDir:
    return StateDir.of(folder, name, backend, folder / "dev.yaml")


def chosen(folder: Path, port: str, ours: set[tuple[int, str]] = frozenset()) -> tuple[int, str]:  # type: ignore[assignment]
    said = io.StringIO()
    found: Mapping[str, int] = choose(environment(folder, port), of(folder), ours, Plain(said))
    return found[key_of(port)], said.getvalue()


def key_of(port: str) -> str:
    host = port.rpartition(":")[0]
    return KEY + (f":{host}" if host else "")


def test_a_clone_gets_another_port_is_told_and_keeps_it(tmp_path: Path, held: int) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    keep(of(first), {KEY: held})
    other, said = chosen(second, f"{held}:80")
    assert other != held
    assert f"port {held} is used by dev of {first}: using {other} for dev:80 instead" in said
    keep(of(second), {key_of(f"{held}:80"): other})
    assert chosen(second, f"{held}:80")[0] == other
    assert chosen(second, f"{held}:80", {(other, "tcp")})[0] == other


def test_it_keeps_it_also_while_the_first_is_down(tmp_path: Path, free: int) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    keep(of(first), {KEY: free})
    keep(of(second), {key_of(f"{free}:80"): free + 1 if free < 65000 else free - 1})
    assert chosen(second, f"{free}:80")[0] != free
    assert chosen(first, f"{free}:80") == (free, "")
    of(first).remove()
    assert chosen(second, f"{free}:80") == (free, ""), "once the first is no more it has its own"


def test_the_same_environment_in_another_backend_gives_way_too(tmp_path: Path, held: int) -> None:
    keep(of(tmp_path / "one", backend="vm"), {KEY: held})
    other, said = chosen(tmp_path / "one", f"{held}:80")
    assert other != held
    assert f"port {held} is used by dev in another backend" in said


@pytest.mark.parametrize("whose", ["a stranger's", "an environment of another name"])
def test_a_port_that_others_hold_is_an_error(whose: str, tmp_path: Path, held: int) -> None:
    if whose != "a stranger's":
        keep(of(tmp_path / "other", name="other"), {KEY: held})
    with pytest.raises(EnvironmentFailed) as caught:
        chosen(tmp_path / "mine", f"{held}:80")
    assert f"{held}/tcp" in caught.value.evidence[0]
    assert "somebody" in caught.value.evidence[0]


def test_a_damaged_record_of_a_namesake_is_nobodys_trouble(tmp_path: Path, free: int) -> None:
    keep(of(tmp_path / "other"), {KEY: free})
    of(tmp_path / "other").path_of("ports").write_text("{")
    assert chosen(tmp_path / "mine", f"{free}:80") == (free, "")


def test_one_that_names_no_port_of_the_host_keeps_the_one_it_had(tmp_path: Path, free: int) -> None:
    keep(of(tmp_path), {KEY: free})
    assert chosen(tmp_path, "80") == (free, "")


def test_a_range_without_host_ports_gets_as_many_different_ones(tmp_path: Path) -> None:
    found = choose(environment(tmp_path, "8000-8063"), of(tmp_path), (), Plain(io.StringIO()))
    assert len(found) == len(set(found.values())) == 64


def test_a_port_that_is_published_twice_has_two_ports_of_the_host(tmp_path: Path, free: int) -> None:
    both = environment(tmp_path, f"{free}:80', '127.0.0.2::80")
    found = choose(both, of(tmp_path), (), Plain(io.StringIO()))
    machine = both.machines[0]
    assert [variable(machine, port) for port in machine.ports] == ["PORT_80_TCP", "PORT_80_TCP_2"]
    assert found[key("dev", machine.ports[0])] == free
    assert found[key("dev", machine.ports[1])] != free
    keep(of(tmp_path), found)
    assert choose(both, of(tmp_path), (), Plain(io.StringIO())) == found
