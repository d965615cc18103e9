"""What of a changed machine can be applied to it while it runs, so that it is the same as a new one.

That is what is only read when a service starts, or when setup runs: how a service is started,
its probe, files of the spec, steps that setup runs after all others. All else makes a machine
anew: what a build step would do differently on a machine that is there, nobody can know.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from dataclasses import field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from provision import guest_paths
from provision.errors import EnvironmentFailed
from provision.hints import command
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from provision.model import File, Machine
    from provision.progress import Progress
    from provision.rendering import RenderedFile
    from provision.state import StateDir
    from provision.target import Target

RECORD = "parts"
WITHIN = 120.0  # seconds, for a machine under emulation that is busy
CHANGING = "changing"  # what a machine was made as while a change is applied to it
OUTSIDE = "*"  # the part that stands for all that is no file of the machine's: ports, mounts, memory
_SERVICE = re.compile(r"machine/services/([^/]+)/(run|script|ready|ready\.script|timeout)")
_SETUP = re.compile(r"machine/setup\.d/(\d+)-([^/]+?)(\.sh)?")
_READ_ANYWAY = ("machine/healthy", "machine/wait")  # at each call, and they follow from the probes
# A build step's hash covers those before it, so it says nothing about the step itself. It is in a
# folder's name, and for a builder that looks at no mounted file, in the Dockerfile.
_HASH = re.compile(rf"({guest_paths.STEPS}/|\.sh # |type=cache,id=[\w.-]*?)[0-9a-f]{{32}}\b".encode())
# What is read at a boot, at a login or by the system: a new machine would have begun with it.
_READ_AT_BOOT = (
    "boot", "etc/default", "etc/environment", "etc/environment.d", "etc/fstab", "etc/group",
    "etc/init.d", "etc/ld.so.conf", "etc/ld.so.conf.d", "etc/modprobe.d", "etc/modules",
    "etc/modules-load.d", "etc/netplan", "etc/network", "etc/pam.d", "etc/passwd", "etc/rc.local",
    "etc/security", "etc/shadow", "etc/ssh", "etc/sysctl.conf", "etc/sysctl.d", "etc/systemd",
    "etc/tmpfiles.d", "etc/udev", "lib", "usr/lib", "usr/local/lib/systemd", "usr/share",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PartsRecord:
    """What each machine is made of, by its name."""

    machines: Mapping[str, MachineParts]


@dataclass(frozen=True, kw_only=True)
class MachineParts:
    """What a machine is made of: a hash for each part, by path; `instance` and `made` tell which it is.

    `instance` is the engine's own word for the machine, which a new one does not share; `made`
    the hash of the whole. While a change is applied `made` is CHANGING, and `pending` are the
    parts that it is to be made of then: whoever is killed meanwhile leaves some of both.
    """

    instance: str
    made: str
    parts: Mapping[str, str]
    pending: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What to apply to a running machine.

    Args:
        services: those to restart, by name.
        setup: whether setup has to run again, for steps that it has not done.
        put: the machine's parts to write, by path.
        remove: those to remove.
    """

    services: tuple[str, ...]
    setup: bool
    put: tuple[str, ...]
    remove: tuple[str, ...]


def parts_of(files: Mapping[str, RenderedFile], outside: str) -> Mapping[str, str]:
    """The hash of each file that a machine is made of, by its path; `outside` covers all else. Pure."""
    found = {path: _hash(file) for path, file in files.items()}
    return {**found, OUTSIDE: outside}


def _hash(file: RenderedFile) -> str:
    content = _HASH.sub(rb"\1", file.content)
    return hashlib.sha256(b"%d\0%s" % (file.executable, content)).hexdigest()[:16]


def former_parts(made: MachineParts, now: Mapping[str, str]) -> Mapping[str, str]:
    """What to compare `now` with: after a killed change some parts may be either, so they differ. Pure."""
    if made.made != CHANGING:
        return made.parts
    unsure = {
        path
        for path in (*made.parts, *made.pending)
        if made.parts.get(path) != made.pending.get(path) and now.get(path) != made.pending.get(path)
    }
    return {**made.parts, **dict.fromkeys(sorted(unsure), CHANGING)}


def changes(machine: Machine, former: Mapping[str, str], now: Mapping[str, str]) -> Changes | None:
    """What to apply to a machine so that it is what a new one would be; None if that cannot be known. Pure.

    Args:
        machine: what it is to be.
        former: the parts that it is made of.
        now: those of the machine that it is to be.
    """
    put = tuple(path for path in now if now[path] != former.get(path))
    gone = tuple(path for path in former if path not in now)
    services: list[str] = []
    setup = False
    for path in (*put, *gone):
        if match := _SERVICE.fullmatch(path):
            service, part = match[1], match[2]
            if all(each.name != service for each in machine.services):
                return None
            services += [service] if part in ("run", "script") else []
        elif _SETUP.fullmatch(path):
            if path in gone or not _may_run(machine, path, former):
                return None
            setup = True
        elif path.startswith("files/"):
            if path in gone or path not in former or not _may_replace(machine, path.removeprefix("files/")):
                return None
            services += [each.name for each in machine.services]
        elif path not in _READ_ANYWAY:
            return None
    names = [each.name for each in machine.services if each.name in services]
    return Changes(services=tuple(names), setup=setup, put=put, remove=gone)


def _may_run(machine: Machine, path: str, former: Mapping[str, str]) -> bool:
    """Whether a step of setup is one to run on a machine as it is.

    One that runs at every `up` is; another only if it comes after all that the machine has done.
    """
    match = _SETUP.fullmatch(path)
    assert match is not None  # noqa: S101 - the caller has matched it
    step = next((each for each in machine.setup if each.name == match[2]), None)
    if step is None:
        return False
    known = {int(found[1]) for each in former if (found := _SETUP.fullmatch(each))}
    if path in former:
        return step.every == "up"
    return bool(known) and int(match[1]) > max(known)


