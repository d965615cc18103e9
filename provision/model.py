"""The nouns: the environment as frozen data, independent of any backend."""

from __future__ import annotations

import hashlib
from dataclasses import field
from typing import TYPE_CHECKING, Literal

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path, PurePosixPath

Family = Literal["apt", "dnf", "apk"]
Capability = Literal["kernel", "systemd", "kvm", "gpu"]
Protocol = Literal["tcp", "udp"]
Outcome = Literal["passed", "failed", "skipped"]
MachineState = Literal["running", "starting", "paused", "stopped", "absent", "unhealthy", "not answering"]
"""`not answering`: it runs, but nothing inside responds, so the state of its services is unknown."""

ID_DIGITS = 8


@dataclass(frozen=True, kw_only=True, order=True)
class Origin:
    """A place in a spec; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, kw_only=True)
class Base:
    """A distribution to start from, as the catalogue or the spec names it.

    `suite`, `mirror` and `components` are there where it can be made from its mirror;
    `snapshot` is the time (`20261101T000000Z`) of the dated archive to take instead.
    """

    name: str
    family: Family
    image: str
    box: str | None = None
    suite: str | None = None
    mirror: str | None = None
    components: tuple[str, ...] = ()
    snapshot: str | None = None


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Limits of a machine; `memory` and `disk` in bytes, None where unlimited."""

    cpus: float | None = None
    memory: int | None = None
    disk: int | None = None


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The project folder, live inside the machine.

    `identity` and `agent` say that the person's name for git, and SSH agent, come along: they
    are allowed. `note` says why git does not work in it, where it does not.
    """

    source: Path
    path: str
    user: str
    identity: bool = False
    agent: bool = False
    note: str = ""
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package from the distribution.

    `version` is there where the spec pins it, `architecture` where it is not the machine's
    own; `release` is what apt takes it from, bookworm-backports for example.
    """

    name: str
    version: str | None
    origin: Origin
    architecture: str | None = None
    release: str | None = None


@dataclass(frozen=True, kw_only=True)
class PackageLock:
    """The versions that a machine's packages are held to.

    Args:
        file: the lock's name, for messages.
        versions: by package, with `:ARCHITECTURE` where it is not the machine's own.
        exact: nothing else may be installed: the lock fits the spec.
        dates: of archives (`20261101T000000Z`) that had these versions, the newest first.
        kernel: the release of the kernel of a machine that boots its own.
        installed: the hash of all that is installed in the end; empty where the lock does not fit.
    """

    file: str
    versions: Mapping[str, str]
    exact: bool
    dates: tuple[str, ...] = ()
    kernel: str = ""
    installed: str = ""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A package repository in addition to the distribution's.

    `key` holds the bytes of `key_file`, None where the distribution's own keys sign it;
    `pin` ranks it as apt does.
    """

    name: str
    url: str
    suite: str
    components: tuple[str, ...]
    key: bytes | None
    key_file: str
    pin: int
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Group:
    """A group to create; `gid` None means the next free id, from the system range if `system`."""

    name: str
    gid: int | None
    system: bool
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class User:
    """A user to create, or to change if the base or a package has it.

    None means what is there already, and for a user that is made: the next free `uid`, that
    number as `gid`, /bin/sh, /home/NAME.
    """

    name: str
    uid: int | None
    gid: int | None
    groups: tuple[str, ...]
    shell: str | None
    home: str | None
    sudo: bool
    origin: Origin


FileKind = Literal["content", "folder", "dir", "link", "absent"]


@dataclass(frozen=True, kw_only=True)
class File:
    """A path inside the machine.

    `kind` content: `content` holds its bytes (of `content`, `source` or `template`);
    folder: `tree` holds the files of a source folder by relative path, each with its
    bytes and whether it is executable; dir: an empty folder; link: `target` is where it
    points; absent: nothing may be there. `mode` None means 0644, or 0755 for a folder
    and for a source that is executable.
    """

    path: str
    kind: FileKind
    content: bytes = b""
    tree: tuple[tuple[PurePosixPath, bytes, bool], ...] = ()
    target: str = ""
    owner: str
    group: str | None
    mode: int | None
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Script:
    """A step of the spec: a script for `sh -eu`, at build time (`run`) or inside (`setup`).

    `secret_env` gives variables that have the value of a secret, by the secret's name;
    `secrets` are all that a step at build may read, those of its variables too.
    """

    name: str
    script: str
    user: str
    workdir: str
    env: Mapping[str, str]
    secret_env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    before_packages: bool = False
    every: Literal["create", "up"] = "create"
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How to find out whether a service is ready; `subject` is a URL, `HOST:PORT`, or a script.

    A `command` holds its words; `interval` and `timeout` are seconds. Without an `interval` it is
    asked often at first.
    """

    kind: Literal["http", "tcp", "command", "script"]
    subject: str
    words: tuple[str, ...] = ()
    interval: float | None = None
    timeout: float


