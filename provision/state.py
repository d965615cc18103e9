"""What an environment leaves on the host: .provision/NAME/BACKEND/ in the project folder."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from provision.errors import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FOLDER = ".provision"
HOLDER = "holder"  # who changes it now, or did last: the lock itself says whether


@dataclass(frozen=True, kw_only=True)
class StateDir:
    """The folder of one environment's state in one backend."""

    folder: Path

    @classmethod
    def of(cls, project: Path, name: str, backend: str) -> StateDir:
        """Where the environment `name` of a project keeps its state; makes nothing."""
        return cls(folder=project / FOLDER / name / backend)

    @property
    def rendering(self) -> Path:
        """The rendering on disk."""
        return self.folder / "rendering"

    @property
    def log(self) -> Path:
        """What the engine said during the last change."""
        return self.folder / "log.txt"

    def siblings(self) -> tuple[StateDir, ...]:
        """The places of the same environment in other backends."""
        return tuple(
            StateDir(folder=folder)
            for folder in self.folder.parent.glob("*")
            if folder.is_dir() and folder != self.folder
        )

    def make(self) -> None:
        """Make the folder; git is told to overlook it.

        Raises:
            EnvironmentFailed: it cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            ignore = self.folder.parent.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            raise EnvironmentFailed(
                f"{self.folder} cannot be made: {error.strerror}",
                hint=f"the tool keeps its state in {FOLDER} beside the spec's .git",
            ) from error

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the environment: one change at a time.

        Raises:
            EnvironmentFailed: another process is changing it.
        """
        from filelock import FileLock, Timeout

        self.make()
        try:
            with FileLock(self.folder / "lock", timeout=0):
                self.remember(HOLDER, {"process": os.getpid(), "words": sys.argv[1:]})
                yield
        except Timeout as error:
            holder = self.read(HOLDER)
            raise EnvironmentFailed(
                "another provision is changing this environment",
                evidence=[f"process {holder.get('process')}: provision {_words(holder)}"] if holder else [],
                hint=f"wait for it to end, then try again; the lock is {self.folder / 'lock'}",
            ) from error

    def read(self, what: str) -> Mapping[str, object]:
        """What was remembered under a name; nothing where nothing was, or it is unreadable."""
        try:
            remembered = json.loads((self.folder / f"{what}.json").read_text())
        except (OSError, ValueError):
            return {}
        return cast("dict[str, object]", remembered) if isinstance(remembered, dict) else {}

    def remember(self, what: str, content: Mapping[str, object]) -> None:
        """Remember something after it happened; whole or not at all."""
        self.make()
        path = self.folder / f"{what}.json"
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
        os.replace(beside, path)  # noqa: PTH105 - the atomic one


def _words(holder: Mapping[str, object]) -> str:
    words = holder.get("words")
    return " ".join(str(word) for word in words) if isinstance(words, list) else ""