def _may_replace(machine: Machine, path: str) -> bool:
    """Whether only services read a file: no later build step, no setup, no boot; and nothing hides it."""
    if any(not step.before_packages for step in machine.run):
        return False
    if any(step.every == "create" for step in machine.setup):
        return False
    inside = PurePosixPath(f"/{path}")
    over = [volume.path for volume in machine.volumes] + [mount.path for mount in machine.mounts]
    over += [machine.workspace.path] if machine.workspace else []
    if any(inside.is_relative_to(each) for each in (*over, "/run", "/tmp", "/var")):  # noqa: S108
        return False
    return not any(inside.is_relative_to(f"/{each}") for each in _READ_AT_BOOT)


def script(machine: Machine, found: Changes, files: Mapping[str, RenderedFile]) -> str:
    """Text for `sh`, run by root in the machine: writes the parts, each whole or not at all. Pure.

    Its last act is to leave the records of build steps that a new machine would have.

    Args:
        machine: what the machine is to be.
        found: what to apply.
        files: all that it is made of, by the same paths.
    """
    lines = ["set -eu", "umask 022"]
    owners = _owners(machine)
    for path in found.put:
        where, mode, owner = _place(path, files[path], owners)
        text = base64.encodebytes(files[path].content).decode()
        new = shlex.quote(f"{where}.provision-new")
        lines += [f"mkdir -p {shlex.quote(str(PurePosixPath(where).parent))}"]
        lines += [f"base64 -d >{new} <<'END'", f"{text}END"]
        lines += [f"chown {owner} {new}"] if owner else []
        lines += [f"chmod {mode:04o} {new}", f"mv -f {new} {shlex.quote(where)}"]
    for path in found.remove:
        lines.append(f"rm -f {shlex.quote(_place(path, None, owners)[0])}")
    return "\n".join([*lines, *_records(files), ""])


def apply(
    target: Target,
    machine: Machine,
    found: Changes,
    files: Mapping[str, RenderedFile],
    progress: Progress,
) -> None:
    """Write the changed parts into a running machine; services and setup are the caller's.

    Raises:
        EnvironmentFailed: something could not be written.
    """
    with progress.step(f"changing {machine.name} in place"):
        output = target.run(script(machine, found, files), user="root", timeout=WITHIN)
    if output.code != 0:
        raise EnvironmentFailed(
            f"machine {machine.name} could not be changed in place",
            evidence=output.stderr.decode("utf-8", "replace").splitlines()[-10:],
            hint=f"{command('up', '--rebuild')} creates it anew",
        )


def _place(
    path: str, file: RenderedFile | None, owners: Mapping[str, tuple[int | None, str]]
) -> tuple[str, int, str]:
    """Where a part is in the machine, its mode, and its owner as words of `chown`; empty for root's."""
    executable = file is not None and file.executable
    kind, _, rest = path.partition("/")
    if kind == "machine":
        return f"{guest_paths.HOME}/{rest}", 0o755 if executable else 0o644, ""
    mode, owner = owners[rest]
    return f"/{rest}", mode if mode is not None else 0o755 if executable else 0o644, owner


def _owners(machine: Machine) -> Mapping[str, tuple[int | None, str]]:
    """Mode and owner of each file that the spec brings, by its path without the first slash."""
    found: dict[str, tuple[int | None, str]] = {}
    for file in machine.files:
        for relative, _, _ in file.tree:
            found[f"{file.path}/{relative}".lstrip("/")] = (file.mode, _owner(file))
    for file in machine.files:
        if file.kind == "content":
            found[file.path.lstrip("/")] = (file.mode if file.mode is not None else 0o644, _owner(file))
    return found


def _owner(file: File) -> str:
    user = shlex.quote(file.owner)
    group = f'"$(id -g {user})"' if file.group is None else shlex.quote(file.group)
    return f"{user}:{group}"


def _records(files: Mapping[str, RenderedFile]) -> Iterable[str]:
    """Lines that leave the records of these build steps, and of no others."""
    names = {}
    for path, file in files.items():
        record = re.search(rb"^_record=(\S+)$", file.content, re.MULTILINE)
        if path.startswith("steps/") and record:
            names[PurePosixPath(record[1].decode()).name] = path.partition("-")[2].removesuffix(".sh")
    if not names:
        return
    yield f"cd {guest_paths.STEPS}"
    yield f'for record in *; do case $record in {"|".join(names)}) ;; *) rm -f "$record" ;; esac; done'
    for digest, name in names.items():
        yield f"[ -e {digest} ] || echo {shlex.quote(name)} >{digest}"


def noted(state_dir: StateDir) -> Mapping[str, MachineParts]:
    """What the machines were made of, by name; of a damaged record, nothing."""
    record = state_dir.load_sound(RECORD, PartsRecord)
    return record.machines if record else {}


def begin(state_dir: StateDir, machine: str, now: Mapping[str, str]) -> None:
    """Note that a machine is about to be changed so that it is made of the parts `now`."""
    known = noted(state_dir)
    if (made := known.get(machine)) is not None:
        # What an earlier change may have left is unsure still.
        parts = former_parts(made, now)
        note(state_dir, {**known, machine: replace(made, made=CHANGING, parts=parts, pending=now)})


def note(state_dir: StateDir, machines: Mapping[str, MachineParts]) -> None:
    """Remember what the machines are made of."""
    if machines != noted(state_dir):
        state_dir.save(RECORD, PartsRecord(machines=machines))
