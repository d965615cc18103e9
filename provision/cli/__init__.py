"""The command line: arguments in; text and an exit code out. Verbs are loaded when they are called."""

from __future__ import annotations

import importlib

import click

VERBS = {
    "validate": "Check a spec and report every problem in it.",
    "render": "Show or write the files for the engine.",
    "explain": "Compare container and virtual machine for this spec and host.",
    "plan": "Show what up would do, without changing anything.",
    "up": "Bring the environment up and verify it.",
    "verify": "Check the running environment against the spec.",
    "status": "Show the machines, their ports and services.",
    "list": "List all your environments.",
    "exec": "Run a command in a machine.",
    "shell": "Open a shell in a machine.",
    "ssh": "Log in to a machine by ssh.",
    "ssh-config": "Print what ssh needs to reach the machines.",
    "cp": "Copy files into a machine, or out of it.",
    "port": "Show where this host reaches a port of a machine.",
    "open": "Open a published port in the browser.",
    "restart": "Restart services and wait until they are ready.",
    "logs": "Show the output of the services.",
    "top": "Show what the machines take of this host.",
    "events": "Show what happens to the machines.",
    "inventory": "Show all that is in a running machine.",
    "diff": "Compare container and VM, two machines, or a saved inventory.",
    "compare": "Measure what container and virtual machine cost on this host.",
    "graph": "Draw the machines, ports, volumes and needs.",
    "lock": "Write down the versions of everything, for the same environment later.",
    "outdated": "Show which locked versions are older than the archives' newest.",
    "test": "Bring a spec up in several backends, verify, compare, take it down.",
    "sync": "Copy changed folders into the machine.",
    "watch": "Bring up whatever changes, each time the spec or one of its files does.",
    "stop": "Stop the machines and keep them.",
    "start": "Start what stop stopped, as it was last applied.",
    "snapshot": "Save and restore machines and volumes.",
    "pause": "Let the machines stand still in memory.",
    "unpause": "Let paused machines go on.",
    "down": "Remove the machines.",
    "gc": "Remove what nobody needs any more on this host.",
    "parts": "List the parts that a spec may extend, or print one.",
    "bases": "List the bases, or build one from its mirror.",
    "schema": "Print the JSON Schema of the spec.",
    "trust": "Allow a project what its spec wants beyond its machines, or revoke it.",
    "doctor": "Show what this host supports and what is missing.",
    "completion": "Print the completion script of a shell.",
}


ALIASES = {"ls": "list"}
HIDDEN = ("ssh-proxy",)  # what other programs call: in no list, and no completion


class Verbs(click.Group):
    """A group whose commands are modules of this package, imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's contract
        """Every verb, in the order in which a newcomer meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's contract
        """The command of a verb."""
        cmd_name = ALIASES.get(cmd_name, cmd_name)
        if cmd_name not in (*VERBS, *HIDDEN):
            return None
        module = importlib.import_module(f"provision.cli.{cmd_name.replace('-', '_')}")
        command = module.command
        assert isinstance(command, click.Command)  # noqa: S101 - our own module
        from provision.cli import host, verbose

        return host.add_option(verbose.add_option(command))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; a mistyped one is answered with the nearest."""
        if args and args[0] not in (*VERBS, *ALIASES, *HIDDEN) and not args[0].startswith("-"):
            from difflib import get_close_matches

            from provision.cli.habits import UnknownVerb

            raise UnknownVerb(args[0], ctx, next(iter(get_close_matches(args[0], VERBS, 1)), None))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's contract
        """List the verbs without importing any."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


def _version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's contract
    if wanted:
        from provision import __version__

        click.echo(f"provision {__version__}")
        context.exit()


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: provision up envs/dev.yaml",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
              help="Show the version.")  # fmt: skip
def commands() -> None:
    """One YAML spec, the same environment as containers or virtual machines."""
