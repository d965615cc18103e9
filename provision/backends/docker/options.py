"""The keys of `backends.docker` that only this backend knows; options.schema.json describes them."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.model import Machine


@dataclass(frozen=True, kw_only=True)
class DockerOptions:
    """What a spec says for its containers alone.

    Args:
        init: process 1: Docker's own init, or systemd.
        shm_size: the size of /dev/shm in bytes.
        runtime: the engine's name for what starts the container; the engine's default otherwise.
        compose: keys of the service in compose.yaml, laid over what provision writes.
    """

    init: Literal["auto", "systemd"] = "auto"
    shm_size: int | None = None
    runtime: str | None = None
    compose: Mapping[str, Any] = field(default_factory=dict)


def options_of(machine: Machine) -> DockerOptions:
    """The options of a machine; the schema has checked their types."""
    return DockerOptions(**machine.options)  # type: ignore[arg-type]
