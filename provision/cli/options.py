"""Arguments that verbs share: SPEC, --backend, --set, --name and others."""

from __future__ import annotations

import functools
import os
import shlex
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click

from provision.backends import HOST
from provision.cli import host
from provision.cli.show import say
from provision.engine import Request
from provision.errors import ProvisionError, SpecError, UsageError
from provision.handover.there import NAME
from provision.hints import complete
from provision.model import WORDS
from provision.registry import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from provision.engine import LockUse
    from provision.model import Word

P = ParamSpec("P")
R = TypeVar("R")

AUTO = "auto"
CHOOSING = ("up", "plan", "render", "validate", "explain")  # the verbs for which auto chooses again
SPEC_ENDINGS = (".yaml", ".yml")


def with_request(command: Callable[Concatenate[Request, P], R]) -> Callable[P, R]:
    """Add SPEC and the options that say which environment is meant to a command."""

    @click.argument("spec", required=False, type=click.Path(path_type=Path))
    @functools.wraps(command)
    def with_spec(*args: P.args, **options: P.kwargs) -> R:
        request = collect(options)
        with completing(request):
            return command(request, *args, **options)

    return environment_options(with_spec)


def with_request_and_backends(
    meaning: str, *, words: str = ""
) -> Callable[[Callable[Concatenate[Request, tuple[str, ...], P], R]], Callable[P, R]]:
    """Like `with_request`, for a command on several backends: it gets their names too, each once.

    The request is for the first of them.

    Args:
        meaning: what `-b` says in the help.
        words: shows in the help what may follow SPEC; the command gets it as `words`. Empty: nothing may.
    """
    spec_argument = (
        click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar=words)
        if words
        else click.argument("spec", required=False, type=click.Path(path_type=Path))
    )

    def decorate(command: Callable[Concatenate[Request, tuple[str, ...], P], R]) -> Callable[P, R]:
        @spec_argument
        @click.option("-b", "--backend", "names", multiple=True, help=meaning)  # fmt: skip
        @functools.wraps(command)
        def with_backends(*args: P.args, **options: P.kwargs) -> R:
            names = options.pop("names")
            assert isinstance(names, tuple)  # noqa: S101 - click's multiple=True
            names = names or _offered()
            options["backend"] = names[0]
            if words:
                given = list(options["words"])  # type: ignore[call-overload]
                if given and given[0].endswith(SPEC_ENDINGS):
                    options["spec"] = Path(given.pop(0))
                options["words"] = tuple(given)
            names = tuple(dict.fromkeys(names))
            request = collect(options, names)
            with completing(request):
                return command(request, names, *args, **options)

        return variation_options(with_backends)

    return decorate


def _offered() -> tuple[str, ...]:
    from provision import backends

    return backends.offered()


def with_request_and_words(
    metavar: str, *, at_least: int = 0
) -> Callable[[Callable[Concatenate[Request, P], R]], Callable[P, R]]:
    """Like `with_request`, for a command whose words may begin with SPEC.

    Args:
        metavar: shows the words in the help.
        at_least: so many words follow SPEC; of no more, none is SPEC, whatever it ends with.
    """

    def decorate(command: Callable[Concatenate[Request, P], R]) -> Callable[P, R]:
        @click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar=metavar)
        @functools.wraps(command)
        def with_words(*args: P.args, **options: P.kwargs) -> R:
            words = list(options.pop("words"))  # type: ignore[call-overload]
            named = len(words) > at_least and words[0].endswith(SPEC_ENDINGS)
            spec = Path(words.pop(0)) if named else None
            if words and words[0] == "--":
                words.pop(0)
            request = collect({**options, "spec": spec})
            for name in _ENVIRONMENT:
                options.pop(name, None)
            with completing(request):
                return command(request, *args, words=tuple(words), **options)  # type: ignore[arg-type]

        return environment_options(with_words)

    return decorate


