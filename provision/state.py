"""The state of environments on this host: a folder for each, with one for each backend in it."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from provision import log, records, runtime
from provision.errors import HostLacks, UsageError
from provision.hints import command
from provision.lock import hold
from provision.model import ID_DIGITS, identify
from provision.quick_dataclasses import dataclass
from provision.records import DamagedRecord, Record
from provision.resources import state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provision.model import Environment
    from provision.progress import Progress

ENVIRONMENTS = "environments"
RECORD = "environment"
INVENTORIES = "inventories"
STATE_FOLDERS = "states"
FSTAB = Path("/etc/fstab")
MACHINE_ID = Path("/etc/machine-id")
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, kw_only=True)
class EnvironmentRecord:
    """Which environment a state folder belongs to: enough to name it if its project is gone."""

    name: str
    project: str
    spec: str
    created: str
    host: str = ""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who is changing an environment, or was killed while doing so: the lock tells which."""

    process: int
    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class KnownEnvironment:
    """An environment that has a folder here; what its record says, where that can be read."""

    name: str
    id: str
    folder: Path
    record: EnvironmentRecord | None

    def state_dir(self, backend: str) -> StateDir:
        """Its state in one backend."""
        return StateDir(
            folder=self.folder / backend,
            name=self.name,
            id=self.id,
            project=Path(self.record.project) if self.record else None,
            spec=Path(self.record.spec) if self.record else None,
            host=self.record.host if self.record else "",
        )

    @property
    def backends(self) -> tuple[str, ...]:
        """Those in which it has a state."""
        return tuple(sorted(path.name for path in self.folder.iterdir() if path.is_dir()))


@dataclass(frozen=True, kw_only=True)
class StateDir:
    """The folder with one environment's state in one backend."""

    folder: Path
    name: str
    id: str
    project: Path | None = None
    spec: Path | None = None
    host: str = ""

    @classmethod
    def of(cls, project: Path, name: str, backend: str, spec: Path | None = None, host: str = "") -> StateDir:
        """Where the environment `name` of a project keeps its state; makes nothing.

        `host` is as `on_host` makes it, where its machines are not on this host.
        """
        identity = identify(project, name, host)
        folder = environments() / f"{name}-{identity}" / backend
        return cls(folder=folder, name=name, id=identity, project=project, spec=spec, host=host)

    @property
    def address(self) -> str:
        """The address of the other host where its machines are; empty for this one."""
        return address_of(self.host)

    @property
    def unique_name(self) -> str:
        """What its environment is called in an engine."""
        return f"{self.name}-{self.id}"

    @property
    def rendering(self) -> Path:
        """The rendering on disk."""
        return self.folder / "rendering"

    @property
    def log(self) -> Path:
        """What the engine said during the last change."""
        return self.folder / "log.txt"

    def siblings(self) -> tuple[StateDir, ...]:
        """The same environment's state in other backends, and that of its namesakes in other folders."""
        return tuple(
            sibling
            for known in known_environments()
            if known.name == self.name
            for backend in known.backends
            if (sibling := known.state_dir(backend)).folder != self.folder
        )

    def make(self) -> None:
        """Make the folder, and note whose it is.

        Raises:
            HostLacks: it cannot be written.
        """
        try:
            state().mkdir(mode=0o700, parents=True, exist_ok=True)
            runtime.private(environments())
            _note_state_folder()
            with self._shared_folder():
                runtime.private(self.folder.parent)
                runtime.private(self.folder)
                self._note_environment()
        except OSError as error:
            raise HostLacks(
                f"the state of {self.name} cannot be written to {self.folder}: {error.strerror}",
                hint="make room there, or set PROVISION_STATE_DIR to a folder of your own",
            ) from error

    def _note_environment(self) -> None:
        path = _record_of(self.folder.parent)
        try:
            former = records.load(path, EnvironmentRecord)
        except DamagedRecord:
            former = None
        if self.project is None or self.spec is None:
            return
        record = EnvironmentRecord(
            name=self.name,
            project=str(self.project),
            spec=str(self.spec),
            created=former.created if former else datetime.now(UTC).isoformat(timespec="seconds"),
            host=self.host,
        )
        if record != former:
            records.save(path, record)

    @contextmanager
    def lock(self, progress: Progress) -> Iterator[None]:
        """Hold the environment: one change at a time. Whoever changes it now is waited for.

        What there is to do is to be decided after this: the other one has changed it. Nothing
        is written where its state lies.
        """
        own = runtime.sockets() / f"{self.unique_name}-{self.folder.name}"
        record = own.with_name(f"{own.name}.json")

        def holder() -> str:
            with suppress(DamagedRecord):
                if found := records.load(record, Holder):
                    return f"`provision {' '.join(found.words)}` (process {found.process})"
            return "another provision"

        with hold(own.with_name(f"{own.name}.lock"), progress, holder=holder):
            with suppress(OSError):  # it is only told to others
                records.save(record, Holder(process=os.getpid(), words=tuple(sys.argv[1:])))
            try:
                with self._logged_commands():
                    yield
            finally:
                record.unlink(missing_ok=True)

    @contextmanager
    def _logged_commands(self) -> Iterator[None]:
        """Have each command of this change in the log, among what the engine says."""
        from provision.log_listener import listening

        def append(line: str) -> None:
            if self.log.exists():
                with suppress(OSError), self.log.open("a", encoding="utf-8") as file:
                    file.write(f"{line}\n")

        with listening(log.COMMANDS, append):
            yield

    def load(self, what: str, kind: type[R]) -> R | None:
        """The record under a name; None if there is none.

        Raises:
            DamagedRecord: it cannot be read; the hint says the way out.
        """
        try:
            return records.load(self.path_of(what), kind)
        except DamagedRecord as error:
            hint = f"{command('down', self.id)} removes what is there and this record; then {command('up')}"
            raise DamagedRecord(error.path, error.reason, hint) from error

    def load_sound(self, what: str, kind: type[R]) -> R | None:
        """Like `load`, for callers that must work with a damaged record: None then."""
        try:
            return self.load(what, kind)
        except DamagedRecord:
            return None

    def save(self, what: str, record: Record) -> None:
        """Remember something after it happened; whole or not at all."""
        self.make()
        records.save(self.path_of(what), record)

    def forget(self, what: str) -> None:
        """Remember no longer; also on a disk that cannot be written."""
        with suppress(OSError):
            self.path_of(what).unlink()

    def forget_damaged(self, kinds: Mapping[str, type[Record]]) -> None:
        """Forget what cannot be read of these, once nothing is there that it could tell of."""
        for what, kind in kinds.items():
            if self.load_sound(what, kind) is None:
                self.forget(what)

    def inventory_of(self, machine: str) -> Path:
        """Where a machine's inventory of when it became ready is kept."""
        return self.folder / INVENTORIES / f"{machine}.json.gz"

    def forget_inventories(self) -> None:
        """Keep none: the machines are gone, or other than they were."""
        from shutil import rmtree

        rmtree(self.folder / INVENTORIES, ignore_errors=True)

    def remove(self) -> None:
        """Remove the folder, and that of the environment where no backend has a state of it any more."""
        from shutil import rmtree

        with self._shared_folder():
            rmtree(self.folder, ignore_errors=True)
            if not any(path.is_dir() for path in self.folder.parent.glob("*")):
                rmtree(self.folder.parent, ignore_errors=True)

    @contextmanager
    def _shared_folder(self) -> Iterator[None]:
        """Hold the environment's folder for a moment: its backends make and remove it side by side."""
        from provision.progress import Silent

        path = runtime.sockets() / f"{self.unique_name}.lock"
        with hold(path, Silent(), holder=lambda: "another provision"):
            yield

    def path_of(self, what: str) -> Path:
        """Where something is remembered."""
        return self.folder / f"{what}.json"


