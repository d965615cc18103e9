"""Container or virtual machine: which is taken, and what is said of it."""

from __future__ import annotations

import pytest

from provision.backends.base import Capabilities
from provision.selection import _choose


def offer(*, cannot: str = "", lacks: str = "") -> Capabilities:
    return Capabilities(aspects={}, cannot=(cannot,) if cannot else (), lacks=(lacks,) if lacks else ())


GOOD = offer()
NO_KERNEL = offer(cannot="a kernel of its own: why")
NO_ENGINE = offer(lacks="no Docker engine answers")
NO_PROVIDER = offer(lacks="no provider is usable")
NO_GPU = offer(cannot="a GPU: why")


@pytest.mark.parametrize(
    ("container", "machine", "taken", "reason"),
    [
        (GOOD, GOOD, "docker", "a container meets every requirement and costs least"),
        (GOOD, NO_PROVIDER, "docker", "a container meets every requirement and costs least"),
        (NO_KERNEL, GOOD, "vm", "a container cannot provide a kernel of its own: why"),
        (NO_KERNEL, NO_PROVIDER, "vm", "a container cannot provide a kernel of its own: why"),
        (NO_ENGINE, GOOD, "vm", "Docker is not usable on this host: no Docker engine answers"),
        (
            NO_ENGINE,
            NO_PROVIDER,
            "docker",
            "no backend is usable on this host: no Docker engine answers; no provider is usable",
        ),
        (
            NO_ENGINE,
            NO_GPU,
            "docker",
            "no backend is usable on this host: no Docker engine answers; a GPU: why",
        ),
    ],
)
def test_the_choice_and_its_reason(
    container: Capabilities, machine: Capabilities, taken: str, reason: str
) -> None:
    choice = _choose({"docker": container, "vm": machine})
    assert (choice.backend, choice.reason) == (taken, reason)
