"""The build steps of a machine, in the order in which every backend runs them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from provision import guest_paths
from provision.fetching import ANSWER_WITHIN, RETRIES
from provision.model import DEFAULT_PATH, Step
from provision.recipe.accounts import FIRST_OF_PEOPLE, accounts, accounts_of_packages, gid_of
from provision.recipe.contents import folders, payload
from provision.recipe.families import FAMILIES
from provision.recipe.lock import DATED, FOLDER, epoch_of, lock_files
from provision.recipe.packages import packages_of, support_of
from provision.recipe.proxy import TRUSTING, trust_variables
from provision.recipe.repositories import apk_lines, needs_certificates, repository_files
from provision.rendering import digest_of, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.model import Machine, Script, Volume
    from provision.recipe.accounts import Accounts
    from provision.rendering import RenderedFile

RECORDS = guest_paths.STEPS
UNITS = guest_paths.ENABLED_UNITS  # those that a build step enabled itself


def steps(
    machine: Machine,
    scripts: Mapping[str, RenderedFile],
    runtime_packages: Sequence[str] = (),
    *,
    init: bool = False,
    systemd: bool = True,
) -> tuple[Step, ...]:
    """The steps that turn the base into the machine.

    Args:
        machine: the machine.
        scripts: what goes to /usr/lib/provision: `contents`, and the backend's own.
        runtime_packages: what the backend itself needs inside, installed with the rest.
        init: the units of systemd among the scripts are installed by a step too.
        systemd: the machine has systemd as its init, so its steps may enable units.
    """
    family = FAMILIES[machine.base.family]
    chain = _Chain(machine, systemd=systemd)
    if chain.lock and machine.lock:
        chain.add("lock", "the versions of the lock", "lock.sh.j2",
                  {"dated": "dated.list" in chain.lock, "list": DATED, "exact": machine.lock.exact},
                  caches=family.caches, installs=True)  # fmt: skip
    chain.add(
        "system",
        "locale and time zone",
        "system.sh.j2",
        support_of(machine),
        caches=family.caches if family.support else (),
    )
    chain.add_accounts("users", accounts(machine))
    if machine.repositories:
        files = repository_files(machine)
        names = ", ".join(repository.name for repository in machine.repositories)
        context = {
            "paths": tuple(files),
            "lines": apk_lines(machine),
            "certificates": needs_certificates(machine),
        }
        chain.add("repositories", f"repositories {names}", "repositories.sh.j2", context,
                  inputs={"repositories": files} if files else None, caches=family.caches,
                  installs=needs_certificates(machine))  # fmt: skip
    for script in machine.run:
        if script.before_packages:
            chain.add_script(script)
    if packages := packages_of(machine, runtime_packages):
        chain.add(
            "packages",
            f"{packages.count} packages",
            f"packages-{machine.base.family}.sh.j2",
            packages.for_template(),
            caches=family.caches,
            installs=True,
        )
    chain.add_accounts("users-of-packages", accounts_of_packages(machine))
    if machine.files:
        inside = payload(machine)
        chain.add("files", "files", "files.sh.j2", {"folders": folders},
                  inputs={"files": inside} if inside else None)  # fmt: skip
    for script in machine.run:
        if not script.before_packages:
            chain.add_script(script)
    if volumes := _owned_volumes(machine):
        names = ", ".join(volume.name for volume in volumes)
        chain.add("volumes", f"volumes {names}", "volumes.sh.j2", {"volumes": volumes})
    chain.add("machine", "services and setup", "machine.sh.j2",
              {"etc": any(path.startswith("etc/") for path in scripts),
               "dated": DATED if "dated.list" in chain.lock else ""},
              inputs={"machine": scripts})  # fmt: skip
    if init:
        chain.add("init", "systemd and its units", "init.sh.j2", {"units": UNITS})
    return tuple(chain.steps)


def until_packages(machine: Machine, taken: Sequence[Step]) -> Sequence[Step]:
    """Those of a machine's steps that come before its files and the scripts after its packages."""
    after = bool(machine.files) + sum(not script.before_packages for script in machine.run)
    after += bool(_owned_volumes(machine))
    return taken[: len(taken) - 1 - after]


def _owned_volumes(machine: Machine) -> tuple[Volume, ...]:
    """The volumes whose owner or mode is said."""
    return tuple(each for each in machine.volumes if each.owner is not None or each.mode is not None)


class _Chain:
    """Steps in order; the digest of each covers those before it."""

    def __init__(self, machine: Machine, *, systemd: bool) -> None:
        self.steps: list[Step] = []
        self._systemd = systemd
        self._machine = machine
        self.lock = lock_files(machine)

    def add(
        self,
        name: str,
        title: str,
        template: str,
        context: Mapping[str, object],
        *,
        inputs: Mapping[str, Mapping[str, RenderedFile]] | None = None,
        caches: tuple[str, ...] = (),
        locale: str = "C.UTF-8",
        secrets: tuple[str, ...] = (),
        installs: bool = False,
    ) -> None:
        number = (len(self.steps) + 1) * 10
        inputs = inputs or {}
        patient = installs and self._machine.base.family == "apt"
        locked = installs and bool(self.lock)
        if locked:
            inputs = {**inputs, FOLDER: self.lock}
        patience = {"seconds": ANSWER_WITHIN, "retries": RETRIES}
        known = {"machine": self._machine, "locked": locked, **patience, **context}
        body = render(f"shared/{template}", known)
        covered = [self.steps[-1].digest if self.steps else self._machine.base.image, name, body]
        covered += [folder + digest_of(files) for folder, files in inputs.items()]
        covered += [f"secret {secret}" for secret in secrets]
        digest = hashlib.sha256("\0".join(covered).encode()).hexdigest()[:32]
        script = render(
            "shared/step.sh.j2",
            {
                "locale": locale,
                "search_path": DEFAULT_PATH,
                "title": title,
                "body": body,
                "record": f"{RECORDS}/{digest}",
                "name": name,
                "trusting": TRUSTING if trust_variables(self._machine) else (),
                "locked": locked,
                "patient": patient,
                **patience,
                "epoch": epoch_of(self._machine) if self.lock else None,
            },
        )
        self.steps.append(
            Step(
                name=f"{number:03}-{name}",
                title=title,
                script=script,
                digest=digest,
                inputs=tuple(inputs),
                caches=caches,
                secrets=secrets,
            )
        )

    def add_accounts(self, name: str, made: Accounts) -> None:
        """A step that makes users and groups, where there are any."""
        users = [user.name for user in made.users]
        groups = [group.name for group in (*made.numbered, *made.groups)]
        if users or groups:
            title = f"users {', '.join(users)}" if users else f"groups {', '.join(groups)}"
            context = {"accounts": made, "gid_of": gid_of, "first_uid": FIRST_OF_PEOPLE}
            self.add(name, title, "users.sh.j2", context)

    def add_script(self, script: Script) -> None:
        self.add(
            script.name,
            f"run: {script.name}",
            "script.sh.j2",
            {
                "script": script,
                "path": "",
                "mark": heredoc_mark(script.script),
                "systemd": self._systemd,
                "units": UNITS,
            },
            caches=FAMILIES[self._machine.base.family].caches,
            locale=self._machine.locale,
            secrets=script.secrets,
            installs=True,
        )


def heredoc_mark(text: str) -> str:
    """A line that ends a here-document of `text`, and stands nowhere in it."""
    mark = "END"
    while mark in text:
        mark = f"{mark}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return mark
