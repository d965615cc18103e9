"""Copies files between this host and a machine, by the rules of `docker cp`, as one tar stream.

The machine's own `tar` packs and unpacks, as the user that `exec` runs as: it reads and writes
what that user may. The same code serves every backend, because it only needs a Target.
"""

from __future__ import annotations

import errno
import os
import posixpath
import shlex
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from provision.copying.inside import UNPACK, assigned, look_inside, other_user, packing, running
from provision.copying.outside import BROKEN, kind_outside, look_outside, pack, uncompressed
from provision.copying.places import (
    Options,
    Place,
    Source,
    destination_of,
    place_of,
    read_inside,
    refuse_clash,
)
from provision.copying.unpack import CHUNK, unpack
from provision.errors import EnvironmentFailed, ProvisionError, UsageError

if TYPE_CHECKING:
    from provision.target import Target

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

__all__ = ["Options", "Place", "copy", "place_of"]


def copy(target: Target, source: Place, destination: Place, options: Options) -> tuple[str, ...]:
    """Copy between this host and a machine; return notes about what was left out.

    Raises:
        UsageError: the path outside is not there, or cannot be written over.
        EnvironmentFailed: the path inside is not, or `tar` failed inside.
    """
    user = "root" if options.archive else options.user or target.user
    try:
        if destination.machine is not None:
            _copy_in(target, source, destination, options, user)
            return ()
        return _copy_out(target, source, destination, options, user)
    except OSError as error:
        if isinstance(error, BrokenPipeError | PermissionError) or error.errno in FULL:
            raise  # one place says it for all verbs
        raise ProvisionError(f"{error.filename or 'this host'}: {error.strerror or error}") from error


def _copy_in(target: Target, source: Place, destination: Place, options: Options, user: str) -> None:
    entry = None if source.is_stream else look_outside(source.path, follow=options.follow)
    path, slash, _ = read_inside(destination.path)
    there, resolved = look_inside(target, path, user, follow=True)
    if entry is None:
        if there != "folder":
            raise EnvironmentFailed(f"{destination} is no folder to unpack a stream in")
        folder, name = resolved, None
    else:
        folder, name = destination_of(entry, there, resolved, slash=slash, shown=str(destination))
        if not folder:
            raise EnvironmentFailed(
                f"{posixpath.dirname(path)} does not exist in {target.machine}, or is no folder",
                hint=other_user(user),
            )
        if name is not None and there == "folder":
            within, _ = look_inside(target, posixpath.join(folder, name), user, follow=False)
            refuse_clash(entry, within, posixpath.join(folder, name))
    script = UNPACK.format(folder=assigned(folder), owners="--numeric-owner" if options.archive else "-o")
    with running(target, script, user) as tar:
        with suppress(BrokenPipeError):  # why, it says itself
            if entry is None:
                _pass_on(uncompressed(sys.stdin.buffer), tar.stdin)
            else:
                pack(entry, name, tar.stdin)
        tar.drain()
        tar.finish(f"could not copy to {destination}")


def _pass_on(stream: IO[bytes], to: IO[bytes]) -> None:
    try:
        shutil.copyfileobj(stream, to, CHUNK)
    except BROKEN as error:
        raise UsageError(f"what comes from stdin is compressed and broken: {error}") from error


def _copy_out(
    target: Target, source: Place, destination: Place, options: Options, user: str
) -> tuple[str, ...]:
    entry = _find_inside(target, source, user, follow=options.follow)
    whole, failed = posixpath.join(entry.folder, entry.name), f"could not copy {source}"
    if destination.is_stream:
        packed = (whole, ".") if entry.contents else (entry.folder, entry.name)
        with running(target, packing(*packed), user) as tar:
            shutil.copyfileobj(tar.stdout, sys.stdout.buffer, CHUNK)
            sys.stdout.buffer.flush()
            return tar.finish(failed)
    resolved = os.path.realpath(destination.path)
    there = kind_outside(resolved)
    slash = destination.path.endswith(("/", "/."))
    folder, name = destination_of(entry, there, resolved, slash=slash, shown=destination.path)
    if not Path(folder).is_dir():
        raise UsageError(f"{folder} is no folder on this host", hint=f"`mkdir -p {shlex.quote(folder)}`")
    if name is not None and there == "folder":
        within = str(Path(folder, name))
        refuse_clash(entry, kind_outside(within), within)
    into, made = Path(folder), False
    if entry.kind == "folder" and name is not None:
        into = into / name
        made = not into.exists()
        into.mkdir(mode=0o700, exist_ok=True)
    single = name if entry.kind != "folder" else None
    packed = (entry.folder, entry.name) if single else (whole, ".")
    with running(target, packing(*packed), user) as tar:
        try:
            left_out = unpack(tar.stdout, into, single=single, made=made, owners=options.archive)
            tar.drain()
        except EnvironmentFailed:
            if tar.has_failed():
                tar.finish(failed)
            raise
        notes = tar.finish(failed)
    return (*notes, *(f"{each} was left out: it is a device or a pipe" for each in left_out))


def _find_inside(target: Target, source: Place, user: str, *, follow: bool) -> Source:
    path, slash, contents = read_inside(source.path)
    kind, resolved = look_inside(target, path, user, follow=follow or slash)
    if kind == "none":
        raise EnvironmentFailed(
            f"{path} does not exist in {target.machine}, or {user} cannot see it", hint=other_user(user)
        )
    if kind == "special":
        raise EnvironmentFailed(f"{path} is a device, a pipe or a socket: it cannot be copied")
    if slash and kind != "folder":
        raise EnvironmentFailed(f"{path} is no folder in {target.machine}")
    folder, name = posixpath.split(path if kind == "link" else resolved)
    return Source(
        kind=kind, folder=folder, name=name, called=posixpath.basename(path),
        contents=contents or path == "/",
    )  # fmt: skip
