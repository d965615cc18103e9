"""Text → Environment: the spec, its schema, its layers, and everything wrong in it at once."""

from provision.spec.load import load
from provision.spec.paths import project_folder as project_of
from provision.spec.problems import render_problems
from provision.spec.reading import find_spec, peek

__all__ = ["find_spec", "load", "peek", "project_of", "render_problems", "schema"]


def schema() -> str:
    """The text of the published schema."""
    from provision.spec.contract import text

    return text()
