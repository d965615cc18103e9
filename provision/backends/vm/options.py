"""The keys of `backends.vm` that only this backend knows; options.schema.json describes them."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.model import Machine


@dataclass(frozen=True, kw_only=True)
class VmOptions:
    """What a spec says for its virtual machines alone.

    Args:
        provider: the driver; the first that this host can use unless given.
        accelerator: `auto`, `kvm`, `hvf` or `emulation`; None leaves it to the user's setting.
        box: a Vagrant box instead of the base's.
        build: where the steps run: in an image, or inside the machine; None chooses.
        memory: whether a QEMU machine's state is saved for its next start.
        sync: how folders of the host get inside.
        options: the provider's own options.
    """

    provider: str | None = None
    accelerator: str | None = None
    box: str | None = None
    build: Literal["image", "provision"] | None = None
    memory: Literal["on", "off"] = "on"
    sync: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)


def options_of(machine: Machine) -> VmOptions:
    """The options of a machine; the schema has checked their types."""
    return VmOptions(**machine.options)  # type: ignore[arg-type]
