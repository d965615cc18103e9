"""What is made of a machine's image: built inside the engine's builder, kept once by content."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from provision import process
from provision.backends.vm.architecture import architecture
from provision.backends.vm.image.dockerfile import GUEST
from provision.backends.vm.options import options_of
from provision.docker_client import commands, queries
from provision.errors import EnvironmentFailed, HostLacks, ProvisionError
from provision.lock import Held, exclusive
from provision.quick_dataclasses import dataclass
from provision.recipe.proxy import proxy_variables
from provision.rendering import digest_of
from provision.resources import cache
from provision.runtime import TEMPORARY
from provision.secrets import value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from provision.model import Base, Machine, Secret
    from provision.progress import Progress
    from provision.rendering import RenderedFile, Rendering
    from provision.state import StateDir

SAVED = ".kept"  # what the file of a machine's saved state ends with
MEMORY = "/dev/shm"  # noqa: S108 - a folder of our own in it
BuildStrategy = Literal["image", "provision"]
INSTEAD = "`backends: {vm: {build: provision}}` avoids this: the machine then runs its build steps itself"
MADE_OF = ("Dockerfile", f"{GUEST}/", "steps/", "files/", "repositories/", "lock/", "machine/")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A folder of the cache with what was made; its `name` is the hash of its content."""

    folder: Path

    @property
    def name(self) -> str:
        """By which it is known."""
        return self.folder.name

    @property
    def exists(self) -> bool:
        """Whether it has not been removed."""
        return self.folder.exists()

    def claim(self, user: Path) -> None:
        """Note that it is needed as long as a file is there."""
        claim = self._claim_of(user)
        claim.parent.mkdir(exist_ok=True)
        claim.write_text(str(user))

    def release(self, user: Path) -> bool:
        """Remove it, unless others than `user` need it; whether it was there, and is removed."""
        self._claim_of(user).unlink(missing_ok=True)
        if self.claimed:
            return False
        going = self.folder.with_name(f"{self.name}.gone")
        try:
            self.folder.rename(going)  # at once: half of it would be taken for all
        except FileNotFoundError:
            return False
        shutil.rmtree(going, ignore_errors=True)
        return True

    @property
    def claimed(self) -> bool:
        """Whether a machine is there that needs it, or a state that is saved of one."""
        for claim in (self.folder / "users").glob("*"):
            user = claim.read_text()
            if Path(user).exists() or Path(f"{user}{SAVED}").exists():
                return True
        return False

    def _claim_of(self, user: Path) -> Path:
        return self.folder / "users" / hashlib.sha256(str(user).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class ArtifactStore:
    """What is made of images and kept in a folder of the cache.

    `kind` is the word for one; by the content of `file` it is known.
    """

    kind: str
    within: str
    file: str

    @property
    def folder(self) -> Path:
        """Where they are kept."""
        return cache() / self.within

    def get(self, name: str) -> Artifact:
        """The one of that name, whether it is there or not."""
        return Artifact(folder=self.folder / name)

    def find(self, machine: Machine, rendering: Rendering) -> Artifact | None:
        """The one that is made of a machine's image, if it is there: built here, else pulled."""
        built = None
        if base_is_here(machine):
            built = self._recorded(self.folder / "recipes" / _recipe(machine, rendering))
        return built or self.find_pulled(machine, rendering)

    def find_pulled(self, machine: Machine, rendering: Rendering) -> Artifact | None:
        """The one that came from a registry, if it is there, whatever base this host has."""
        return self._recorded(self._shared(self.shared_key(machine, rendering)))

    def shared_key(self, machine: Machine, rendering: Rendering) -> str:
        """The hash by which a registry knows a machine's: of all that is built, but for the base's image."""
        return digest_of(_files(machine, rendering))

    @contextmanager
    def half_of_shared(self, key: str) -> Iterator[Path]:
        """Where one of that key is put together that is pulled: what was pulled of it before is there."""
        record = self._shared(key)
        record.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(record.with_name(f"{record.name}.lock")):
            yield self.folder / f"{record.name}.part"

    def keep_shared(self, key: str, half: Path) -> Artifact:
        """Take what was pulled among the others."""
        made = self._keep(half)
        shutil.rmtree(half, ignore_errors=True)  # where an equal one was there
        self._shared(key).write_text(made.name)
        return made

    def shared(self, key: str) -> Artifact | None:
        """What was built or pulled under a key of a registry."""
        return self._recorded(self._shared(key))

    def newest(self, count: int) -> list[Artifact]:
        """Those that were used last."""
        there = [path for path in self.folder.glob("*") if (path / self.file).is_file()]
        there.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        return [self.get(path.name) for path in there[:count]]

    def _shared(self, key: str) -> Path:
        return self.folder / "recipes" / f"shared-{key}"

    def ensure(
        self,
        machine: Machine,
        state_dir: StateDir,
        rendering: Rendering,
        progress: Progress,
        *,
        rebuild: bool,
        finish: Callable[[Path], None] = lambda _folder: None,
    ) -> Artifact:
        """Have the one of a machine's image: that of an earlier call, or one built now.

        Whoever builds the same at the same time is waited for.

        Args:
            machine: the machine.
            state_dir: its environment's, the rendering lies there.
            rendering: what it is made of.
            progress: sees each line of the builder.
            rebuild: trust nothing that was built before.
            finish: makes of the folder that was built what is to be kept.

        Raises:
            EnvironmentFailed: a step failed, or the disk is full; nothing half-made is left.
            HostLacks: the base's image cannot be had.
        """
        from provision.bases.image import ensure_image

        if not rebuild and (pulled := self.find(machine, rendering)):
            return pulled
        ensure_image(machine.base, progress)
        recipe = _recipe(machine, rendering)
        recipes = self.folder / "recipes"
        recipes.mkdir(parents=True, exist_ok=True)
        with exclusive(recipes / f"{recipe}.lock"):
            made = self._recorded(recipes / recipe)
            if made is None or rebuild:
                half = self.folder / f"{recipe}.part"
                shutil.rmtree(half, ignore_errors=True)  # of one that was interrupted
                try:
                    with progress.step(f"building the {self.kind}"):
                        self._build(machine, half, state_dir, progress, rebuild=rebuild)
                        finish(half)
                    made = self._keep(half)
                    _forget_layers()
                except OSError as error:
                    raise EnvironmentFailed(
                        f"the {self.kind} of machine {machine.name} cannot be stored in {self.folder}:"
                        f" {error.strerror}",
                        hint="free some space there, or set XDG_CACHE_HOME to a disk with space",
                    ) from error
                finally:
                    shutil.rmtree(half, ignore_errors=True)
                (recipes / recipe).write_text(made.name)
        self._shared(self.shared_key(machine, rendering)).unlink(missing_ok=True)  # this one is newer
        return made

    def half_made(self) -> Iterator[Path]:
        """What a build or a removal that was killed has left."""
        yield from self.folder.glob("*.gone")
        for half in self.folder.glob("*.part"):
            recipe = self.folder / "recipes" / f"{half.name.removesuffix('.part')}.lock"
            lock = recipe if recipe.exists() else half.with_suffix(".lock")
            try:
                with exclusive(lock, timeout=0):
                    yield half
            except Held:
                continue  # it is being made

    def _recorded(self, record: Path) -> Artifact | None:
        try:
            made = self.get(record.read_text())
        except OSError:
            return None
        if not made.exists:
            return None
        with suppress(OSError):
            os.utime(made.folder)  # the oldest goes first where caches have a limit
        return made

    def _keep(self, half: Path) -> Artifact:
        """Put it where its content's hash says; an equal one that is there already stays."""
        with (half / self.file).open("rb") as file:
            name = hashlib.file_digest(file, "sha256").hexdigest()[:32]
        made = self.get(name)
        if not made.folder.exists():
            half.chmod(0o700)  # it has all that the machine has
            half.rename(made.folder)
        return made

    def _build(
        self, machine: Machine, out: Path, state_dir: StateDir, progress: Progress, *, rebuild: bool
    ) -> None:
        from tempfile import TemporaryDirectory

        from provision.backends.build_lines import BuildLines

        with (
            state_dir.log.open("a", buffering=1) as log,
            TemporaryDirectory(prefix=TEMPORARY, dir=MEMORY if Path(MEMORY).is_dir() else None) as temporary,
        ):
            private, lines = Path(temporary), BuildLines()

            def each_line(line: str) -> None:
                log.write(line + "\n")
                progress.line(lines.readable(line))
                if done := lines.done(line):
                    progress.note(done)

            words = ["--no-cache"] if rebuild else []
            ours = architecture()
            words += ["--platform", f"linux/{ours.docker}"] if ours else []
            words += [word for secret in machine.secrets for word in ("--secret", _source(secret, private))]
            proxy = proxy_variables(machine)  # as variables, for its URL may hold a password
            words += [word for name in proxy for word in ("--build-arg", name)]
            if machine.proxy and machine.proxy.ca:
                (private / "proxy.ca").write_bytes(machine.proxy.ca)
                words += ["--secret", f"id=proxy.ca,src={private / 'proxy.ca'}"]
            context = str(state_dir.rendering / machine.name)
            # Under their own names, whichever of them `process.environment` withholds.
            of_variables = [secret.variable for secret in machine.secrets if secret.variable]
            named = {**{name: os.environ[name] for name in of_variables}, **proxy}
            try:
                commands.build([*words, "--output", f"type=local,dest={out}", context], each_line, env=named)
            except process.CommandFailed as error:
                if process.was_interrupted(error):
                    raise KeyboardInterrupt from error
                from provision.backends.build_problems import refuse_found

                refuse_found(state_dir.log.read_text().splitlines(), [machine])
                raise self._failed(error, state_dir, machine) from error

    def _failed(
        self, error: process.CommandFailed, state_dir: StateDir, machine: Machine
    ) -> EnvironmentFailed:
        from provision.backends.build_errors import build_failed, printed

        output = "\n".join(error.evidence)
        if "no space left" in output.lower() or "exporting to client directory" in output:
            free = shutil.disk_usage(self.folder).free >> 20
            return EnvironmentFailed(
                f"the {self.kind} could not be written",
                evidence=error.evidence[-1:],
                hint=f"{free} MiB are free in {self.folder}; Docker needs room too: `docker system prune`",
            )
        if re.search(rf'process "[^"]*/{GUEST}/', output):
            return EnvironmentFailed(
                f"the image could not be turned into a {self.kind}",
                evidence=printed(state_dir.log.read_text().splitlines()) or error.evidence,
                hint=f"{INSTEAD}; full log: {state_dir.log}",
            )
        return build_failed(error, state_dir, [machine])


def build_strategy(machine: Machine, why_not: str = "", *, instead: bool) -> tuple[BuildStrategy, str]:
    """How a machine is made: of its image, or else of its base, and the reason for that.

    Args:
        machine: the machine.
        why_not: what is known to be in the way of its image already.
        instead: whether it can be made of its base.

    Raises:
        HostLacks: as it is asked for it cannot be made, or in no way.
    """
    wanted = options_of(machine).build
    if wanted == "provision":
        return "provision", ""
    reason = why_not or _why_not(machine, engine_architecture())
    if not reason:
        return "image", ""
    ours = architecture()
    if wanted is None and instead and (ours is None or ours.is_native):
        return "provision", reason
    raise HostLacks(
        f"machine {machine.name} cannot be built from its image",
        evidence=[reason],
        hint=INSTEAD,
    )


def engine_architecture() -> str | None:
    """What the Docker engine builds for; None where no engine answers, or it has no buildx."""
    version = queries.version()
    try:
        return (
            version.architecture
            if version and queries.features().buildkit and queries.plugin("buildx").code == 0
            else None
        )
    except HostLacks:  # it does not answer
        return None


def base_is_here(machine: Machine) -> bool:
    """Whether the engine has the image of a machine's base."""
    return _image(machine.base) is not None


def _why_not(machine: Machine, engine: str | None) -> str:
    ours = architecture()
    if engine is None:
        return "no Docker engine with buildx answers"
    if ours is None:
        return f"provision has no QEMU machine for {platform.machine()}"
    # An engine that emulates another architecture builds for it; the base's image tells for which.
    base = _image(machine.base) if engine != ours.docker else None
    if engine != ours.docker and (base is None or base.architecture != ours.docker):
        return f"the Docker engine builds for {engine}, but this host's machines are {ours.docker}"
    if machine.base.family != "apt":
        return f"{machine.base.name} has no apt, so provision cannot tell which package is its kernel"
    return ""


def _recipe(machine: Machine, rendering: Rendering) -> str:
    """The hash of all that is built: equal machines of two environments share it."""
    base, files = _image(machine.base), _files(machine, rendering)
    return hashlib.sha256(f"{base.id if base else ''}\0{digest_of(files)}".encode()).hexdigest()[:32]


def _files(machine: Machine, rendering: Rendering) -> Mapping[str, RenderedFile]:
    """What is built, without the machine's name."""
    prefix = f"{machine.name}/"
    return {
        path.removeprefix(prefix): file
        for path, file in rendering.files.items()
        if path.startswith(prefix) and path.removeprefix(prefix).startswith(MADE_OF)
    }


def _image(base: Base) -> queries.Image | None:
    """The image of a base; None if the engine has none, or none answers."""
    try:
        return queries.image(base.image)
    except ProvisionError:
        return None


def _forget_layers() -> None:
    """Remove the builder's own copies of disks, twice their size: they are kept here, and not built again."""
    for record in commands.build_records():
        match = re.match(r"ID:\s+(\w+)", record)
        if match and (f"/{GUEST}/disk.sh" in record or "COPY --from=disk /disk/" in record):
            commands.prune_build_record(match[1])


def _source(secret: Secret, private: Path) -> str:
    """Where the builder reads a secret; a file is copied, because a machine could replace it."""
    if secret.file is None:
        return f"id={secret.name},env={secret.variable}"
    (private / secret.name).write_bytes(value_of(secret))
    return f"id={secret.name},src={private / secret.name}"
