"""The files that a machine's steps install: the spec's, and the machine's own scripts.

The scripts go to /usr/lib/provision, in every backend alike:

    as USER PROGRAM…            becomes a user, then a program
    healthy                     0 when all services are ready and setup is done
    state SERVICE               running, starting, stopped or failed
    wait [SERVICE…]             until they are ready
    sessions [NAME…]            gives PAM logins, cron jobs and git what they find
    trust                       makes the certificates to trust, where a proxy has its own
    setup                       runs setup.d/*.sh once services are ready
    setup.d/NUMBER-NAME         the text of a step; NUMBER-NAME.sh runs it
    secrets                     puts the secrets that were brought into /run/secrets
    services/NAME/run           the service itself
    services/NAME/prepare       makes its runtime folders, as root
    services/NAME/ready         its probe, where it has one
    services/NAME/{needs,user,timeout}

`state` and the way services are started are the backend's own.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from provision import guest_paths
from provision.model import DEFAULT_PATH
from provision.recipe.proxy import trust_variables
from provision.recipe.times import BEGINS, ONESHOT, SOON
from provision.rendering import RenderedFile, render

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provision.model import File, Machine, Script, Service

SETUP_RECORDS = {"create": guest_paths.SETUP_DONE, "up": guest_paths.SETUP_RUNS}


def payload(machine: Machine) -> Mapping[str, RenderedFile]:
    """The bytes of the spec's files, by their path inside without its first slash.

    A file that is named on its own wins over the same path in a folder.
    """
    files: dict[str, RenderedFile] = {}
    for file in machine.files:
        for relative, content, executable in file.tree:
            path = f"{file.path}/{relative}".lstrip("/")
            files[path] = RenderedFile(content=content, executable=executable)
    for file in machine.files:
        if file.kind == "content":
            files[file.path.lstrip("/")] = RenderedFile(content=file.content)
    return dict(sorted(files.items()))


def folders(file: File) -> tuple[str, ...]:
    """The folders inside a source folder, relative to it, each before what it holds."""
    inner = {parent for relative, _, _ in file.tree for parent in relative.parents}
    return tuple(sorted(str(folder) for folder in inner if folder.name))


def contents(machine: Machine, *, cgroup_v1: bool = False) -> Mapping[str, RenderedFile]:
    """The machine's own scripts, the same in every backend, by path below /usr/lib/provision.

    Args:
        machine: the machine.
        cgroup_v1: as for `systemd_scripts`.
    """
    context: dict[str, object] = {
        "machine": machine,
        "own": {*payload(machine), *(file.path.lstrip("/") for file in machine.files)},
        "safe": _safe(machine),
        "records": tuple(SETUP_RECORDS.values()),
        "begins": BEGINS,
        "asked": [s.name for s in machine.services if s.ready and s.ready.kind in ("http", "tcp")],
        "paced": [s for s in machine.services if s.ready and s.ready.interval is not None],
    }
    common = (*_COMMON, *(("secrets",) if machine.secrets else ()))
    common = (*common, *(("agent",) if machine.workspace and machine.workspace.agent else ()))
    common = (*common, *(("trust",) if trust_variables(machine) else ()))
    files = {name: _script(f"shared/machine/{name}.j2", context) for name in common}
    for service in machine.services:
        files |= {
            f"services/{service.name}/{name}": file
            for name, file in _service(machine, service, cgroup_v1=cgroup_v1)
        }
    for number, step in enumerate(machine.setup, 1):
        path = f"setup.d/{number * 10:03}-{step.name}"
        files[f"{path}.sh"] = _setup(machine, step, f"{guest_paths.HOME}/{path}")
        files[path] = RenderedFile(content=step.script.encode())
    return dict(sorted(files.items()))


_COMMON = ("as", "healthy", "sessions", "setup", "wait")


def _safe(machine: Machine) -> tuple[str, ...]:
    """The host's folders in which git accepts repositories of any owner, and the folders below them."""
    live = [machine.workspace.path] if machine.workspace else []
    live += [mount.path for mount in machine.mounts if not mount.source.is_file()]
    return tuple(path for folder in live for path in (folder, f"{folder}/*"))


def _service(machine: Machine, service: Service, *, cgroup_v1: bool) -> Iterator[tuple[str, RenderedFile]]:
    probe = service.ready
    url_form = {"http": "%s", "tcp": "tcp://%s"}.get(probe.kind) if probe else None
    address = urlsplit(url_form % probe.subject) if probe and url_form else None
    context = {
        "machine": machine,
        "service": service,
        "address": address,
        "soon": SOON,
        "cgroup_v1": cgroup_v1,
    }
    yield "run", _script("shared/machine/service-run.j2", context)
    yield "prepare", _script("shared/machine/service-prepare.j2", context)
    yield "user", _data(service.user)
    yield "needs", _data(*service.needs)
    if service.script is not None:
        yield "script", RenderedFile(content=service.script.encode())
    if service.oneshot:
        yield "timeout", _data(f"{ONESHOT:g}")
    if probe is not None:
        yield "ready", _script("shared/machine/service-ready.j2", context)
        yield "timeout", _data(f"{probe.timeout:g}")
    if probe is not None and probe.kind == "script":
        yield "ready.script", RenderedFile(content=probe.subject.encode())


def _setup(machine: Machine, step: Script, path: str) -> RenderedFile:
    body = render("shared/script.sh.j2", {"machine": machine, "script": step, "path": path})
    digest = hashlib.sha256(f"{step.name}\0{body}\0{step.script}".encode()).hexdigest()[:32]
    text = render(
        "shared/step.sh.j2",
        {
            "locale": machine.locale,
            "title": f"setup: {step.name}",
            "body": body,
            "record": f"{SETUP_RECORDS[step.every]}/{digest}",
            "name": step.name,
            "trusting": (),
            "locked": False,
            "patient": False,
            "epoch": None,
            "search_path": machine.env.get("PATH", DEFAULT_PATH),
        },
    )
    return RenderedFile(content=text.encode(), executable=True)


def _script(template: str, context: Mapping[str, object]) -> RenderedFile:
    return RenderedFile(content=render(template, context).encode(), executable=True)


def _data(*lines: str) -> RenderedFile:
    return RenderedFile(content="".join(f"{line}\n" for line in lines).encode())
