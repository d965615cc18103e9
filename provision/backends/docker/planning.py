"""Observe, then decide: what `plan` shows, and `up` carries out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends import starts
from provision.backends.docker.decide import decide, needs_surroundings
from provision.backends.docker.observe import observe, with_surroundings

if TYPE_CHECKING:
    from provision.backends.base import Plan
    from provision.backends.docker.observe import Observed
    from provision.model import Environment
    from provision.rendering import Rendering
    from provision.state import StateDir


def plan_for(
    environment: Environment, state_dir: StateDir, rendering: Rendering, *, rebuild: bool = False
) -> tuple[Observed, Plan]:
    """What is there, and what `up` would do; its surroundings are read only where they matter."""
    observed = observe(environment, state_dir, rendering)
    plan = decide(environment, rendering, observed, rebuild=rebuild)
    if needs_surroundings(environment, plan):
        observed = with_surroundings(observed, environment, state_dir)
        plan = decide(environment, rendering, observed, rebuild=rebuild)
    return observed, starts.estimated(state_dir, plan)
