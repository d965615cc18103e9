"""Disks made of images: built inside the engine's builder, kept once by content, used by overlays."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provision import process
from provision.backends.building import build_failed, printed
from provision.backends.found import refuse_found
from provision.backends.vm.qemu.rendering import GUEST
from provision.errors import EnvironmentFailed
from provision.recipe.proxy import proxy_variables
from provision.rendering import digest_of
from provision.resources import cache

if TYPE_CHECKING:
    from provision.model import Base, Machine, Secret
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.workspace import Place

INSTEAD = "`backends: {vm: {build: provision}}` does without: the machine takes its steps itself"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
MADE_OF = ("Dockerfile", f"{GUEST}/", "steps/", "files/", "repositories/", "machine/")


@dataclass(frozen=True, kw_only=True)
class Made:
    """A disk of the cache, with its kernel beside it; `name` is the hash of its content."""

    folder: Path

    @property
    def name(self) -> str:
        """By which it is known."""
        return self.folder.name

    @property
    def is_there(self) -> bool:
        """Whether it has not been removed."""
        return (self.folder / "disk.qcow2").exists()

    def claim(self, overlay: Path) -> None:
        """Note that an overlay lies on it."""
        users = self.folder / "users"
        users.mkdir(exist_ok=True)
        (users / hashlib.sha256(str(overlay).encode()).hexdigest()[:16]).write_text(str(overlay))

    def release(self) -> None:
        """Remove it, unless an overlay that is there lies on it."""
        users = self.folder / "users"
        for user in users.glob("*") if users.is_dir() else ():
            if Path(user.read_text()).exists():
                return
        shutil.rmtree(self.folder, ignore_errors=True)


def folder() -> Path:
    """Where they are kept."""
    return cache() / "disks"


def known(name: str) -> Made:
    """The disk of that name, whether it is there or not."""
    return Made(folder=folder() / name)


def engine_architecture() -> str | None:
    """What the Docker engine builds for; None where no engine answers, or it has no buildx."""
    if process.find("docker") is None:
        return None
    asked = process.run(["docker", "version", "--format", "{{.Server.Arch}}"], check=False)
    if asked.code != 0 or process.run(["docker", "buildx", "version"], check=False).code != 0:
        return None
    return asked.stdout.strip()


def why_not(machine: Machine, architecture: str | None) -> str:
    """Why no disk can be made of the machine's image here; nothing where one can."""
    host = ARCHITECTURES.get(platform.machine(), platform.machine())
    if architecture is None:
        return "no Docker engine with buildx answers"
    if architecture != host:
        return f"the Docker engine builds for {architecture}, and this host is {host}"
    if machine.base.family != "apt":
        return f"{machine.base.name} has no apt: which package holds its kernel is not known"
    return ""


def ensure(
    machine: Machine,
    place: Place,
    rendering: Rendering,
    progress: Progress,
    *,
    rebuild: bool,
) -> Made:
    """Have the disk of a machine's image: the one of an earlier call, or one built now.

    Whoever builds the same at the same time is waited for.

    Raises:
        EnvironmentFailed: a step failed, or the disk is full; nothing half-made is left.
        HostLacks: the base's image cannot be had.
    """
    from filelock import FileLock

    from provision.bases.image import ensure_image

    ensure_image(machine.base, progress)
    recipe = _recipe(machine, rendering)
    recipes = folder() / "recipes"
    recipes.mkdir(parents=True, exist_ok=True)
    with FileLock(recipes / f"{recipe}.lock"):
        made = _made_of(recipes / recipe)
        if made is None or rebuild:
            half = folder() / f"{recipe}.part"
            shutil.rmtree(half, ignore_errors=True)  # of one that was interrupted
            try:
                _build(machine, half, place, progress, rebuild=rebuild)
                made = _keep(half)
                _forget_layers()
            except OSError as error:
                raise EnvironmentFailed(
                    f"the disk of machine {machine.name} cannot be kept in {folder()}: {error.strerror}",
                    hint="make room there, or set XDG_CACHE_HOME to where there is some",
                ) from error
            finally:
                shutil.rmtree(half, ignore_errors=True)
            (recipes / recipe).write_text(made.name)
    return made


