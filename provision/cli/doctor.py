"""provision doctor."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option
from provision.cli.show import progress, say
from provision.progress import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.backends.base import Finding


@click.command("doctor")
@format_option
@click.option("-b", "--backend", help="Check only this backend.")
def command(form: str, backend: str | None) -> None:
    """Show what this host supports, what is missing, and how to fix it; and whether your registry answers.

    The exit code is 3 if no backend (or the one given with -b) is usable.
    """
    from provision import backends, sharing

    names = (backend,) if backend else backends.offered()
    with progress().wait("checking this host"):
        findings = {name: backends.find(name).examine() for name in names}
        registry = None if backend else sharing.examine()
    usable = {name: backends.find(name).is_usable(of_backend) for name, of_backend in findings.items()}
    if form == "json":
        answer = [
            {"name": name, "usable": usable[name],
             "findings": [dataclasses.asdict(finding) for finding in of_backend]}
            for name, of_backend in findings.items()
        ]  # fmt: skip
        shared = dataclasses.asdict(registry) if registry else None
        click.echo(json.dumps({"backends": answer, "registry": shared}, indent=2))
    else:
        for name, of_backend in findings.items():
            say(f"{name}: {'usable' if usable[name] else 'not usable'}", bold=True)
            _show(of_backend)
        if registry:
            say(f"registry: {'usable' if registry.usable else 'not usable'}", bold=True)
            _show([registry])
    if not any(usable.values()):
        raise click.exceptions.Exit(3)


def _show(findings: Sequence[Finding]) -> None:
    for finding in findings:
        mark = click.style("✓", fg="green") if finding.usable else click.style("✗", fg="red")
        click.echo(f"  {mark} {visible(f'{finding.subject}: {finding.detail}')}")
        if finding.hint:
            say(f"      {finding.hint}")
