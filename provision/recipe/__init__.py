"""Environment → Steps: what is done to a base to make a machine of it, in every backend alike."""

from provision.recipe.contents import contents, payload
from provision.recipe.steps import steps

__all__ = ["contents", "payload", "steps"]