def base_is_here(machine: Machine) -> bool:
    """Whether the engine has the image of a machine's base."""
    asked = process.run(
        ["docker", "image", "inspect", "--format", "{{.Id}}", machine.base.image], check=False
    )
    return asked.code == 0


def is_made(machine: Machine, rendering: Rendering) -> bool:
    """Whether the disk of a machine's image is in the cache."""
    if not base_is_here(machine):
        return False
    return _made_of(folder() / "recipes" / _recipe(machine, rendering)) is not None


def _recipe(machine: Machine, rendering: Rendering) -> str:
    """The hash of all that the disk is made of: equal machines of two environments share it."""
    prefix = f"{machine.name}/"
    files = {
        path.removeprefix(prefix): file
        for path, file in rendering.files.items()
        if path.startswith(prefix) and path.removeprefix(prefix).startswith(MADE_OF)
    }
    return hashlib.sha256(f"{_image_id(machine.base)}\0{digest_of(files)}".encode()).hexdigest()[:32]


def _image_id(base: Base) -> str:
    return process.run(["docker", "image", "inspect", "--format", "{{.Id}}", base.image]).stdout.strip()


def _made_of(record: Path) -> Made | None:
    try:
        made = known(record.read_text())
    except OSError:
        return None
    return made if made.is_there else None


def _build(machine: Machine, out: Path, place: Place, progress: Progress, *, rebuild: bool) -> None:
    with progress.step("building the disk"), place.log.open("a", buffering=1) as log:

        def each_line(line: str) -> None:
            log.write(line + "\n")
            progress.line(line)

        words = ["docker", "buildx", "build", "--progress", "plain", *(["--no-cache"] if rebuild else [])]
        words += [word for secret in machine.secrets for word in ("--secret", _source(secret))]
        proxy = proxy_variables(machine)  # as variables, for its URL may hold a password
        words += [word for name in proxy for word in ("--build-arg", name)]
        if machine.proxy and machine.proxy.ca_file:
            words += ["--secret", f"id=proxy.ca,src={machine.proxy.ca_file}"]
        context = str(place.rendering / machine.name)
        try:
            process.stream([*words, "--output", f"type=local,dest={out}", context], each_line, env=proxy)
        except process.CommandFailed as error:
            refuse_found(place.log.read_text().splitlines(), [machine])
            raise _failed(error, place) from error


def _forget_layers() -> None:
    """Remove the builder's own copies of disks, twice their size: they are kept here, and not built again."""
    listed = process.run(["docker", "buildx", "du", "--verbose"], check=False).stdout
    for record in listed.split("\n\n"):
        found = re.match(r"ID:\s+(\w+)", record)
        if found and (f"/{GUEST}/disk.sh" in record or "COPY --from=disk /disk/" in record):
            words = ["docker", "buildx", "prune", "--force", "--filter", f"id={found[1]}"]
            process.run(words, check=False)


def _source(secret: Secret) -> str:
    """Where the builder reads a secret that a step names."""
    where = f"src={secret.file}" if secret.file else f"env={secret.variable}"
    return f"id={secret.name},{where}"


def _failed(error: process.CommandFailed, place: Place) -> EnvironmentFailed:
    said = "\n".join(error.evidence)
    if "no space left" in said.lower() or "exporting to client directory" in said:
        free = shutil.disk_usage(folder()).free >> 20
        return EnvironmentFailed(
            "the disk could not be written",
            evidence=error.evidence[-1:],
            hint=f"{free} MiB are free in {folder()}, and Docker needs room too (`docker system prune`)",
        )
    if re.search(rf'process "[^"]*/{GUEST}/', said):
        return EnvironmentFailed(
            "the image could not be made into a disk",
            evidence=printed(place.log.read_text().splitlines()) or error.evidence,
            hint=f"{INSTEAD}; all of it: {place.log}",
        )
    return build_failed(error, place)


def _keep(half: Path) -> Made:
    """Put a disk where its content's hash says; an equal one that is there already stays."""
    with (half / "disk.qcow2").open("rb") as file:
        name = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    made = known(name)
    if not made.folder.exists():
        half.chmod(0o755)
        half.rename(made.folder)
    return made
