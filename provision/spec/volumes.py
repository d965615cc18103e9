"""The volumes of a machine, and their owners."""

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
    its path; one inside the workspace belongs to the workspace's user otherwise, and one in the
    home of a user of the spec to that user.

    Args:
        fields: of the machine.
        workspace: of the machine.
        users: who may own one.
        scope: takes problems.
    """
    volumes = []
    homes = {home_of(name, scope.fields(node)): name for name, node in fields.entries("users").items()}
    folders = {key.rstrip("/"): node for key, node in fields.entries("files").items()}
    for name, node in fields.entries("volumes").items():
        own = scope.fields(node)
        place = own.node("path") if isinstance(node.value, dict) else node
        text = place.value if place is not None else ""
        path = scope.machine_path(text, place or node, "the path") if isinstance(text, str) else None
        if path is None:
            continue
        inside = workspace is not None and path.startswith(f"{workspace.path}/")
        of_home = next((user for home, user in homes.items() if path.startswith(f"{home}/")), None)
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
                or (workspace.user if workspace is not None and inside else of_home),
                mode=own.mode("mode") or folder.mode("mode"),
                origin=node.key_origin,
            )
        )
    return tuple(volumes)


def home_of(user: str, fields: Fields) -> str:
    """The home of a user of the spec, who has the usual one unless another is given."""
    return fields.text("home").rstrip("/") or ("/root" if user == "root" else f"/home/{user}")