_ENVIRONMENT = ("backend", "settings", "name", "local", "allow")


def environment_options(command: Callable[P, R]) -> Callable[P, R]:
    """The options that say which environment of a spec is meant."""
    return variation_options(backend_option(command))


def variation_options(command: Callable[P, R]) -> Callable[P, R]:
    """Those of them that select a variation of a spec, in any backend."""
    for option in (
        click.option("--set", "settings", multiple=True, metavar="NAME=VALUE",
                     help="Override a variable of the spec."),
        click.option("--name", metavar="NAME", help="Use another name than the spec's."),
        local_option,
        allow_option,
    ):  # fmt: skip
        command = option(command)
    return command


def local_option(command: Callable[P, R]) -> Callable[P, R]:
    """`--no-local`."""
    return click.option("--no-local", "local", flag_value=False, default=True,
                        help="Ignore NAME.local.yaml; implied by CI=true.")(command)  # fmt: skip


def allow_option(command: Callable[P, R]) -> Callable[P, R]:
    """`--allow`."""
    return click.option("--allow", multiple=True, metavar="WORD",
                        help="Allow, for this call, what the spec wants beyond its machines: "
                             f"{', '.join(WORDS)}. Or $PROVISION_ALLOW.")(command)  # fmt: skip


def backend_option(command: Callable[P, R]) -> Callable[P, R]:
    """`--backend`."""
    return click.option("-b", "--backend", envvar="PROVISION_BACKEND", default=DEFAULT,
                        show_default=True,
                        help="docker, vm, swarm or auto; or $PROVISION_BACKEND.")(command)  # fmt: skip


def collect(options: dict[str, object], names: Sequence[str] = ()) -> Request:
    """The request that the shared options describe; takes them out of `options`.

    Args:
        options: of the verb.
        names: all backends that the verb is about, if they are several.
    """
    from provision import backends, spec

    given = options.pop("spec", None)
    backend = str(options.pop("backend"))
    if backend != AUTO:
        backends.require(backend)
    settings: dict[str, str] = {}
    texts = options.pop("settings")
    assert isinstance(texts, tuple)  # noqa: S101 - click's multiple=True
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--set")
        settings[name] = value
    in_ci = os.environ.get("CI") == "true"
    path = given if isinstance(given, Path) else spec.find_spec(Path())
    request = Request(
        spec=path,
        backend=backend,
        settings=settings,
        name=_text(options.pop("name")),
        local=bool(options.pop("local")) and not in_ci,
        allow=words_of(options.pop("allow")),
        lock=_lock_use(options.pop("frozen", False), options.pop("no_lock", False), path),
    )
    if request.local and (layer := spec.tracked_layer(request.spec)) is not None:
        say(f"warning: git tracks {layer}, so it belongs to the repository, not to you", err=True)
    with completing(request):
        if backend == AUTO:
            request = _resolved(request)
        host.hand_over_if_elsewhere(request, names)
        return request


def words_of(texts: object) -> tuple[Word, ...]:
    """The words of `--allow`, which may be given several times, and hold several with commas."""
    from provision.trust import read_words

    assert isinstance(texts, tuple)  # noqa: S101 - click's multiple=True
    return tuple(dict.fromkeys(word for text in texts for word in read_words(str(text), "--allow")))


def _resolved(request: Request) -> Request:
    """The request with `auto` replaced: by where the environment is up, else by what fits spec and host."""
    from provision.selection import choose, chosen_before

    if click.get_current_context().info_name not in CHOOSING and (before := chosen_before(request)):
        return replace(request, backend=before)
    choice = choose(request)
    say(f"{choice.backend}: {choice.reason}", err=True)
    return replace(request, backend=choice.backend)


def as_arguments(request: Request) -> str:
    """The arguments by which another verb means the same environment."""
    words = [word for words in _options(request).values() for word in words]
    return shlex.join([str(request.spec), *words])


