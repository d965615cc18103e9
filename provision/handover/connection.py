"""Another host, by ssh: scripts that run there; one connection serves them all."""

from __future__ import annotations

import json
import secrets
import shlex
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from provision import process, runtime
from provision.errors import HostLacks
from provision.ssh_address import sharing, ssh_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provision.process import Completed

UNREACHED = 255  # ssh's own exit code
# A folder with a name that `gc` knows there, should nobody come to read it.
LEAVE = """\
umask 077
for folder in {folders}; do
  [ -w "$folder" ] && mkdir "$folder/{name}" || continue
  cat >"$folder/{name}/variables" && echo "$folder/{name}/variables" && exit
done
exit 1
"""


class Connection:
    """A host that ssh reaches."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.host = urlsplit(address).hostname or address

    def words(self, *options: str, script: str) -> list[str]:
        """The command that runs a script of `sh` there, in the home folder."""
        words = ssh_words(self.address, *sharing(), *options)
        if words is None:
            raise HostLacks(
                f"{self.address} is no address of ssh", hint="virtual machines elsewhere need ssh://USER@HOST"
            )
        return [*words, f"sh -c {shlex.quote(f'cd && {script}')}"]

    def run(self, script: str, *, check: bool = True, stdin: bytes | None = None) -> Completed:
        """Run a script there, and return its output.

        Raises:
            HostLacks: ssh does not get there.
            CommandFailed: the script failed, and `check` is true.
        """
        answer = process.run(self.words(script=script), check=False, stdin=stdin)
        if answer.code == UNREACHED:
            raise HostLacks(
                f"ssh does not reach {self.host}",
                evidence=answer.stderr.strip().splitlines()[-5:],
                hint=f"try `{shlex.join([*(ssh_words(self.address) or ()), 'true'])}` until it works",
            )
        if check and answer.code != 0:
            raise process.CommandFailed(answer.argv, answer.code, answer.stderr or answer.stdout)
        return answer

    def feed(self, script: str, write: Callable[[IO[bytes]], None]) -> None:
        """Run a script there whose standard input `write` writes.

        Raises:
            CommandFailed: it failed.
        """
        process.feed(self.words(script=script), write)

    def leave(self, variables: Mapping[str, str]) -> str:
        """Leave variables there, in memory; the path of their file, which the next verb removes."""
        folders = f"{runtime.MEMORY} {runtime.SOCKETS}"
        script = LEAVE.format(folders=folders, name=f"{runtime.TEMPORARY}{secrets.token_hex(4)}")
        return self.run(script, stdin=json.dumps(dict(variables)).encode()).stdout.strip()
