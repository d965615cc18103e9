"""Checks of mounts: folders of the host, volumes, file systems."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from provision import guest_paths
from provision.verify.values import mode_problems, value_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.model import Check
    from provision.verify.context import CheckContext

FIELDS = frozenset({"filesystem", "device", "options", "entered_by", "owner", "mode"})


def mount(context: CheckContext, check: Check) -> Iterator[str]:
    """A mount point, with filesystem, device and options as testinfra names them."""
    path = check.subject.rstrip("/") or "/"
    mounted = context.host.mount_point(path.replace("\\", "\\134").replace(" ", "\\040"))
    if not mounted.exists:
        yield "is not a mount point"
        return
    for name, expected in check.fields.items():
        if name == "entered_by":
            yield from _entered(context, path, str(expected))
        elif name == "owner":
            yield from value_problems(name, context.host.file(path).user, expected)
        elif name == "mode":
            yield from mode_problems(context.host.file(path).mode, expected)
        else:
            yield from value_problems(name, getattr(mounted, name), expected)


def _entered(context: CheckContext, path: str, user: str) -> Iterator[str]:
    """Whether a user can enter and list it."""
    command = shlex.join(["sh", "-c", 'cd "$1" && test -r .', "sh", path])
    output = context.run(f"{guest_paths.AS} {shlex.quote(user)} {command}", user="root")
    if output.code != 0:
        yield f"user {user} cannot enter it"