def completed(text: str, request: Request) -> str:
    """A message with its commands completed, so that each means this environment."""
    from provision import spec

    try:
        needed = request.spec != spec.find_spec(Path())
    except UsageError:
        needed = True
    options = {name: [shlex.quote(word) for word in words] for name, words in _options(request).items()}
    return complete(text, shlex.quote(str(request.spec)) if needed else "", options)


@contextmanager
def completing(request: Request) -> Iterator[None]:
    """Complete the hints of whatever error comes through."""
    try:
        yield
    except ProvisionError as error:
        error.hint = completed(error.hint, request)
        for problem in error.problems if isinstance(error, SpecError) else ():
            problem.hint = completed(problem.hint, request)
        raise


def _options(request: Request) -> dict[str, list[str]]:
    settings = [word for name, value in request.settings.items() for word in ("--set", f"{name}={value}")]
    in_ci = os.environ.get("CI") == "true"
    return {
        "-b": ["-b", request.backend] if request.backend != DEFAULT else [],
        "--host": ["--host", named] if (named := os.environ.get(HOST) or os.environ.get(NAME)) else [],
        "--name": ["--name", request.name] if request.name else [],
        "--set": settings,
        "--no-local": ["--no-local"] if not request.local and not in_ci else [],
        "--allow": ["--allow", ",".join(request.allow)] if request.allow else [],
        "--no-lock": ["--no-lock"] if request.lock == "not at all" else [],
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def machine_option(command: Callable[P, R]) -> Callable[P, R]:
    """`--machine`, for the verbs that enter one."""
    return click.option("-m", "--machine", metavar="NAME", help="Select one of several machines.")(command)


def lock_options(command: Callable[P, R]) -> Callable[P, R]:
    """`--frozen` and `--no-lock`, for the verbs to which it matters which versions are taken."""
    for option in (
        click.option("--no-lock", is_flag=True, help="Ignore NAME.lock.yaml."),
        click.option("--frozen/--no-frozen", default=None,
                     help="Take exactly what NAME.lock.yaml has, or fail. "
                          "Default: only with CI=true, where there is a lock."),
    ):  # fmt: skip
        command = option(command)
    return command


def _lock_use(frozen: object, no_lock: object, spec: Path) -> LockUse:
    """What of a lock is to be used."""
    if no_lock:
        if frozen:
            raise UsageError("--frozen and --no-lock exclude each other", hint="leave one of them out")
        return "not at all"
    if frozen is None and os.environ.get("CI") == "true":
        from provision.spec.paths import lock_of

        frozen = lock_of(spec).exists()
    return "exactly" if frozen else "where it fits"


def timeout_option(command: Callable[P, R]) -> Callable[P, R]:
    """`--timeout`, for the verbs that wait."""
    return click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=900,
                        show_default=True, metavar="SECONDS",
                        help="Time for each machine to become ready, setup included.")(command)  # fmt: skip


def format_option(command: Callable[P, R]) -> Callable[P, R]:
    """`--format`, for the answers that a program may read."""
    return click.option(
        "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
    )(command)


def html_option(command: Callable[P, R]) -> Callable[P, R]:
    """`--html`, for the answers that people show each other."""
    return click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
                        help="Write it as a web page too: one file.")(command)  # fmt: skip


class TakesCommand(click.Command):
    """A command whose last arguments belong to another program.

    They begin after `--`, or, without it, at the first word that is neither SPEC nor an
    option of ours.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse our own arguments; keep the rest unchanged."""
        dashes = args.index("--") if "--" in args else None
        ctx.allow_interspersed_args = dashes is not None
        spec = args[:1] if args and args[0].endswith(SPEC_ENDINGS) else []
        ours, rest = (args, []) if dashes is None else (args[:dashes], args[dashes:])
        unread = super().parse_args(ctx, ours[len(spec) :])
        ctx.params["words"] = (*spec, *ctx.params.get("words", ()), *rest)
        return unread
