"""What people type who come from Compose, Vagrant or Molecule, and what it is called here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click import NoSuchOption, UsageError

from provision.hints import command

if TYPE_CHECKING:
    from click import ClickException, Context

VERBS = {
    "attach": "logs -f",
    "box": "bases",
    "build": "up",
    "config": "render",
    "converge": "up",
    "convert": "render",
    "create": "up",
    "destroy": "down",
    "global-status": "list",
    "halt": "stop",
    "images": "gc",
    "kill": "stop",
    "login": "shell",
    "provision": "up",
    "prune": "gc",
    "ps": "status",
    "reload": "up",
    "resume": "unpause",
    "rm": "down",
    "rsync": "sync",
    "run": "exec",
    "scale": "up",
    "stats": "top",
    "suspend": "pause",
    "version": "--version",
}
_UP_RETURNS = "`up` returns once all is ready, and the machines stay up"
_AS_THEY_ARE = "`exec` takes its terminal and its input as they are: leave it out"
OPTIONS = {
    "up": {
        **dict.fromkeys(("-d", "--detach"), _UP_RETURNS),
        "--wait": "`up` always waits until all is ready",
        "--build": "`up` builds whatever has changed; --rebuild builds all of it again",
        "--force-recreate": f"remove the machines first: {command('down')}",
        "--scale": "the spec says how many: `count`",
        "--provider": "set it in the spec, backends.vm.provider, or in $PROVISION_PROVIDER",
        "--provision": "`up` applies whatever has changed",
    },
    "exec": {
        **dict.fromkeys(("-i", "-t", "-T"), _AS_THEY_ARE),
        "-e": f"set it inside: {command('exec', '--', 'env', 'NAME=VALUE', 'COMMAND…')}",
    },
    "down": {
        "--rmi": "--images removes what was built for it",
        "-f": "`down` asks nothing: leave it out",
        "--remove-orphans": "`down` removes all that is this environment's, and nothing else",
    },
}
_SPEC = "the spec is an argument: `provision {verb} envs/dev.yaml`"
_NAME = "an environment's name is --name"
ANYWHERE = {"--file": _SPEC, "-f": _SPEC, "-p": _NAME, "--project-name": _NAME}


class UnknownVerb(UsageError):
    """A verb that `provision` does not have."""

    def __init__(self, verb: str, context: Context, near: str | None) -> None:
        meant = f" Did you mean {near}?" if near and verb not in VERBS else ""
        super().__init__(f"There is no verb {verb!r}.{meant}", context)
        self.verb = verb


def hint(error: ClickException) -> str | None:
    """What to type instead; None where nobody brings this word from another tool."""
    if isinstance(error, UnknownVerb):
        return f"here it is {command(VERBS[error.verb])}" if error.verb in VERBS else None
    if isinstance(error, NoSuchOption) and error.ctx is not None:
        verb = error.ctx.info_name or ""
        known = OPTIONS.get(verb, {}).get(error.option_name) or ANYWHERE.get(error.option_name)
        return known and known.format(verb=verb)
    return None
