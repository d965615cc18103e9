"""Builds artifacts from a root file system and caches them: once, whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from provision import process
from provision.errors import HostLacks
from provision.lock import exclusive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from provision.progress import Progress

ROOT_TAR = "root.tar"
_UNPACK = f"""
set -eu
mount --make-rprivate /
mkdir root && mount -t tmpfs -o mode=0755 root root
tar --extract --numeric-owner --exclude './dev/*' --file {ROOT_TAR} --directory root
"""


def keep(made: Path, make: Callable[[Path], Path]) -> Path:
    """Have `made`, a file or a folder: that of an earlier call, or one made now.

    Whoever makes it at the same time is waited for; nothing half-made is left.

    Args:
        made: where it is, or is to be.
        make: makes it in the folder that it is given, and says where there.

    Raises:
        HostLacks: there is no room for it.
    """
    made.parent.mkdir(parents=True, exist_ok=True)
    with (
        exclusive(made.with_name(f"{made.name}.lock")),
        # mmdebstrap may work as another user of a namespace, who gets into /tmp but not home.
        TemporaryDirectory(prefix="provision-", ignore_cleanup_errors=True) as folder,
    ):
        if not made.exists():
            _put(make(Path(folder)), made)
    return made


def _put(source: Path, made: Path) -> None:
    half = made.with_name(f"{made.name}.part")
    _remove(half)  # of one that was interrupted
    try:
        if source.is_dir():
            shutil.copytree(source, half)
        else:
            shutil.copyfile(source, half)
        half.rename(made)
    except OSError as error:
        raise HostLacks(
            f"{made.name} cannot be stored in {made.parent}",
            evidence=str(error).splitlines()[-1:],
            hint="free some space there, or set XDG_CACHE_HOME to a disk with space",
        ) from error
    finally:
        _remove(half)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def with_root(
    work: Path,
    script: str,
    words: Sequence[str],
    progress: Progress,
    *,
    subject: str,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a script for `sh` in `work`, where `root` is what its root.tar holds, in a namespace of its own.

    So it needs no root of the host, and nothing of `root` is left, however it ends.

    Raises:
        HostLacks: it failed: `subject` could not be made.
    """
    work.chmod(0o777)  # that user of a namespace writes there
    shell = ["mmdebstrap", "--unshare-helper", "sh", "-c", _UNPACK + script, "with-root"]
    try:
        process.stream([*shell, *words], progress.line, cwd=work, env=env)
    except process.CommandFailed as error:
        raise HostLacks(
            f"{subject} could not be built",
            evidence=error.evidence,
            hint="check that /tmp has free space, and that the root file system fits in memory",
        ) from error


def require_tools(missing: Sequence[str], *, what: str, instead: str = "") -> None:
    """Raise HostLacks if packages with tools that make something are missing."""
    if missing:
        raise HostLacks(
            f"the tools that build {what} are missing",
            evidence=sorted(missing),
            hint=f"apt-get install {' '.join(sorted(missing))}, or scripts/host-setup vm{instead}",
        )


def lacking(tools: Mapping[str, str]) -> set[str]:
    """The packages of those tools that this host lacks."""
    return {package for tool, package in tools.items() if process.find(tool) is None}
