"""`vars`, and `${{ … }}` in the strings of a spec."""

from __future__ import annotations

import re
import shlex
from contextlib import contextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import TYPE_CHECKING, TypeAlias

from provision.errors import UsageError
from provision.spec.demands import shown
from provision.spec.problems import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from provision.spec.demands import Demands
    from provision.spec.problems import Problems
    from provision.spec.tree import Node

Plain: TypeAlias = "str | int | float | bool"

OPEN, CLOSE = "${{", "}}"
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_MARK = re.compile("[\ue000-\U0010ffff]")
_LOOKUP = re.compile(r"\s*([A-Za-z_]\w*)(?:\.([A-Za-z_]\w*))?\s*", re.ASCII)
_IN_SCRIPT = re.compile(r"\$\{\{\s*vars\s*[.\[]")
_FORM = "write ${{ vars.NAME }}"
HOST_PREFIX = "PROVISION_VAR_"
_HARMLESS = frozenset({"EDITOR", "LANG", "SHELL", "TERM", "TZ", "USER"})
_PROXIES = frozenset({"ALL_PROXY", "FTP_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})


class Variables:
    """What an expression sees: `vars`, `env.name`, `backend`, `machine.name`, `machine.index`.

    Args:
        vars: the values of `vars`.
        name: of the environment.
        machine: whose values are filled in; the environment's one is called as it is.
        index: of the machine among its equals, from 1.
        backend: the backend that the spec is read for.
        problems: takes every expression that cannot be filled in.
    """

    def __init__(
        self,
        vars: Mapping[str, Plain],  # noqa: A002 - the spec's own word
        *,
        name: str,
        machine: str = "",
        index: int = 1,
        backend: str,
        problems: Problems,
    ) -> None:
        self.vars = vars
        self.name = name
        self.machine = machine or name
        self.index = index
        self.backend = backend
        self._problems = problems

    def fill(self, node: Node, path: tuple[str, ...] = ()) -> Node:
        """The tree with every string filled in, except scripts and commands.

        A value that is one expression keeps the type of what it stands for.
        """
        value = node.value
        if len(path) == 1 and (path[0] in ("vars", "machines") or path[0].startswith("x-")):
            return node  # vars are known already, each machine has its own, x- is nobody's matter
        if isinstance(value, str):
            if OPEN not in value:
                return node
            if _is_script(path):
                self._refuse_in_script(value, node)
                return node
            if _is_command(path):
                return node  # its words are split first
            filled = node.with_value(self._filled(value, node))
            filled.text = _text(filled.value)
            return filled
        if isinstance(value, dict):
            for key, child in value.items():
                if OPEN in key:
                    self._problems.add("a key cannot hold ${{ }}", child.key_origin, "write the key out")
            return node.with_value({k: self.fill(v, (*path, k)) for k, v in value.items()})
        if isinstance(value, list):
            return node.with_value([self.fill(item, (*path, "[]")) for item in value])
        return node

    def words(self, node: Node) -> tuple[str, ...]:
        """The words of a command, split as a POSIX shell would, then filled in."""
        text = node.value
        if not isinstance(text, str):
            return ()
        found: list[str] = []

        def hide(match: re.Match[str]) -> str:
            found.append(match[0])
            return chr(0xE000 + len(found) - 1)  # no shell splits or quotes at these

        hidden = _replaced(hide, text) if OPEN in text else text
        try:
            words = shlex.split(hidden)
        except ValueError:
            self._problems.add(
                "the quotes of the command do not match",
                node,
                "a command is split as a POSIX shell would: close the quote, or escape it with \\",
            )
            return ()
        if not words:
            self._problems.add("the command is empty", node, "name the program to run")
            return ()
        if OPEN not in text:
            return tuple(words)

        def reveal(mark: re.Match[str]) -> str:
            number = ord(mark[0]) - 0xE000
            return found[number] if number < len(found) else mark[0]

        return tuple(_text(self._filled(_MARK.sub(reveal, word), node)) for word in words)

    def _filled(self, text: str, node: Node) -> Plain:
        alone = _EXPRESSION.fullmatch(text)
        if alone is not None and CLOSE not in alone[1]:
            return self._affordable(self._evaluate(alone[1], node), node)
        if OPEN in _replaced(lambda _: "", text):
            self._problems.add("${{ is not closed by }}", node, _FORM)
            return text
        return _replaced(lambda match: _text(self._affordable(self._evaluate(match[1], node), node)), text)

    def _affordable(self, value: Plain, node: Node) -> Plain:
        """The value that is filled in; an empty one where all of them are too long together."""
        budget = self._problems.budget
        if not isinstance(value, str) or budget.filled < 0:
            return "" if budget.filled < 0 else value
        budget.filled -= len(value)
        if budget.filled >= 0:
            return value
        self._problems.add(
            "the values filled in so far are too long",
            node,
            "put long text into a file, and name it as a source",
        )
        return ""

    def _evaluate(self, expression: str, node: Node) -> Plain:
        simple = _LOOKUP.fullmatch(expression)
        if simple is not None:
            return self._look_up(simple[1], simple[2], node)
        # Most specs only look names up; Jinja is imported where one does more.
        from provision.spec import expressions

        try:
            value = expressions.evaluate(expression, self.context(), self._problems.budget)
        except expressions.SpentError:
            return ""
        except expressions.ExpressionError as error:
            self._problems.add(f"{OPEN}{expression}{CLOSE}: {error}", node, self._hint(error.name) or _FORM)
            return ""
        if isinstance(value, str) and not _is_sound(value):
            self._problems.add(
                f"{OPEN}{expression}{CLOSE} contains a character that no file or variable can hold",
                node,
                "leave out NUL and lone surrogates",
            )
            return ""
        return value

    def context(self) -> dict[str, object]:
        """The names that an expression knows."""
        return {
            "vars": SimpleNamespace(**self.vars),
            "env": SimpleNamespace(name=self.name),
            "machine": SimpleNamespace(name=self.machine, index=self.index),
            "backend": self.backend,
        }

    def _look_up(self, first: str, second: str | None, node: Node) -> Plain:
        if first == "vars" and second is not None and second in self.vars:
            return self.vars[second]
        facts: dict[tuple[str, str | None], Plain] = {
            ("env", "name"): self.name,
            ("machine", "name"): self.machine,
            ("machine", "index"): self.index,
            ("backend", None): self.backend,
        }
        if (first, second) in facts:
            return facts[first, second]
        if second is None and first in ("vars", "env", "machine"):
            self._problems.add(f"{first} is a map, not a value", node, self._hint(f"{first}."))
            return ""
        name = first if second is None else f"{first}.{second}"
        self._problems.add(f"{name} is not defined", node, self._hint(name))
        return ""

    def _hint(self, name: str) -> str:
        facts = ("env.name", "machine.name", "machine.index", "backend")
        known = [*(f"vars.{key}" for key in self.vars), *facts]
        return did_you_mean(name, known) if name else ""

    def _refuse_in_script(self, script: str, node: Node) -> None:
        if _IN_SCRIPT.search(script):
            self._problems.add(
                "${{ }} does not work in a script: a value inserted into a shell would be code",
                node,
                'give the step or service an env, and use "$NAME" in the script',
            )


def _replaced(by: Callable[[re.Match[str]], str], text: str) -> str:
    """A text with its expressions replaced; what follows the last `}}` is not looked through for one."""
    end = text.rfind(CLOSE) + len(CLOSE) if CLOSE in text else 0
    return _EXPRESSION.sub(by, text[:end]) + text[end:]


def _is_script(path: tuple[str, ...]) -> bool:
    return _place(path) in (
        ("run", "[]"), ("run", "[]", "script"), ("setup", "[]"), ("setup", "[]", "script"),
        ("services", "*", "script"), ("services", "*", "ready", "script"),
        ("checks", "[]", "script"),
    )  # fmt: skip


def _is_command(path: tuple[str, ...]) -> bool:
    return _place(path) in (
        ("services", "*", "command"), ("services", "*", "ready", "command"),
        ("checks", "[]", "command"),
    )  # fmt: skip


def _place(path: tuple[str, ...]) -> tuple[str, ...]:
    if path[:1] == ("backends",):
        path = path[2:]
    return (path[0], "*", *path[2:]) if path[:1] == ("services",) else path


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_sound(text: str) -> bool:
    """Whether programs can be given it: no NUL, and every character is one of UTF-8's."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def refuse_unknown_settings(settings: Mapping[str, str], known: Collection[str]) -> None:
    """Raise UsageError if a setting names none of the variables."""
    for name in settings:
        if name not in known:
            raise UsageError(
                f"the spec has no variable {name} to set",
                hint=did_you_mean(name, known) if known else "declare it in vars",
            )


def resolve_vars(
    nodes: Mapping[str, Node],
    *,
    settings: Mapping[str, str],
    host: Mapping[str, str],
    variables: Callable[[Mapping[str, Plain]], Variables],
    demands: Demands,
    problems: Problems,
) -> dict[str, Plain]:
    """The value of each of `vars`: of the command line, else of the host, else of the spec.

    Args:
        nodes: `vars` of the spec, after layers.
        settings: `--set NAME=VALUE`; a value takes the type of the spec's own.
        host: the host's variables, for `PROVISION_VAR_NAME` and `{env: NAME}`.
        variables: makes what an expression in a value sees, of those before it.
        demands: asks for the host's variables.
        problems: takes values that cannot be.
    """
    values: dict[str, Plain] = {}
    for name, node in nodes.items():
        _refuse_loss(node, problems)
        default, variable = _declared(variables(values).fill(node))
        outside = settings.get(name, host.get(HOST_PREFIX + name, host.get(HOST_PREFIX + name.upper())))
        given: Plain | None = None
        if outside is None and variable is not None and _may_read(name, variable, default, node, demands):
            given = host.get(variable)
        for text in (outside, given):
            if isinstance(text, str) and not _is_sound(text):
                raise UsageError(
                    f"the value given for the variable {name} is not UTF-8", hint="give it another"
                )
        if outside is not None:
            given = _as(outside, default, name, node, problems)
        elif given is None:
            given = default
        if given is None:
            given = ""
            if variable is not None and not problems.at(node):
                problems.add(
                    f"vars.{name} comes from the host variable {variable}, which is not set",
                    node,
                    f"set it, give a default, or use --set {name}=VALUE",
                )
        values[name] = given
    return values


def _refuse_loss(node: Node, problems: Problems) -> None:
    """A number that would read otherwise where it is put into a text: 3.10, 007."""
    if isinstance(node.value, dict):
        for child in node.value.values():
            _refuse_loss(child, problems)
    elif isinstance(node.value, int | float) and _text(node.value) != node.text.lower():
        problems.add(f"{node.text} is read as the number {node.value}", node, f'quote it: "{node.text}"')


def _declared(node: Node) -> tuple[Plain | None, str | None]:
    """The spec's own value, and the host's variable that goes before it."""
    value = node.value
    if not isinstance(value, dict):
        return (None if isinstance(value, list) else value), None
    variable = value["env"].value if "env" in value else None
    default = value["default"].value if "default" in value else None
    return (
        None if isinstance(default, dict | list) else default,
        variable if isinstance(variable, str) else None,
    )


_noted: ContextVar[set[str] | None] = ContextVar("noted", default=None)


@contextmanager
def noting_variables() -> Iterator[set[str]]:
    """A set that gets the name of each host variable that a spec names within."""
    names: set[str] = set()
    token = _noted.set(names)
    try:
        yield names
    finally:
        _noted.reset(token)


def _note(variable: str) -> None:
    if (noted := _noted.get()) is not None:
        noted.add(variable)


def ask_for_variable(who: str, variable: str, node: Node, demands: Demands) -> bool:
    """Whether a host variable can be read; a problem if not."""
    _note(variable)
    return _is_harmless(variable) or demands.ask(
        "host-env", _reads(who, variable), node, f"{who} uses the host variable {variable}",
        "leave it out, or give it a value of its own",
    )  # fmt: skip


def _may_read(name: str, variable: str, default: Plain | None, node: Node, demands: Demands) -> bool:
    who = f"vars.{name}"
    if default is None:
        return ask_for_variable(who, variable, node, demands)
    _note(variable)
    return _is_harmless(variable) or demands.offer(
        "host-env", _reads(who, variable), node, f"{who} gets its default"
    )


def _reads(who: str, variable: str) -> str:
    return f"{shown(who)} uses the host variable ${shown(variable)}"


def _is_harmless(variable: str) -> bool:
    """Whether every spec can read a host variable: those about editors, terminals and proxies."""
    return variable in _HARMLESS or variable.upper() in _PROXIES or variable.startswith("LC_")


def _as(text: str, default: Plain | None, name: str, node: Node, problems: Problems) -> Plain:
    """A value from outside in the type of the spec's own."""
    if isinstance(default, bool):
        if text in ("true", "false"):
            return text == "true"
        title = "true or false"
    elif isinstance(default, int):
        if re.fullmatch(r"0|-?[1-9][0-9]{0,299}", text):
            return int(text)
        title = "a whole number"
    elif isinstance(default, float):
        if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) and text in (
            str(float(text)),
            f"{float(text):g}",
        ):
            return float(text)
        title = "a number, like the spec's own value"
    else:
        return text
    problems.add(
        f"vars.{name} must be {title}; it was set to {text}",
        node,
        "set it to another value, or quote the spec's own value if it is a string",
    )
    return default
