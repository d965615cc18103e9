"""The volumes of a machine, and whose they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.model import Volume

if TYPE_CHECKING:
    from provision.model import Workspace
    from provision.spec.fields import Fields
    from provision.spec.scope import Scope
    from provision.spec.users import KnownUsers


def read_volumes(
    fields: Fields, workspace: Workspace | None, users: KnownUsers, scope: Scope
) -> tuple[Volume, ...]:
    """The volumes of a machine.

    What a volume says of its owner and mode comes first, then what `files` says of a folder at
    its path; one inside the workspace belongs to the workspace's user otherwise.

    Args:
        fields: of the machine.
        workspace: of the machine.
        users: who may own one.
        scope: takes problems.
    """
    volumes = []
    folders = {key.rstrip("/"): node for key, node in fields.entries("files").items()}
    for name, node in fields.entries("volumes").items():
        own = scope.fields(node)
        place = own.node("path") if isinstance(node.value, dict) else node
        text = place.value if place is not None else ""
        path = scope.machine_path(text, place or node, "the path") if isinstance(text, str) else None
        if path is None:
            continue
        inside = workspace is not None and path.startswith(f"{workspace.path}/")
        folder = scope.fields(folders.get(path))
        if (owner := own.node("owner")) is not None:
            users.refuse_unknown(own.text("owner"), owner)
        for key in ("owner", "mode"):
            if key in own and key in folder and own.data(key) != folder.data(key):
                scope.problems.add(
                    f"the volume {name} has the {key} {own.data(key)}, and {path} in files has another",
                    own.node(key) or node,
                    "remove one of the two",
                )
        volumes.append(
            Volume(
                name=name,
                path=path,
                owner=own.text("owner")
                or folder.text("owner")
                or (workspace.user if workspace is not None and inside else None),
                mode=own.mode("mode") or folder.mode("mode"),
                origin=node.key_origin,
            )
        )
    return tuple(volumes)
