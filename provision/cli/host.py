"""`--host`: the machines of this call are on another host, which the user's configuration names."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision import backends, trust
from provision.backends import HOST
from provision.registry import DEFAULT as CONTAINERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from provision.comparison import Inventories
    from provision.engine import Request
    from provision.handover.session import Call, Elsewhere
    from provision.inventory.model import Inventory
    from provision.model import Environment
    from provision.process import Completed
    from provision.spec.personal import Hosts
    from provision.target import Target

BACKEND = "PROVISION_BACKEND"
_ELSEWHERE = "provision.elsewhere"  # in the context of a verb that runs here: where its machines are


def add_option(command: click.Command) -> click.Command:
    """Give a verb `--host`, unless it has an option of this name."""
    option = click.Option(
        ["--host"],
        envvar=HOST,
        metavar="NAME",
        is_eager=True,
        expose_value=False,
        callback=_choose,
        help="Use this host of your configuration; or $PROVISION_HOST.",
    )
    if not any("--host" in each.opts for each in command.params):
        command.params.append(option)
    return command


def chosen() -> str:
    """The host that was chosen for this call; empty for this one."""
    return os.environ.get(HOST, "")


def _choose(_context: click.Context, _parameter: click.Parameter, name: str | None) -> None:
    """Have this process, and each that it starts, use the engine of the host."""
    if not name:
        return
    addresses = addresses_of(name, _hosts())
    if CONTAINERS in addresses:
        os.environ["DOCKER_HOST"] = addresses[CONTAINERS]
    os.environ[HOST] = name


def addresses_of(name: str, hosts: Hosts) -> Mapping[str, str]:
    """The addresses of a host, by backend; UsageError if none is called so. Pure."""
    from provision.errors import UsageError

    if name not in hosts:
        known = f"known: {', '.join(sorted(hosts))}; " if hosts else ""
        raise UsageError(
            f"your configuration has no host {name}",
            hint=f"{known}add it to ~/.config/provision/config.yaml:"
            f" hosts: {{{name}: {{{CONTAINERS}: ssh://USER@{name}, vm: ssh://USER@{name}}}}}",
        )
    return hosts[name]


def _hosts() -> Hosts:
    from provision.spec.personal import hosts
    from provision.spec.reading import configuration

    path = configuration(os.environ)
    return hosts(path) if path is not None else {}


def elsewhere(request: Request) -> Elsewhere | None:
    """The other host to which the verb is handed over; None where this process does what it asks.

    Raises:
        UsageError: a host was chosen that has no address for the backend.
    """
    from provision.backends.base import ReachesHosts, RunsElsewhere

    name, backend = chosen(), backends.find(request.backend)
    if isinstance(backend, RunsElsewhere):
        from provision import engine

        address, variables = (
            (_address(name, request.backend), {}) if name else backend.handed_to(lambda: engine.load(request))
        )
        if not address:
            return None
        from provision.handover.session import Elsewhere  # with much that only another host needs

        return Elsewhere(address=address, name=name, variables=variables)
    if name and isinstance(backend, ReachesHosts):
        _address(name, CONTAINERS)
    elif name:
        from provision.errors import UsageError

        raise UsageError(
            f"{backend.title} creates machines on this host alone, not on {name}",
            hint="leave out --host (or unset PROVISION_HOST)",
        )
    return None


def _address(name: str, backend: str) -> str:
    addresses = addresses_of(name, _hosts())
    if backend in addresses:
        return addresses[backend]
    from provision.errors import UsageError

    raise UsageError(
        f"your configuration has no address for {backend} on the host {name}",
        hint=f"add it to ~/.config/provision/config.yaml: hosts: {{{name}: {{{backend}: ssh://USER@{name}}}}}",
    )


def hand_over_if_elsewhere(request: Request, names: Sequence[str]) -> None:
    """Hand this call over to the host that has the machines, and exit as the verb does.

    Nothing if they are on this host; a verb that runs here goes on.

    Args:
        request: the environment.
        names: the backends that the verb is about, if they are several: one elsewhere takes the others along.
    """
    from provision.backends.base import RunsElsewhere

    forms = [replace(request, backend=name) for name in names] or [request]
    for form in sorted(forms, key=lambda each: not isinstance(backends.find(each.backend), RunsElsewhere)):
        if (there := elsewhere(form)) is not None:
            _hand_over(there, form)
            return


def _hand_over(there: Elsewhere, request: Request) -> None:
    from provision.handover import session

    if _verb() in session.RUNS_HERE:
        click.get_current_context().meta[_ELSEWHERE] = there
    else:
        _run_there(there, request)


def run_where_machines_are(request: Request) -> None:
    """Hand a verb over that runs here otherwise, and exit as it does; nothing if its machines are here."""
    if there := click.get_current_context().meta.get(_ELSEWHERE):
        _run_there(there, request)


def _run_there(there: Elsewhere, request: Request) -> None:
    from provision.cli.show import progress
    from provision.handover import session

    context = click.get_current_context()
    verb = _verb()
    shows: Mapping[str, Callable[[Completed], int]] = {
        "open": _open_here,
        "ssh-config": partial(_lead_there, there),
    }
    context.exit(session.hand_over(there, _call(there, request), progress(), show=shows.get(verb)))


def enter_elsewhere(request: Request, machine: str | None) -> Target | None:
    """A machine that is on another host, for a verb that runs here; None where it is on this one."""
    there: Elsewhere | None = click.get_current_context().meta.get(_ELSEWHERE)
    if there is None:
        return None
    from provision.cli.show import progress
    from provision.handover import session

    return session.enter(there, _call(there, request), progress(), machine)


def inventories_elsewhere(request: Request) -> Inventories:
    """What gives the inventories of a form that is on another host, to be called from any thread."""
    from provision.backends.base import RunsElsewhere
    from provision.errors import UsageError

    calls: dict[str, tuple[Elsewhere, Call] | UsageError] = {}
    for name in backends.names():
        if isinstance(backends.find(name), RunsElsewhere):
            form = replace(request, backend=name)
            try:
                if there := elsewhere(form):
                    calls[name] = (there, _call(there, form))
            except UsageError as error:
                calls[name] = error  # for whoever asks for this form

    def inventories(backend: str, machine: str | None) -> Mapping[str, Inventory] | None:
        if backend not in calls:
            return None
        found = calls[backend]
        if isinstance(found, UsageError):
            raise found
        there, call = found
        from tempfile import TemporaryDirectory

        from provision.handover import session
        from provision.inventory import record
        from provision.progress import Silent
        from provision.runtime import TEMPORARY
        from provision.target import Unreachable

        named = ["-m", machine] if machine else []
        answer = session.ask(there, call, Silent(), "inventory", "--format", "json", *named)
        if answer.code != 0:
            lines = answer.stderr.strip().splitlines()
            raise Unreachable(
                f"there is no inventory of {call.environment} in {backend} on {there.name or there.address}",
                evidence=lines[-5:],
            )
        with TemporaryDirectory(prefix=TEMPORARY) as folder:
            file = Path(folder) / "inventory.json"
            file.write_text(answer.stdout, "utf-8")
            return record.load(file)

    return inventories


def _call(there: Elsewhere, request: Request) -> Call:
    """This call, as another host is to run it."""
    from provision import engine, files, lent, lockfile, spec
    from provision.cli.options import as_arguments
    from provision.cli.trust import load_asking
    from provision.handover import session
    from provision.spec.variables import HOST_PREFIX, noting_variables

    verb = _verb()
    project = spec.project_of(request.spec)
    with files.noting() as read, noting_variables() as named:
        if verb in session.READ_THE_SPEC:
            environment = load_asking(request)
            _require_inside({*read, *_sources(environment)}, project, there)
        name = engine.resolve(request).name
    named |= {variable for variable in os.environ if variable.startswith(HOST_PREFIX)}
    return session.Call(
        verb=verb,
        words=sys.argv[sys.argv.index(verb) :],
        spec=request.spec.absolute(),
        project=project,
        backend=request.backend,
        environment=name,
        arguments=shlex.split(as_arguments(request)),
        variables=named,
        settings={
            **lent.as_variables(project),
            BACKEND: request.backend,
            trust.VARIABLE: ",".join(sorted(engine.trust_of(request).whole_words())),
        },
        writes=[lockfile.path_of(request.spec.absolute())] if verb == "lock" else [],
    )


def _open_here(answer: Completed) -> int:
    """Print the URL that `open` found there, and open it in the browser of this host."""
    from provision.cli.open import show_url

    click.echo(answer.stderr, nl=False, err=True)
    if answer.code == 0:
        show_url(answer.stdout.strip(), only_print="--print" in sys.argv)
    return answer.code


def _lead_there(there: Elsewhere, answer: Completed) -> int:
    """Print the configuration of ssh that was written there: each way in begins with the way to that host."""
    from provision.handover.connection import Connection

    way = Connection(there.address)
    click.echo(answer.stderr, nl=False, err=True)
    for line in answer.stdout.splitlines():
        name, _, command = line.strip().partition(" ")
        if name == "ProxyCommand":
            words = way.words(script=f"exec {command.replace('%%', '%')}")
            line = f"  ProxyCommand {shlex.join(words).replace('%', '%%')}"
        click.echo(line)
    return answer.code


def _verb() -> str:
    """The verb of this call; `snapshot` of `snapshot save`."""
    context = click.get_current_context()
    while context.parent is not None and context.parent.parent is not None:
        context = context.parent
    return str(context.info_name)


def _sources(environment: Environment) -> Iterator[Path]:
    """The files and folders that the machines get of this host when they come up."""
    for machine in environment.machines:
        yield from (mount.source for mount in machine.mounts)
        yield from (secret.file for secret in machine.secrets if secret.file)
        if machine.workspace is not None:
            yield machine.workspace.source


def _require_inside(paths: set[Path], project: Path, there: Elsewhere) -> None:
    """Raise UsageError if a spec consists of files that are not in the project, which alone is copied."""
    from provision import resources
    from provision.errors import UsageError
    from provision.spec.paths import real_path

    own = (project, resources.configuration(), Path(__file__).parent.parent, resources.folder("schemas"),
           resources.folder("templates"), resources.cache())  # fmt: skip
    outside = sorted(
        path for path in paths
        if path.exists() and not any(real_path(path).is_relative_to(each) for each in own)
    )  # fmt: skip
    if outside:
        raise UsageError(
            f"{outside[0]} is outside of the project, which alone is copied to {there.name or there.address}",
            hint=f"move it into {project}, or run provision on that host",
        )
