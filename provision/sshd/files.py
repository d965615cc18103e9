"""Files for sftp and scp: each operation is a short script in the machine, by a shell that stays open.

The scripts work with the tools of GNU and of busybox. Content goes in blocks: base64 carries any
byte through the shell, and `dd` reads and writes at a block's place.
"""

# ruff: noqa: ARG002 - the parameters are those of asyncssh's contract

from __future__ import annotations

import asyncio
import base64
import os
import posixpath
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncssh
from asyncssh import FXF_APPEND, FXF_CREAT, FXF_EXCL, FXF_READ, FXF_TRUNC, FXF_WRITE, SFTPAttrs

from provision.errors import ProvisionError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provision.target import Target

_TYPES = (
    (stat.S_ISREG, asyncssh.FILEXFER_TYPE_REGULAR),
    (stat.S_ISDIR, asyncssh.FILEXFER_TYPE_DIRECTORY),
    (stat.S_ISLNK, asyncssh.FILEXFER_TYPE_SYMLINK),
)
BLOCK = 1 << 20
TIMEOUT = 120.0  # seconds for one operation
STAT = "%f %s %u %g %X %Y"
# What shells and tools say, by what sftp has a word for.
_REASONS = (
    (("no such file", "nonexistent", "not found"), asyncssh.SFTPNoSuchFile),
    (("permission denied", "not permitted", "read-only file system"), asyncssh.SFTPPermissionDenied),
)


def failure(said: str) -> asyncssh.SFTPError:
    """The error of sftp for what a script said; pure."""
    lines = said.strip().splitlines()
    reason = lines[-1] if lines else "it failed with no output"
    kind = next((kind for words, kind in _REASONS if any(w in said.lower() for w in words)), None)
    return (kind or asyncssh.SFTPFailure)(reason)


def assigned(name: str, path: bytes) -> str:
    """A line for `sh` that sets a variable to a path of any bytes; pure.

    Raises:
        SFTPNoSuchFile: a NUL, which no path can hold.
    """
    if b"\0" in path:
        raise asyncssh.SFTPNoSuchFile("a path cannot hold a NUL")
    octal = "".join(f"\\{byte:03o}" for byte in path)
    return f"{name}=$(printf '{octal}x'); {name}=${{{name}%x}}\n"


def attributes(line: bytes) -> SFTPAttrs:
    """What `stat` said in STAT's form; pure."""
    mode, size, uid, gid, accessed, modified = line.split()
    return SFTPAttrs(
        type=next((kind for test, kind in _TYPES if test(int(mode, 16))), asyncssh.FILEXFER_TYPE_SPECIAL),
        permissions=int(mode, 16),
        size=int(size),
        uid=int(uid),
        gid=int(gid),
        atime=int(accessed),
        mtime=int(modified),
    )


def changes(attrs: SFTPAttrs) -> str:
    """The script that gives `$P` what is set of some attributes; pure. Links are followed."""
    lines = []
    if attrs.size is not None:
        lines.append(f'truncate -s {int(attrs.size)} "$P"')
    if attrs.uid is not None and attrs.gid is not None:
        lines.append(f'chown {int(attrs.uid)}:{int(attrs.gid)} "$P"')
    if attrs.permissions is not None:
        lines.append(f'chmod {attrs.permissions & 0o7777:o} "$P"')
    if attrs.atime is not None and attrs.mtime is not None:
        lines += [f'touch -a -d @{int(attrs.atime)} "$P"', f'touch -m -d @{int(attrs.mtime)} "$P"']
    return " && ".join(lines) or "true"


def opening(pflags: int, mode: int | None) -> str:
    """The script that opens `$P`: it makes, empties or refuses it; pure."""
    lines = ['if [ -d "$P" ]; then echo "it is a folder"; exit 1; fi']
    if pflags & FXF_WRITE:
        if not pflags & FXF_CREAT:
            lines.append('[ -e "$P" ] || { echo "no such file"; exit 1; }')
        if pflags & FXF_EXCL:
            lines.append('if [ -e "$P" ] || [ -L "$P" ]; then echo "it exists already"; exit 1; fi')
        lines.append('new=; [ -e "$P" ] || new=yes')
        lines.append(': > "$P" || exit 1' if pflags & FXF_TRUNC else ': >> "$P" || exit 1')
        if mode is not None:
            own = f"$((0{mode & 0o777:o} & ~0$(umask)))"
            lines.append(f'[ -z "$new" ] || chmod "$(printf %o "{own}")" "$P"')
    if pflags & FXF_READ:
        lines.append(': < "$P"')
    return "\n".join(lines)


@dataclass(eq=False)
class OpenFile:
    """An open file: its path, and blocks of its content that were read, or are to be written."""

    path: bytes
    append: bool
    blocks: dict[int, bytearray] = field(default_factory=dict)
    dirty: set[int] = field(default_factory=set)