def on_host(address: str) -> str:
    """Another host as environments there are told apart: by its address, and by who they belong to.

    Others use that host too, perhaps with the same user id and from a folder that is called the same.
    Empty where the address is.
    """
    return f"{address}#{person()}" if address else ""


def address_of(host: str) -> str:
    """The address in what `on_host` made."""
    return host.rpartition("#")[0]


def person() -> str:
    """This user of this host, in a few characters that no other one has."""
    machine = platform.node()
    with suppress(OSError):
        machine = MACHINE_ID.read_text().strip() or machine
    return hashlib.sha256(f"{machine}\0{os.getuid()}".encode()).hexdigest()[:ID_DIGITS]


def environments() -> Path:
    """The folder that has one for each environment."""
    return state() / ENVIRONMENTS


def known_environments(within: Path | None = None) -> tuple[KnownEnvironment, ...]:
    """All that have a folder in this state folder, or in another one, by name."""
    refs = []
    for folder in sorted((within / ENVIRONMENTS if within else environments()).glob("*-*")):
        name, _, identity = folder.name.rpartition("-")
        if not folder.is_dir() or not name or len(identity) != ID_DIGITS:
            continue
        try:
            record = records.load(_record_of(folder), EnvironmentRecord)
        except DamagedRecord:
            record = None
        refs.append(KnownEnvironment(name=name, id=identity, folder=folder, record=record))
    return tuple(refs)


def _note_state_folder() -> None:
    """Let commands with another PROVISION_STATE_DIR know of this one: they share engines and caches."""
    with suppress(OSError):
        noted = runtime.private(runtime.sockets() / STATE_FOLDERS)
        path = noted / hashlib.sha256(str(state()).encode()).hexdigest()[:16]
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(str(state()))
        beside.replace(path)


def state_folders() -> tuple[Path, ...]:
    """This state folder, and the others that this user's environments have used since the host booted."""
    found = [state()]
    for noted in sorted((runtime.sockets() / STATE_FOLDERS).glob("*")):
        with suppress(OSError):
            found.append(Path(noted.read_text()))
    return tuple(dict.fromkeys(each for each in found if each.is_dir()))


def is_gone(folder: Path) -> bool:
    """Whether a folder was removed; not if it cannot be seen now, or is on a disk that is not mounted."""
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return not any(
            point in folder.parents and not os.path.ismount(point) for point in _mount_points(FSTAB)
        )
    except OSError:
        pass
    return False


def _mount_points(table: Path) -> Iterator[Path]:
    """Where this host is told to mount something, at boot or on demand."""
    with suppress(OSError):
        for line in table.read_text(errors="replace").splitlines():
            words = line.split()
            if len(words) > 1 and words[0][0] != "#" and words[1].startswith("/"):
                yield Path(words[1].replace(r"\040", " "))


def refuse_mounted(environment: Environment) -> None:
    """Raise UsageError if a machine would have what the tool keeps, which the host trusts."""
    from provision.resources import cache

    ours = [Path(os.path.realpath(folder)) for folder in (state(), cache())]
    for machine in environment.machines:
        sources = [mount.source for mount in machine.mounts]
        sources += [machine.workspace.source] if machine.workspace else []
        for source in sources:
            real = Path(os.path.realpath(source))
            for folder in ours:
                if folder.is_relative_to(real) or real.is_relative_to(folder):
                    raise UsageError(
                        f"machine {machine.name} would see {source},"
                        f" which contains provision's own files in {folder}",
                        hint="name a smaller folder, or set PROVISION_STATE_DIR and XDG_CACHE_HOME"
                        " to folders outside it",
                    )


def _record_of(folder: Path) -> Path:
    return folder / f"{RECORD}.json"
