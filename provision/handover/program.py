"""provision on another host: this very program, copied with all that it needs.

Where that host's Python is another one, or its processor, compiled modules of this host do not run there.
Then the host must have provision of this version itself.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING

from provision import __version__, memo, process, resources
from provision.errors import HostLacks
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provision.handover.connection import Connection
    from provision.progress import Progress

FOLDER = ".cache/provision/programs"  # in the home folder there
PACKAGE = Path(__file__).parent.parent
DATA = ("schemas", "templates")  # in the package, or beside it in a checkout
NO_PYTHON = "there is no python3"
KEPT = 30  # days that a version stays there which nobody uses
# One question: which Python and host it is, whether it has this program, and the mark of a copy.
ASK = """\
command -v python3 >/dev/null || {{ echo {no_python} >&2; exit 3; }}
touch -c {program} 2>/dev/null
exec python3 -c {question} {program} {mark}
"""
QUESTION = """\
import json, os, sys, sysconfig
def of(read, path):
    try: return read(path)
    except OSError: return ""
def text(path):
    with open(path) as file: return file.read().strip()
print(json.dumps({"abi": sysconfig.get_config_var("SOABI"), "has": os.path.isdir(sys.argv[1]),
    "boot": of(text, "/proc/sys/kernel/random/boot_id") + of(os.readlink, "/proc/self/ns/net"),
    "mark": of(text, sys.argv[2])}))
"""
RECEIVE = """\
set -e
umask 077
mkdir -p {folder}
find {folder} -mindepth 1 -maxdepth 1 -mtime +{kept} -exec rm -rf {{}} +
new=$(mktemp -d {folder}/.new-XXXXXXXX)
trap 'rm -rf "$new"' EXIT
python3 -m venv --without-pip "$new/venv"
tar -xzf - -C "$new"/venv/lib/python3*/site-packages
mv -T "$new/venv" {program} 2>/dev/null || [ -d {program} ]
"""


@dataclass(frozen=True, kw_only=True)
class Program:
    """How provision is run on another host.

    Args:
        path: words for `sh`, which begin the command.
        is_this_host: its network is this one's: ports are here already.
        mark: of the copy of the project there; empty if there is none.
    """

    path: str
    is_this_host: bool
    mark: str

    def command(self, words: Sequence[str]) -> str:
        """The words for `sh` that run a verb."""
        return f"{self.path} {shlex.join(words)}"


def prepare(connection: Connection, progress: Progress, *, mark_file: str) -> Program:
    """Have provision on another host; it is copied where that is needed.

    Args:
        connection: to the host.
        progress: told of a copy.
        mark_file: where the mark of the project's copy is, below the home folder there.

    Raises:
        HostLacks: it has no Python, or another one and no provision of this version.
    """
    program = f"{FOLDER}/{_version()}"
    output = connection.run(
        ASK.format(
            no_python=shlex.quote(NO_PYTHON), program=program, question=shlex.quote(QUESTION),
            mark=shlex.quote(mark_file),
        ),
        check=False,
    )  # fmt: skip
    if output.code != 0:
        lacking = NO_PYTHON in output.stderr
        raise HostLacks(
            f"{connection.host} has no Python 3" if lacking else f"{connection.host} does not run Python",
            evidence=() if lacking else output.stderr.strip().splitlines()[-5:],
            hint="install it there: apt-get install python3-venv",
        )
    host = json.loads(output.stdout)
    if host["abi"] == sysconfig.get_config_var("SOABI"):
        path = f'"$HOME"/{program}/bin/python -P -m provision'
        if not host["has"]:
            with progress.step(f"copying provision to {connection.host}"):
                _send(connection, program)
    else:
        path = "provision"
        _require_same(connection, str(host["abi"]))
    return Program(path=path, is_this_host=host["boot"] == _boot() != "", mark=str(host["mark"]))


def _require_same(connection: Connection, abi: str) -> None:
    """Raise HostLacks unless the host has provision of this version."""
    output = connection.run("provision --version", check=False)
    if output.code != 0 or output.stdout.split()[-1:] != [__version__]:
        raise HostLacks(
            f"{connection.host} has another Python ({abi}) than this host"
            f" ({sysconfig.get_config_var('SOABI')}), and no provision {__version__}",
            evidence=(output.stdout or output.stderr).strip().splitlines()[-3:],
            hint=f"install it there, for its user's PATH: pipx install provision=={__version__}",
        )


def _boot() -> str:
    if platform.system() != "Linux":
        return ""
    boot, network = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/net")
    return f"{boot.read_text().strip()}{network.readlink()}"


def _version() -> str:
    """What tells this program from every other: its files, and the versions of what it needs."""
    state = hashlib.sha256(sys.version.encode())
    folders = (PACKAGE, *(resources.folder(name) for name in DATA))
    packages = (Path(entry) for entry in sys.path if entry.endswith("site-packages"))
    for line in (
        *(line for folder in folders for line in memo.state_of(folder)),
        *sorted(path.name for folder in packages for path in folder.iterdir()),
    ):
        state.update(f"{line}\n".encode())
    return f"{__version__}-{state.hexdigest()[:12]}"


def _send(connection: Connection, program: str) -> None:
    import gzip
    import tarfile

    def write(stream: IO[bytes]) -> None:
        with (
            gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1) as packed,
            tarfile.open(fileobj=packed, mode="w|") as tar,
        ):
            for name, path in _files():
                tar.add(path, name, recursive=False)

    try:
        connection.feed(RECEIVE.format(folder=FOLDER, program=program, kept=KEPT), write)
    except process.CommandFailed as error:
        raise HostLacks(
            f"provision cannot be copied to {connection.host}",
            evidence=error.evidence,
            hint="it needs Python with venv there: apt-get install python3-venv",
        ) from error


def _files() -> Iterator[tuple[str, Path]]:
    """The files of provision and of what it needs: the name of each in a folder of packages, and its path."""
    data = {f"provision/{name}": resources.folder(name) for name in DATA}
    outside = {name: folder for name, folder in data.items() if not folder.is_relative_to(PACKAGE)}
    for name, folder in {"provision": PACKAGE, **outside}.items():
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{name}/{path.relative_to(folder)}", path
    for distribution in _needed("provision", {}).values():
        own = distribution.metadata["Name"] == "provision"
        for file in distribution.files or ():
            wanted = ".dist-info" in file.parts[0] if own else file.parts[0] != ".."
            if wanted and "__pycache__" not in file.parts:
                yield str(file), Path(str(file.locate()))


def _needed(name: str, known: dict[str, metadata.Distribution]) -> dict[str, metadata.Distribution]:
    from packaging.requirements import Requirement

    distribution = metadata.distribution(name)
    if distribution.metadata["Name"] not in known:
        known[distribution.metadata["Name"]] = distribution
        for text in distribution.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                _needed(requirement.name, known)
    return known
