"""The words of a command line, as they are right on another host."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def translated(words: Sequence[str], *, folder: Path, here: Path, host: str, backend: str) -> tuple[str, ...]:
    """The words of a command line as they are right in the copy of a project, in the same folder of it. Pure.

    Args:
        words: of the command line.
        folder: the project's.
        here: the folder in which the caller is; outside of the project, the verb runs in its topmost one.
        host: its name, as `--host` has it, which is left out.
        backend: what `auto` has become.
    """
    rest = list(words)
    for words_of_host in (["--host", host], [f"--host={host}"]):
        at = next(
            (at for at in range(len(rest)) if rest[at : at + len(words_of_host)] == words_of_host), None
        )
        if host and at is not None:
            del rest[at : at + len(words_of_host)]
    kept: list[str] = []
    for at, word in enumerate(rest):
        if word == "--":
            return (*kept, *rest[at:])
        option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if value == "auto" and (option == "--backend" or rest[at - 1] in ("-b", "--backend")):
            value = backend
        kept.append(f"{option}{equals}{_inside(value, folder, here)}")
    return tuple(kept)


def _inside(text: str, folder: Path, here: Path) -> str:
    """A path of the project relative to where the verb runs; every other text as it is."""
    base = here if here.is_relative_to(folder) else folder
    path = os.path.normpath(here / text) if text.endswith((".yaml", ".yml")) else text
    if path != str(folder) and not path.startswith(f"{folder}/"):
        return text
    return os.path.relpath(path, base)