@dataclass(frozen=True, kw_only=True)
class Service:
    """A program that runs while the machine runs: the `words` of a command, or a `script` for `sh -eu`.

    `workdir` None is the user's home: where redis or postgres may write when they stop.
    One with `oneshot` is ready once it has ended with 0, and its `restart` is never.
    `secret_env` gives variables that have the value of a secret, by the secret's name.
    """

    name: str
    words: tuple[str, ...]
    script: str | None
    user: str
    workdir: str | None
    env: Mapping[str, str]
    secret_env: Mapping[str, str] = field(default_factory=dict)
    restart: Literal["always", "on-failure", "never"]
    oneshot: bool = False
    needs: tuple[str, ...]
    runtime_dirs: tuple[str, ...]
    limits: Mapping[str, int]
    ready: Probe | None
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port of the machine on the host; `host` None means a free one, chosen and kept.

    On one that is `optional`, as all of a range are, nothing need listen all the time.
    """

    guest: int
    host: int | None
    address: str
    protocol: Protocol
    optional: bool = False
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Sysctl:
    """A kernel parameter, and its value as the kernel writes it, but with single blanks."""

    name: str
    value: str
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A host folder or file, live at a path inside; `user` is its owner there."""

    path: str
    source: Path
    read_only: bool
    user: str | None = None
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A folder inside that outlives `down`; `owner` and `mode` None are as the build left them."""

    name: str
    path: str
    owner: str | None = None
    mode: int | None = None
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class HostEntry:
    """A line of the machine's /etc/hosts."""

    name: str
    address: str
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A value that only the running machine gets, in memory at /run/secrets.

    It comes from a variable of the host or from a file; the value itself is no part of
    the model. `written` is the source as it stands in the spec, at `origin`.
    """

    name: str
    variable: str | None
    file: Path | None
    written: str
    owner: str
    mode: int
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """The proxy for building and running; `ca` are its PEM certificates if it intercepts TLS."""

    http: str | None
    https: str | None
    no_proxy: tuple[str, ...]
    ca: bytes | None


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A capability that a machine requires."""

    name: Capability
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a text must be: it contains, equals, matches (a regular expression) or lacks something."""

    how: Literal["contains", "equals", "matches", "lacks"]
    text: str


CheckKind = Literal[
    "package", "file", "user", "group", "service", "port", "process",
    "command", "script", "http", "mount", "env", "pytest",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Check:
    """One statement about a machine that is true or false.

    Args:
        kind: what is asked.
        subject: of what: the package's name, the path, the URL, the command's text.
        name: how the check is called on the screen.
        fields: further claims, by testinfra's names (`mode`, `owner`, `stdout`, `exit` …):
            strings, numbers, booleans, lists of strings, `Expected`, or mappings of them.
        words: of a `command`.
        absent: the claim is turned round: it must not be there.
        timeout: seconds to try again; 0 asks once.
        from_host: asked from the host, through the published port.
        requires: what the backend must give, or the check is skipped.
        declared: it stands in `checks:`; else it follows from the rest of the spec.
    """

    kind: CheckKind
    subject: str
    name: str
    fields: Mapping[str, object] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    absent: bool = False
    timeout: float = 0
    from_host: bool = False
    requires: tuple[str, ...] = ()
    declared: bool = True
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One machine of an environment, everything resolved.

    `group` is its name in the spec, which it shares with its equals, `index` its number
    among them; `needs` are the machines that must be ready before it starts. The others
    know it by its name, hostname and aliases, and all its equals by their group.
    """

    name: str
    group: str
    index: int = 1
    hostname: str
    aliases: tuple[str, ...] = ()
    hosts: tuple[HostEntry, ...] = ()
    needs: tuple[str, ...] = ()
    base: Base
    lock: PackageLock | None = None
    resources: Resources
    workspace: Workspace | None
    env: Mapping[str, str]
    packages: tuple[Package, ...]
    repositories: tuple[Repository, ...] = ()
    users: tuple[User, ...]
    groups: tuple[Group, ...] = ()
    files: tuple[File, ...]
    run: tuple[Script, ...]
    services: tuple[Service, ...]
    setup: tuple[Script, ...]
    ports: tuple[Port, ...]
    mounts: tuple[Mount, ...]
    volumes: tuple[Volume, ...]
    secrets: tuple[Secret, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()
    requires: tuple[Requirement, ...] = ()
    proxy: Proxy | None = None
    locale: str
    timezone: str
    checks: tuple[Check, ...]
    options: Mapping[str, object]

    @property
    def names(self) -> tuple[str, ...]:
        """Its names on the network, its own first."""
        return tuple(dict.fromkeys((self.name, self.hostname, *self.aliases, self.group)))

    @property
    def user(self) -> str:
        """The user for `shell`, `exec`, `setup` and checks, unless they name one."""
        return self.workspace.user if self.workspace else "root"

    @property
    def workdir(self) -> str:
        """Where they start."""
        return self.workspace.path if self.workspace else "/"


def identify(project: Path, name: str, host: str = "") -> str:
    """The id of an environment: eight hexadecimal digits that follow from its folder, its name and its host.

    `host` is where its machines are, if that is not this host: what tells it apart from the same
    environment here, and from those that other people have there.
    """
    text = f"{project}\0{name}" + (f"\0{host}" if host else "")
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:ID_DIGITS]


