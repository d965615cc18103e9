"""What is said of an engine that does not answer as it should."""

from __future__ import annotations

import pytest

from provision.backends.docker.engine import unreachable
from provision.errors import EnvironmentFailed, HostLacks

DEAD = "Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?"


@pytest.mark.parametrize(
    ("lines", "kind", "message"),
    [
        ([DEAD, DEAD, DEAD], HostLacks, "the Docker engine does not answer"),
        (
            ["permission denied", "permission denied"],
            HostLacks,
            "this user has no access to the Docker engine",
        ),
        (["Error: a", "Error: a"], EnvironmentFailed, "the Docker engine refused"),
    ],
)
def test_an_engines_words_are_shown_once(lines: list[str], kind: type[Exception], message: str) -> None:
    error = unreachable(lines)
    assert type(error) is kind
    assert (error.message, error.evidence) == (message, (lines[0],))
