"""Dataclasses that share their methods behave as those of the library do."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from provision import quick_dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True, order=True)
class Theirs:
    """A class."""

    name: str
    number: int = 3
    words: tuple[str, ...] = dataclasses.field(default_factory=tuple)
    hidden: str = dataclasses.field(default="h", repr=False, compare=False)


@quick_dataclasses.dataclass(frozen=True, kw_only=True, order=True)
class Ours:
    """A class."""

    name: str
    number: int = 3
    words: tuple[str, ...] = dataclasses.field(default_factory=tuple)
    hidden: str = dataclasses.field(default="h", repr=False, compare=False)


@quick_dataclasses.dataclass(frozen=True, kw_only=True)
class Derived(Ours):
    """Another class."""

    more: int = 1

    def __post_init__(self) -> None:
        if self.more < 0:
            raise ValueError("less")


@pytest.mark.parametrize(
    "values",
    [{"name": "a"}, {"name": "b", "number": 1}, {"name": "a", "words": ("x",), "hidden": "other"}],
)
def test_they_hold_and_show_the_same(values: dict[str, Any]) -> None:
    ours, theirs = Ours(**values), Theirs(**values)
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert hash(ours) == hash(theirs)
    assert [field.name for field in dataclasses.fields(ours)] == ["name", "number", "words", "hidden"]
    assert dataclasses.replace(ours, number=9) == Ours(**{**values, "number": 9})
    for again in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert again == ours
        assert vars(again) == vars(ours)


def test_equality_order_and_hashes_are_of_the_compared_fields() -> None:
    assert Ours(name="a") == Ours(name="a", hidden="other")
    assert Ours(name="a") != Ours(name="a", number=4)
    assert Ours(name="a") != Derived(name="a")
    assert Ours(name="a").__eq__(Theirs(name="a")) is NotImplemented
    assert min(Ours(name="b"), Ours(name="a", number=9), Ours(name="a")) == Ours(name="a")
    assert len({Ours(name="a"), Ours(name="a", hidden="x")}) == 1
    with pytest.raises(TypeError):
        _ = Ours(name="a") < Theirs(name="a")  # type: ignore[operator]


def test_they_are_frozen() -> None:
    ours = Ours(name="a")
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
        ours.name = "b"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'name'"):
        del ours.name


def test_wrong_arguments_are_type_errors() -> None:
    with pytest.raises(TypeError, match="lacks the argument 'name'"):
        Ours()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="has no field 'nmae'"):
        Ours(name="a", nmae="b")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Ours("a")  # type: ignore[call-arg]


def test_heirs_have_all_fields_and_see_to_their_values() -> None:
    assert repr(Derived(name="a")) == "Derived(name='a', number=3, words=(), more=1)"
    with pytest.raises(ValueError, match="less"):
        Derived(name="a", more=-1)
