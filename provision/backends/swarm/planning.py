"""Observe, then decide: what `plan` shows, and `up` carries out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends import starts
from provision.backends.swarm.decide import decide
from provision.backends.swarm.observe import observe

if TYPE_CHECKING:
    from provision.backends.base import Plan
    from provision.backends.swarm.observe import Observed
    from provision.model import Environment
    from provision.rendering import Rendering
    from provision.state import StateDir


def plan_for(
    environment: Environment, state_dir: StateDir, rendering: Rendering, *, rebuild: bool = False
) -> tuple[Observed, Plan]:
    """What is there, and what `up` would do."""
    observed = observe(environment, state_dir, rendering)
    return observed, starts.estimated(state_dir, decide(environment, rendering, observed, rebuild=rebuild))
