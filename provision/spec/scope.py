"""What every reader of a part of the spec needs to know, and the paths that it can use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.quick_dataclasses import dataclass
from provision.spec.fields import Fields
from provision.spec.paths import named_path

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Origin
    from provision.spec.demands import Demands
    from provision.spec.problems import Problems
    from provision.spec.tree import Node
    from provision.spec.variables import Variables


@dataclass(frozen=True, kw_only=True)
class Scope:
    """One reading of one spec.

    Args:
        problems: takes what is wrong.
        variables: what `${{ }}` stands for.
        project: the folder that no source may leave without the word `outside`.
        demands: asks for what needs the person's word.
        backend: the backend that the spec is read for.
    """

    problems: Problems
    variables: Variables
    project: Path
    demands: Demands
    backend: str

    def fields(self, node: Node | None) -> Fields:
        """The fields of a map."""
        return Fields(node, self.problems)

    def host_path(self, node: Node, what: str, use: str = "") -> Path | None:
        """A path on the host that the spec names; None is a problem already. The rest as `named_path`."""
        return named_path(
            node,
            what,
            project=self.project,
            demands=self.demands,
            problems=self.problems,
            use=use,
        )

    def machine_path(self, text: str, at: Node | Origin, what: str) -> str | None:
        """An absolute path inside the machine in its shortest form; None is a problem already."""
        if not text.startswith("/"):
            return None  # the schema has said so
        if any(ord(character) < 32 or ord(character) == 127 for character in text):
            self.problems.add(f"{what} contains a control character", at, "rename it")
            return None
        parts = [part for part in text.split("/") if part]
        if "." in parts or ".." in parts:
            self.problems.add(f"{what} {text} contains . or ..", at, "write the full path")
            return None
        return "/" + "/".join(parts)
