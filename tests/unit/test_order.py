"""Machines side by side, in order; addresses that stay; names that cannot be mistaken."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from provision.backends.docker.containers import container_name
from provision.backends.order import in_order
from provision.backends.vm.guest.network import cards
from provision.model import Environment


@dataclass(frozen=True)
class Named:
    """What `in_order` and `cards` ask of a machine."""

    name: str
    needs: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)


def environment(name: str, *machines: str) -> Environment:
    named = tuple(Named(machine) for machine in machines)
    return Environment(
        name=name, description="", spec=Path("x.yaml"), project=Path(), several=True, machines=named,  # type: ignore[arg-type]
    )  # fmt: skip


def test_each_begins_when_those_that_it_needs_have_ended_and_others_meanwhile() -> None:
    ended: list[str] = []
    together = threading.Barrier(2, timeout=10)

    def act(machine: Named) -> None:
        if machine.name in ("db", "cache"):
            together.wait()  # nobody passes alone: these two are there at the same time
        assert set(machine.needs) - {"ready"} <= set(ended)
        ended.append(machine.name)

    machines = [Named("web", ("app",)), Named("app", ("db", "cache", "ready")), Named("db"), Named("cache")]
    in_order(machines, act)  # type: ignore[arg-type]
    assert ended[2:] == ["app", "web"]


def test_the_first_that_fails_ends_it_and_what_needs_it_is_not_begun() -> None:
    begun: list[str] = []

    def act(machine: Named) -> None:
        begun.append(machine.name)
        if machine.name == "db":
            raise ValueError("db")

    with pytest.raises(ValueError, match="db"):
        in_order([Named("web", ("db",)), Named("db")], act)  # type: ignore[list-item, arg-type]
    assert begun == ["db"]


def test_an_address_stays_when_a_neighbour_comes() -> None:
    few, more = (cards(environment("a", *names)) for names in (("db", "web"), ("aa", "db", "web", "zz")))
    assert few["db"].address == more["db"].address
    assert few["web"].mac == more["web"].mac
    assert len({card.address for card in more.values()}) == len({card.mac for card in more.values()}) == 4
    assert cards(environment("b", "db"))["db"].mac != few["db"].mac


def test_no_two_environments_call_a_container_the_same() -> None:
    one, other = environment("a", "b-c"), environment("a-b", "c")
    assert container_name(one, "b-c") != container_name(other, "c")
