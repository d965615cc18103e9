"""The paths inside a machine: Python names each once, and the scripts know the same ones."""

from __future__ import annotations

import ast
import re

import pytest

from provision import guest_paths, resources
from tests.unit.test_imports import TREES

OURS = re.compile(r"/(run|usr/lib|var/lib)/provision")
NAMED = {
    name: value for name, value in vars(guest_paths).items() if name.isupper() and isinstance(value, str)
}
# What a rendering fills into the scripts, or a script puts together.
FILLED_IN = {"GITCONFIG", "KEPT_RENDERING", "SETUP_RUNS", "STEPS"}
TEMPLATES = [path for path in resources.folder("templates").rglob("*") if path.is_file()]


def docstrings(tree: ast.Module) -> set[ast.AST]:
    """What explains a path may spell it."""
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def test_no_other_module_spells_a_path_of_ours() -> None:
    spelled = [
        f"{name} (line {node.lineno}) says {node.value!r}"
        for name, tree in TREES.items()
        if name != "provision.guest_paths"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and OURS.search(node.value)
        if node not in docstrings(tree)
    ]
    assert spelled == []


@pytest.mark.parametrize("name", sorted(NAMED.keys() - FILLED_IN))
def test_a_named_path_is_one_that_scripts_make_or_use(name: str) -> None:
    path = NAMED[name]
    texts = (template.read_text("utf-8", "replace") for template in TEMPLATES)
    made = path.rpartition("/")[2] in {template.name.removesuffix(".j2") for template in TEMPLATES}
    assert made or any(path in text for text in texts)
