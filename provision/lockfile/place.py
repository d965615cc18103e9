"""Where the lock of a spec is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def path_of(spec: Path) -> Path:
    """NAME.lock.yaml beside NAME.yaml."""
    return spec.parent / f"{spec.stem}.lock.yaml"  # a folder has no name to change, such as `.`
