"""provision completion."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a shell's completion script.

    For bash: provision completion bash > ~/.local/share/bash-completion/completions/provision
    """
    from provision.cli import commands

    made = get_completion_class(shell)
    assert made is not None  # noqa: S101 - the three shells that click knows
    click.echo(made(commands, {}, "provision", "_PROVISION_COMPLETE").source())
