"""Which accelerator a machine runs with: a table of what is asked, offered, and known of its kernel."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from provision import process
from provision.backends.vm import acceleration
from provision.errors import HostLacks
from provision.progress import Silent

if TYPE_CHECKING:
    from provision.model import Machine

CASES = yaml.safe_load((Path(__file__).parent / "acceleration.yaml").read_text())


@pytest.fixture(autouse=True)
def of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(acceleration.VARIABLE, raising=False)


def machine(accelerator: str | None = None, requires: tuple[str, ...] = ()) -> Machine:
    found = SimpleNamespace(
        name="m",
        options={"accelerator": accelerator} if accelerator else {},
        requires=tuple(SimpleNamespace(name=name) for name in requires),
    )
    return cast("Machine", found)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_accelerator_follows_from_what_boots(
    case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def trying(accelerator: str, _kernel: bytes) -> bool:
        tried.append(accelerator)
        return bool(case.get("boots"))

    monkeypatch.setattr(acceleration, "offered", lambda: case.get("offered"))
    monkeypatch.setattr(acceleration, "_try", trying)
    monkeypatch.setattr(process, "find", lambda _program: __file__)
    if "variable" in case:
        monkeypatch.setenv(acceleration.VARIABLE, case["variable"])
    asked = machine(case.get("spec"), tuple(case.get("requires", ())))
    for _ in range(2):  # the second time it is remembered
        if "error" in case:
            with pytest.raises(HostLacks, match=case["error"]):
                acceleration.choose(asked, b"a kernel", Silent())
        else:
            assert acceleration.choose(asked, b"a kernel", Silent()) == case["takes"]
    assert tried == case.get("tries", [])


def test_a_verdict_is_of_one_kernel_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceleration, "offered", lambda: "kvm")
    assert acceleration.known() is None
    acceleration.remember("kvm", b"one", boots=False)
    assert acceleration.known() is False
    assert "cannot boot" in acceleration.describe()
    acceleration.remember("kvm", b"two", boots=True)
    assert acceleration.known() is True
    assert acceleration.describe() == "KVM"
    # One that hangs while it boots is believed more than the trial.
    acceleration.remember("kvm", b"two", boots=False)
    assert acceleration.choose(machine(), b"two", Silent()) == "emulation"


def test_a_box_without_a_kernel_of_its_own_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceleration, "offered", lambda: "kvm")
    assert acceleration.choose(machine(), None, Silent(), called="team/box") == "kvm"
    acceleration.remember("kvm", None, boots=False, called="team/box")
    assert acceleration.choose(machine(), None, Silent(), called="team/box") == "emulation"


def test_a_verdict_that_a_kernel_hangs_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that was updated or set up anew may boot what hung before; what boots stays so."""
    monkeypatch.setattr(acceleration, "offered", lambda: "kvm")
    monkeypatch.setattr(process, "find", lambda _program: __file__)
    now = 1_800_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    acceleration.remember("kvm", b"hangs", boots=False)
    acceleration.remember("kvm", b"boots", boots=True)
    now += acceleration.HANGS_FOR - 1
    assert acceleration.choose(machine(), b"hangs", Silent()) == "emulation"
    now += 2
    tried: list[bytes] = []

    def trying(_accelerator: str, kernel: bytes) -> bool:
        tried.append(kernel)
        return True

    monkeypatch.setattr(acceleration, "_try", trying)
    assert acceleration.choose(machine(), b"hangs", Silent()) == "kvm"
    assert acceleration.choose(machine(), b"boots", Silent()) == "kvm"
    assert tried == [b"hangs"]
