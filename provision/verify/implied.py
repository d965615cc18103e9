"""The checks that a spec implies, so that nobody has to write them."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from provision import guest_paths
from provision.model import Check, Expected
from provision.recipe.accounts import gid_of
from provision.recipe.families import qualified

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provision.model import CheckKind, File, Group, HostEntry, Machine, Origin, Port, Probe, User


SOON = 30.0  # seconds in which a service without a probe begins to listen


def implied(
    machine: Machine, machines: Sequence[Machine], spec: Origin, *, elsewhere: bool = False
) -> tuple[Check, ...]:
    """The checks that follow from the machine's packages, users, files, services and so on.

    `machines` are those of its environment that run: it must know their names; `spec` is the
    place of what the model keeps no place of: names, workspace and variables. A machine `elsewhere`
    has copies of this host's files.
    """
    mounts = _mounts(machine, elsewhere=elsewhere)
    return (*_checks(machine, spec), *mounts, *(_names(machines, spec) if len(machines) > 1 else ()))


def _names(machines: Sequence[Machine], spec: Origin) -> Iterator[Check]:
    """Every name of every machine leads somewhere, its own too."""
    names = dict.fromkeys(name for each in machines for name in each.names)
    words = " ".join(shlex.quote(name) for name in names)
    yield _check(
        "script",
        f'for name in {words}; do getent hosts "$name" >/dev/null || echo "$name is unknown"; done',
        {"stdout": Expected(how="equals", text=""), "user": "root"},
        spec,
        name="names of the machines",
    )


def _mounts(machine: Machine, *, elsewhere: bool) -> Iterator[Check]:
    for mount in machine.mounts:
        options = {"options": ("ro",)} if mount.read_only else {}
        if elsewhere and mount.source.is_file():
            yield _check("file", mount.path, {}, mount.origin)
        else:
            yield _check("mount", mount.path, options, mount.origin)


def _checks(machine: Machine, spec: Origin) -> Iterator[Check]:
    for package in machine.packages:
        version = {"version": package.version} if package.version else {}
        yield _check("package", qualified(package, machine.base.family), version, package.origin)
    for user in machine.users:
        yield _check("user", user.name, _user_fields(user, machine.groups), user.origin)
    for group in machine.groups:
        number = {} if group.gid is None else {"gid": group.gid}
        yield _check("group", group.name, number, group.origin)
    own = {file.path for file in machine.files}
    for file in machine.files:
        yield _file(file, own)
    if machine.workspace:
        fields = {"entered_by": machine.workspace.user}
        path = machine.workspace.path
        yield _check("mount", path, fields, spec, name=f"workspace {path}")
    for volume in machine.volumes:
        attributes = {"owner": volume.owner, "mode": volume.mode}
        owned = {key: value for key, value in attributes.items() if value is not None}
        yield _check("mount", volume.path, owned, volume.origin, name=f"volume {volume.name}")
    for secret in machine.secrets:
        path, owned = f"/run/secrets/{secret.name}", {"user": secret.owner, "mode": secret.mode}
        yield _check("file", path, owned, secret.origin, name=f"secret {secret.name}")
    for sysctl in machine.sysctls:
        path = f"/proc/sys/{sysctl.name.replace('.', '/')}"
        yield _check(
            "script",
            f"cat {shlex.quote(path)} | tr -s '\\t ' ' '",
            {"stdout": Expected(how="equals", text=sysctl.value), "user": "root"},
            sysctl.origin,
            name=f"sysctl {sysctl.name}",
        )
    for entry in machine.hosts:
        yield _host(entry)
    for name, value in machine.env.items():
        yield _check("env", name, {"value": value}, spec)
    yield _check("file", "/etc/localtime", _zone_fields(machine.timezone), spec, name="time zone")
    for service in machine.services:
        yield _check("service", service.name, {}, service.origin)
    if machine.setup:
        yield _check(
            "script",
            f"cat {guest_paths.SETUP_STATE}",
            {"stdout": Expected(how="equals", text="done"), "user": "root"},
            machine.setup[0].origin,
            name="setup",
        )
    yield from _ports(machine)


def _host(entry: HostEntry) -> Check:
    """It is in /etc/hosts; needs no program inside."""
    line = f"{entry.address} {entry.name}"
    script = (
        "while read -r address name rest; do"
        f' [ "$address $name" != {shlex.quote(line)} ] || {{ echo there; break; }}; done </etc/hosts'
    )
    fields = {"stdout": Expected(how="equals", text="there"), "user": "root"}
    return _check("script", script, fields, entry.origin, name=f"host {entry.name}")


def _ports(machine: Machine) -> Iterator[Check]:
    """Published, and answering from the host; where no service runs, that is for what is started by hand."""
    answering = {_probed(service.ready) for service in machine.services if service.ready}
    published: dict[str, list[Port]] = {}
    for port in machine.ports:
        published.setdefault(f"{port.guest}/{port.protocol}", []).append(port)
    for subject, ports in published.items():
        probed = subject in answering
        if probed:
            yield _check("port", subject, {"published": len(ports)}, ports[0].origin)
        # That something listens is asked once: inside, where a probe says that a service does.
        listens = bool(machine.services) and not probed and not any(port.optional for port in ports)
        yield _check(
            "port", subject, {"published": len(ports), "listens": listens}, ports[0].origin,
            name=f"port {subject} from the host", from_host=True,
            timeout=SOON if listens else 0,
        )  # fmt: skip


def _probed(probe: Probe) -> str | None:
    """The port that a probe asks, as `8080/tcp`; None where it asks none."""
    if probe.kind not in ("http", "tcp"):
        return None
    address = urlsplit(probe.subject if probe.kind == "http" else f"tcp://{probe.subject}")
    return f"{address.port or 80}/tcp"


def _user_fields(user: User, groups: Sequence[Group]) -> Mapping[str, object]:
    """What the spec says about a user; the rest may be as the base has it."""
    attributes = {"shell": user.shell, "home": user.home, "uid": user.uid, "gid": gid_of(user, groups)}
    fields: dict[str, object] = {name: value for name, value in attributes.items() if value is not None}
    if user.groups:
        fields["groups"] = user.groups
    if user.sudo:
        fields["sudo"] = True
    return fields


def _zone_fields(zone: str) -> Mapping[str, object]:
    """Without zone files a machine has UTC, and only that."""
    link = Expected(how="matches", text=f"/{re.escape(zone)}$")
    return {"link": link} if zone == "UTC" else {"link": link, "is_file": True}


def _file(file: File, own: set[str]) -> Check:
    if file.kind == "absent":
        return _check("file", file.path, {}, file.origin, absent=True)
    if file.kind == "link":
        return _check("file", file.path, {"link": file.target}, file.origin)
    fields: dict[str, object] = {"user": file.owner}
    if file.group is not None:
        fields["group"] = file.group
    if file.kind == "content":
        fields["mode"] = file.mode if file.mode is not None else 0o644
        return _check("file", file.path, {"content": file.content, **fields}, file.origin)
    if file.kind == "dir":
        fields["mode"] = file.mode if file.mode is not None else 0o755
        return _check("file", file.path, {"is_directory": True, **fields}, file.origin)
    tree = {
        str(relative): {
            "content": content,
            **fields,
            "mode": file.mode if file.mode is not None else 0o755 if executable else 0o644,
        }
        for relative, content, executable in file.tree
        if f"{file.path}/{relative}" not in own  # one that is named itself wins over the folder
    }
    return _check("file", file.path, {"is_directory": True, **fields, "tree": tree}, file.origin)


def _check(
    kind: CheckKind,
    subject: str,
    fields: Mapping[str, object],
    origin: Origin,
    *,
    name: str = "",
    absent: bool = False,
    from_host: bool = False,
    timeout: float = 0,
) -> Check:
    return Check(
        kind=kind,
        subject=subject,
        name=name or f"{kind} {subject}",
        fields=fields,
        absent=absent,
        from_host=from_host,
        timeout=timeout,
        declared=False,
        origin=origin,
    )
