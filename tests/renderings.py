"""The specs whose renderings are held and judged, and their renderings as on no machine in particular."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from provision import backends, lockfile, spec

if TYPE_CHECKING:
    from provision.model import Environment
    from provision.rendering import Rendering

HELD = Path(__file__).parent / "golden" / "renderings"
SPECS = HELD / "specs"
NASTY = "it's #{File.write('ran', 1)} `touch ran` $(touch ran) \"q\" \\ ünï 🎉"
CHOOSING = ("fleet", "none", "several", "single")  # the specs that take any provider
FOLDERS = {"nasty": (NASTY,)}
ANYWHERE = Path("/project")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A spec and what it is rendered for; `held` says which files, by patterns, are held: all unless told."""

    spec: str
    backend: str
    provider: str = ""
    base: str = ""
    lock: bool = False
    held: tuple[str, ...] = ("*",)

    @property
    def name(self) -> str:
        return f"{self.spec}-{self.base.partition(':')[0] or self.provider or self.backend}"

    @property
    def settings(self) -> dict[str, str]:
        """The variables that it sets, of those that its spec has."""
        provider = {"provider": self.provider} if self.provider and self.spec in CHOOSING else {}
        return provider | ({"base": self.base} if self.base else {})

    def load(self, project: Path) -> Environment:
        """The environment, its spec written to a project folder that is made."""
        shutil.copytree(SPECS, project, dirs_exist_ok=True)
        (project / ".git").mkdir(exist_ok=True)
        for folder in FOLDERS.get(self.spec, ()):
            (project / folder).mkdir(exist_ok=True)
        path = project / f"{self.spec}.yaml"
        environment = spec.load(
            path, backend=self.backend, settings=self.settings, host={}, allows=spec.everything
        )
        if not self.lock:
            return environment
        lock = lockfile.load(lockfile.path_of(path))
        assert lock is not None
        place = {"architecture": "amd64", "form": "vm-qemu" if self.provider else "docker"}
        misfits = lockfile.misfits(environment, lock, **place)
        return lockfile.freeze(environment, lock, file="LOCK", exact=not misfits, **place)

    def render(self, environment: Environment) -> Rendering:
        """What `render -o rendering` writes."""
        return backends.find(self.backend).render(environment, environment.project / "rendering")


OWN = ("apply", "build", "machine/attach", "machine/enter", "machine/environment",
       "machine/service", "machine/state", "machine/units/*")  # fmt: skip
STEPS = ("Dockerfile", "compose*.yaml", "steps/*")

# One rendering is held whole; of the others, what they show beyond it.
CASES = (
    Case(spec="several", backend="docker"),
    Case(spec="single", backend="docker", held=(*STEPS, "machine/start", "machine/service*")),
    Case(spec="none", backend="docker", held=(*STEPS, "machine/start")),
    Case(spec="nasty", backend="docker", held=(*STEPS, "machine/services/*", "machine/setup.d/*")),
    Case(spec="reserved", backend="docker",
         held=("compose.yaml", "machine/healthy", "machine/secrets", "machine/service")),
    Case(spec="reserved", backend="vm", provider="libvirt", held=("Vagrantfile", "null/machine/units/*")),
    Case(spec="secrets", backend="docker",
         held=(*STEPS, "machine/start", "machine/secrets", "machine/services/web/*", "machine/setup.d/*")),
    Case(spec="secrets", backend="vm", provider="libvirt",
         held=("secrets/apply", "secrets/build", "secrets/machine/units/*")),
    Case(spec="systemd", backend="docker",
         held=(*STEPS, "machine/start", "machine/attach", "machine/units/*")),
    Case(spec="swarm", backend="swarm", held=("stack.yaml",)),
    Case(spec="proxy", backend="swarm", held=("stack.yaml", "proxy/*")),
    Case(spec="proxy", backend="docker", held=(*STEPS, "machine/start", "machine/trust")),
    Case(spec="proxy", backend="vm", provider="libvirt",
         held=("proxy/apply", "proxy/machine/attach", "proxy/machine/environment")),
    *(Case(spec="families", backend="docker", base=base, held=("steps/*", "repositories/*"))
      for base in ("debian:12", "fedora:43", "alpine:3.23")),
    Case(spec="several", backend="vm", provider="libvirt",
         held=("Vagrantfile", *(f"several/{path}" for path in ("Dockerfile", *OWN)))),
    Case(spec="nasty", backend="vm", provider="libvirt",
         held=("Vagrantfile", "nasty/build", "nasty/machine/attach", "nasty/machine/environment")),
    Case(spec="several", backend="vm", provider="qemu", held=("*.sh", "*/Dockerfile")),
    Case(spec="several", backend="vm", provider="virtualbox", held=("Vagrantfile",)),
    Case(spec="single", backend="vm", provider="vmware_desktop", held=("Vagrantfile",)),
    Case(spec="single", backend="vm", provider="parallels", held=("Vagrantfile",)),
    Case(spec="none", backend="vm", provider="hyperv", held=("Vagrantfile",)),
    Case(spec="locked", backend="docker", lock=True, held=("*/Dockerfile", "*/steps/*", "*/lock/*")),
    Case(spec="locked", backend="vm", provider="qemu", lock=True,
         held=("*/Dockerfile", "*/guest/kernel.sh", "*/guest/guest.sh", "app/guest/kernel.lock")),
    Case(spec="fleet", backend="docker", held=("compose*.yaml", "*/Dockerfile", "db/steps/*")),
    Case(spec="fleet", backend="vm", provider="libvirt", held=("Vagrantfile", "*/machine/attach")),
    Case(spec="fleet", backend="vm", provider="qemu", held=("*.sh",)),
    Case(spec="fleet", backend="vm", provider="virtualbox", held=("Vagrantfile",)),
)  # fmt: skip


def anywhere(environment: Environment) -> Environment:
    """The same environment in /project, so that nothing of this host is in its rendering."""

    def moved(path: Path) -> Path:
        return ANYWHERE / path.relative_to(environment.project)

    machines = tuple(
        replace(
            machine,
            workspace=machine.workspace
            and replace(machine.workspace, source=moved(machine.workspace.source)),
            mounts=tuple(replace(mount, source=moved(mount.source)) for mount in machine.mounts),
            secrets=tuple(replace(each, file=each.file and moved(each.file)) for each in machine.secrets),
        )
        for machine in environment.machines
        for place in [machine.workspace]
    )
    return replace(environment, project=ANYWHERE, spec=moved(environment.spec), machines=machines)