class Files(asyncssh.SFTPServer):
    """The machine's files, as the user whom the connection asked for."""

    def __init__(self, target: Target, channel: asyncssh.SSHServerChannel[bytes]) -> None:
        super().__init__(channel)
        self._target = target
        self._user = str(channel.get_extra_info("username"))
        self._turn = asyncio.Lock()  # a shell does one thing at a time, in the order of the requests

    async def _run(self, script: str, **paths: bytes) -> bytes:
        """Run a script with variables that hold paths; its output.

        Raises:
            SFTPError: it failed.
        """
        text = "LC_ALL=C; export LC_ALL\n" + "".join(
            assigned(name, self._whole(path)) for name, path in paths.items()
        )

        def ask() -> tuple[int, bytes, bytes]:
            output = self._target.run(f"{text}{script}", user=self._user, timeout=TIMEOUT)
            return output.code, output.stdout, output.stderr

        try:
            code, stdout, stderr = await asyncio.get_running_loop().run_in_executor(None, ask)
        except ProvisionError as error:
            raise asyncssh.SFTPConnectionLost(error.message) from error
        if code != 0:
            raise failure((stdout + b"\n" + stderr).decode("utf-8", "replace"))
        return stdout

    def _whole(self, path: bytes) -> bytes:
        """A path from the root: one that is relative counts from where commands start."""
        return posixpath.join(os.fsencode(self._target.workdir), path)

    async def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> OpenFile:
        """Open a file."""
        async with self._turn:
            await self._run(opening(pflags, attrs.permissions), P=path)
        return OpenFile(path=path, append=bool(pflags & FXF_APPEND))

    async def open56(self, path: bytes, desired_access: int, flags: int, attrs: SFTPAttrs) -> OpenFile:
        """No version 5: version 3 is what is offered."""
        raise asyncssh.SFTPOpUnsupported("only version 3 of sftp is offered")

    async def close(self, file_obj: object) -> None:
        """Write what is left."""
        file = _file(file_obj)
        async with self._turn:
            for number in sorted(file.dirty):
                await self._flush(file, number)

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        """Bytes from a place on; fewer at the end."""
        file, data = _file(file_obj), b""
        async with self._turn:
            while len(data) < size:
                number, within = divmod(offset + len(data), BLOCK)
                block = await self._block(file, number)
                part = bytes(block[within : within + size - len(data)])
                data += part
                if not part:
                    break
        return data

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Put bytes at a place."""
        file, done = _file(file_obj), 0
        async with self._turn:
            if file.append:
                await self._append(file, data)
                return len(data)
            while done < len(data):
                number, within = divmod(offset + done, BLOCK)
                part = data[done : done + BLOCK - within]
                block = await self._block(file, number, whole=within == 0 and len(part) == BLOCK)
                if len(block) < within:
                    block.extend(bytes(within - len(block)))
                block[within : within + len(part)] = part
                file.dirty.add(number)
                done += len(part)
                if len(block) == BLOCK and within + len(part) == BLOCK:
                    await self._flush(file, number)
        return done

    async def _append(self, file: OpenFile, data: bytes) -> None:
        text = base64.b64encode(data).decode()
        await self._run(f'printf %s {text} | base64 -d >> "$P"', P=file.path)

    async def _block(self, file: OpenFile, number: int, *, whole: bool = False) -> bytearray:
        """A block of the content; `whole`: all of it is going to be replaced."""
        if number not in file.blocks:
            for other in [each for each in file.blocks if each not in file.dirty]:
                del file.blocks[other]
            for other in list(file.dirty):
                await self._flush(file, other)
            content = b""
            if not whole:
                read = f'dd if="$P" bs={BLOCK} skip={number} count=1 2>/dev/null || : < "$P"'
                content = await self._run(read, P=file.path)
            file.blocks[number] = bytearray(content)
        return file.blocks[number]

    async def _flush(self, file: OpenFile, number: int) -> None:
        text = base64.b64encode(file.blocks[number]).decode()
        # The block waits for nothing of the pipe: dd copies all that comes, from the block's place on.
        write = (
            f'base64 -d <<"end" | {{ dd of="$P" bs={BLOCK} seek={number} conv=notrunc 2>&1; }}\n{text}\nend'
        )
        await self._run(write, P=file.path)
        del file.blocks[number]
        file.dirty.discard(number)

    async def _stat(self, path: bytes, *, follow: bool) -> SFTPAttrs:
        return attributes(await self._run(f"stat {'-L ' if follow else ''}-c '{STAT}' \"$P\"", P=path))

    async def stat(self, path: bytes) -> SFTPAttrs:
        """What is at a path, links followed."""
        async with self._turn:
            return await self._stat(path, follow=True)

    async def lstat(self, path: bytes) -> SFTPAttrs:
        """What is at a path, a link itself."""
        async with self._turn:
            return await self._stat(path, follow=False)

    async def fstat(self, file_obj: object) -> SFTPAttrs:
        """An open file."""
        file = _file(file_obj)
        async with self._turn:
            for number in sorted(file.dirty):
                await self._flush(file, number)
            return await self._stat(file.path, follow=True)

    async def setstat(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Change attributes, links followed."""
        async with self._turn:
            await self._run(changes(attrs), P=path)

    async def lsetstat(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Change attributes of a link itself: there is no word for it that every machine has."""
        raise asyncssh.SFTPOpUnsupported("the attributes of links cannot be changed")

    async def fsetstat(self, file_obj: object, attrs: SFTPAttrs) -> None:
        """Change attributes of an open file, once its content is written."""
        file = _file(file_obj)
        async with self._turn:
            for number in sorted(file.dirty):
                await self._flush(file, number)
            file.blocks.clear()
            await self._run(changes(attrs), P=file.path)

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        """What is in a folder, itself and the one above among it."""
        script = f"""cd -- "$P" || exit 1
find . .. -maxdepth 0 -exec stat -c '{STAT} %n' {{}} \\; | tr '\\n' '\\0'
find . -mindepth 1 -maxdepth 1 -exec sh -c '
  for f; do s=$(stat -c "{STAT}" "$f" 2>/dev/null) && printf "%s %s\\0" "$s" "${{f#./}}"; done' sh {{}} +"""
        async with self._turn:
            listed = await self._run(script, P=path)
        for entry in listed.split(b"\0")[:-1]:
            *_, name = entry.split(b" ", 6)
            yield asyncssh.SFTPName(name, attrs=attributes(entry[: len(entry) - len(name)]))

    async def remove(self, path: bytes) -> None:
        """Remove a file or link."""
        async with self._turn:
            await self._run('if [ -d "$P" ] && [ ! -L "$P" ]; then echo "it is a folder"; exit 1; fi\n'
                            'if [ ! -e "$P" ] && [ ! -L "$P" ]; then echo "no such file"; exit 1; fi\n'
                            'rm -f "$P"', P=path)  # fmt: skip

    async def mkdir(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Make a folder."""
        mode = f"-m {attrs.permissions & 0o7777:o} " if attrs.permissions is not None else ""
        async with self._turn:
            await self._run(f'mkdir {mode}"$P"', P=path)

    async def rmdir(self, path: bytes) -> None:
        """Remove an empty folder."""
        async with self._turn:
            await self._run('rmdir "$P"', P=path)

    async def realpath(self, path: bytes) -> bytes:
        """A path from the root, without links as far as it exists."""
        whole = posixpath.normpath(self._whole(path))
        async with self._turn:
            try:
                return (await self._run('printf "%s" "$(readlink -f "$P"; echo x)"', P=whole))[:-2] or whole
            except asyncssh.SFTPError:
                return whole

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Move, unless something is there."""
        async with self._turn:
            script = 'if [ -e "$Q" ] || [ -L "$Q" ]; then echo "it exists already"; exit 1; fi\nmv "$P" "$Q"'
            await self._run(script, P=oldpath, Q=newpath)

    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Move, in the place of what is there."""
        async with self._turn:
            script = 'if [ -d "$Q" ] && [ ! -L "$Q" ]; then rmdir "$Q" || exit 1; fi\nmv -f "$P" "$Q"'
            await self._run(script, P=oldpath, Q=newpath)

    async def readlink(self, path: bytes) -> bytes:
        """Where a link points."""
        async with self._turn:
            return (await self._run('readlink "$P" && echo x', P=path))[:-3]

    async def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        """Make a link."""
        async with self._turn:
            await self._run(f'{assigned("T", oldpath)}ln -s -- "$T" "$Q"', Q=newpath)

    async def link(self, oldpath: bytes, newpath: bytes) -> None:
        """Make a hard link."""
        async with self._turn:
            await self._run('ln "$P" "$Q"', P=oldpath, Q=newpath)

    async def lock(self, file_obj: object, offset: int, length: int, flags: int) -> None:
        """Not here."""
        raise asyncssh.SFTPOpUnsupported("files cannot be locked")

    async def unlock(self, file_obj: object, offset: int, length: int) -> None:
        """Not here."""
        raise asyncssh.SFTPOpUnsupported("files cannot be locked")

    async def statvfs(self, path: bytes) -> asyncssh.SFTPVFSAttrs:
        """Not here."""
        raise asyncssh.SFTPOpUnsupported("file systems cannot be asked about")

    async def fstatvfs(self, file_obj: object) -> asyncssh.SFTPVFSAttrs:
        """Not here."""
        raise asyncssh.SFTPOpUnsupported("file systems cannot be asked about")

    async def fsync(self, file_obj: object) -> None:
        """Write what is left."""
        await self.close(file_obj)

    def exit(self) -> None:
        """Tell the client that all went well: scp takes no exit code for a failure."""
        self.channel.exit(0)

    def format_user(self, uid: int | None) -> str:
        """Its number: the names of this host are not the machine's."""
        return "" if uid is None else str(uid)

    def format_group(self, gid: int | None) -> str:
        """Its number."""
        return "" if gid is None else str(gid)


def _file(file_obj: object) -> OpenFile:
    assert isinstance(file_obj, OpenFile)  # noqa: S101 - what `open` has given
    return file_obj
