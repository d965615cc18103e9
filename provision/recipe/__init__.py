"""Environment → steps: what turns a base into a machine, the same in every backend."""

from provision.recipe.contents import contents, payload
from provision.recipe.families import FAMILIES
from provision.recipe.lock import FOLDER, lock_files
from provision.recipe.repositories import repository_files
from provision.recipe.steps import steps, until_packages

__all__ = [
    "FAMILIES",
    "FOLDER",
    "contents",
    "lock_files",
    "payload",
    "repository_files",
    "steps",
    "until_packages",
]
