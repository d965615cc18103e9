"""What the machines of an environment take of this host, as far as their provider tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from provision.backends.base import Footprint
from provision.backends.vm import providers

if TYPE_CHECKING:
    from provision.state import StateDir


@runtime_checkable
class Measurable(Protocol):
    """What a provider can do beside the contract: the verbs of `provision.backends.base.Measurable`."""

    def footprint(self, state_dir: StateDir) -> Footprint:
        """What its running machines take of this host."""

    def forget_saved(self, state_dir: StateDir) -> bool:
        """Throw away states that are kept of machines that are down."""


def footprint(state_dir: StateDir) -> Footprint:
    """Of the machines of the provider that has some."""
    for provider in map(providers.find, providers.names()):
        if not provider.machines(state_dir):
            continue
        if isinstance(provider, Measurable):
            return provider.footprint(state_dir)
        break
    return Footprint(
        processes=None, stored=None, own=None, sent=(), escape="the hypervisor, and what it may reach"
    )


def forget_saved(state_dir: StateDir) -> bool:
    """The states that any provider keeps."""
    found = [
        provider.forget_saved(state_dir)
        for provider in map(providers.find, providers.names())
        if isinstance(provider, Measurable)
    ]
    return any(found)
