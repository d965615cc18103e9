"""Observe, then decide: what `plan` shows, and `up` carries out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends import starts
from provision.backends.vm.decide import decide
from provision.backends.vm.observe import observe, with_surroundings

if TYPE_CHECKING:
    from provision.backends.base import Plan
    from provision.backends.vm.driver import Driver
    from provision.backends.vm.observe import Observed
    from provision.model import Environment
    from provision.rendering import Rendering
    from provision.state import StateDir


def plan_for(
    environment: Environment,
    driver: Driver,
    state_dir: StateDir,
    rendering: Rendering,
    *,
    rebuild: bool = False,
) -> tuple[Observed, Plan]:
    """What is there, and what `up` would do; the surroundings are read only where something changes."""
    observed = observe(environment, driver, state_dir, rendering)
    plan = decide(environment, rendering, observed, rebuild=rebuild)
    if plan.changes:
        observed = with_surroundings(observed, environment, driver, state_dir)
        plan = decide(environment, rendering, observed, rebuild=rebuild)
    return observed, starts.estimated(state_dir, plan)