Word = Literal["outside", "privileges", "network", "host-env", "host-code", "agent", "registry"]
WORDS: tuple[Word, ...] = (
    "outside", "privileges", "network", "host-env", "host-code", "agent", "registry",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Something that a spec wants from the host beyond the machine it describes.

    Args:
        word: the kind of trust that it needs.
        what: exactly what it wants, on one line: the person's answer is kept for this text.
        origin: where the spec says so.
        given: the person allowed it.
        otherwise: what happens where it is not allowed; empty where the spec is refused then.
    """

    word: Word
    what: str
    origin: Origin
    given: bool = False
    otherwise: str = ""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What a spec asks for, for one backend, after layers and variables.

    `spec` is the file, `project` the nearest folder above it that holds `.git`, else the
    spec's own: nothing outside it is read or mounted. `layers` are the person's own files
    (NAME.local.yaml) that were merged over it. With `several` the spec names its machines;
    else it has one, named as the environment. `demands` are what the spec wants beyond its
    machines: all that are given, and those not given without which it can be had all the same.
    `registry` is the repository that the spec names for its images and disks, if the person allowed it.
    `host` is empty where its machines are on this host: `state.on_host` makes it.
    """

    name: str
    description: str
    spec: Path
    project: Path
    layers: tuple[Path, ...] = ()
    several: bool = False
    machines: tuple[Machine, ...]
    demands: tuple[Demand, ...] = ()
    lock_notes: tuple[str, ...] = ()
    registry: str = ""
    host: str = ""

    @property
    def id(self) -> str:
        """What distinguishes it from an environment with the same name in another folder."""
        return identify(self.project, self.name, self.host)

    @property
    def is_elsewhere(self) -> bool:
        """Whether its machines are on another host, which has none of this one's files."""
        return bool(self.host)

    @property
    def unique_name(self) -> str:
        """What it is called where environments of other folders are too: in an engine, in the state."""
        return f"{self.name}-{self.id}"

    @property
    def names(self) -> tuple[str, ...]:
        """What its machines are called on their network."""
        return tuple(dict.fromkeys(name for machine in self.machines for name in machine.names))


@dataclass(frozen=True, kw_only=True)
class Variation:
    """One of the environments that `provision test` makes of a spec; `base` None is the spec's own."""

    backend: str
    base: str | None = None
    settings: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return " ".join([self.backend, *([self.base] if self.base else []),
                         *(f"{name}={value}" for name, value in self.settings)])  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Step:
    """One build action of a machine: a shell script, the same in every backend.

    `name` is its file's stem (`20-packages`), `script` the whole text, which records
    `digest` inside the machine after it succeeded and does nothing where it is recorded.
    `digest` covers the steps before it too. `inputs` are folders of the rendering that
    it reads; `caches` folders inside whose content may be kept between builds; `secrets`
    what it may read in /run/secrets while it runs.
    """

    name: str
    title: str
    script: str
    digest: str
    inputs: tuple[str, ...] = ()
    caches: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Result:
    """One check on one machine, `seconds` long; `message` says what was expected and found."""

    machine: str
    check: str
    outcome: Outcome
    message: str
    seconds: float


SETUP, ATTACH = "setup", "attach"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # PATH, unless the spec sets it
UNLIMITED = -1  # among the limits of a service, as Compose has it
RESERVED = (SETUP, ATTACH)  # what logs and errors call our own steps: no service can have these names


def plain_address(address: str | bytes) -> str:
    """An IP address in its shortest form; one of IPv4 that is written as IPv6 (`::ffff:192.0.2.1`) as IPv4.

    Pythons differ in what they call such an address, and in whether one of the loopback is a loopback.

    Raises:
        ValueError: it is none.
    """
    import ipaddress  # slow, and only who reads a spec or an inventory needs it

    found = ipaddress.ip_address(address)
    return str((found.ipv4_mapped if found.version == 6 else None) or found)


def bracketed(address: str) -> str:
    """An IP address as it stands before `:PORT`: one of IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address


@dataclass(frozen=True, kw_only=True)
class PortStatus:
    """A port as it is forwarded now."""

    guest: int
    host: int
    address: str
    protocol: Protocol

    @property
    def endpoint(self) -> str:
        """Where the host reaches it: 127.0.0.1:8080, [::1]:8080."""
        return f"{bracketed(self.address)}:{self.host}"


@dataclass(frozen=True, kw_only=True)
class ServiceStatus:
    """A service as it is now: running, starting, ended, stopped, failed, crashing or background."""

    name: str
    state: str


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a running machine takes of this host now.

    Args:
        machine: its name.
        cpu: per cent of one processor.
        memory: bytes.
        limit: the most that it may have, in bytes; None where nothing limits it.
        disk: bytes that it has written of its own; None where that is not known.
    """

    machine: str
    cpu: float
    memory: int
    limit: int | None
    disk: int | None


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a machine: `time` as ISO 8601 has it, `code` where it ended with one."""

    time: str
    machine: str
    event: str
    code: int | None = None


@dataclass(frozen=True, kw_only=True)
class MachineStatus:
    """A machine's status; `address` is its own on the private network, if it has one.

    `kept` is the size in bytes of the saved state for its next start. `node` is the host that runs it,
    where a backend spreads machines over several; `note` says why it is not as it should be.
    """

    name: str
    state: MachineState
    address: str | None
    ports: tuple[PortStatus, ...]
    services: tuple[ServiceStatus, ...]
    kept: int = 0
    node: str = ""
    note: str = ""
