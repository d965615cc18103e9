"""Jinja for what a person wrote: expressions in a spec and templates of files, sandboxed."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from jinja2.runtime import Context

LARGEST = 1_000_000
_FILE = "the template"


class ExpressionError(Exception):
    """An expression or template that cannot be filled in; `line` counts from 1.

    `name` is what was not defined, if that is why.
    """

    def __init__(self, message: str, *, name: str = "", line: int = 1) -> None:
        super().__init__(message)
        self.name = name
        self.line = line


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja that reaches no Python and grows no value without bound."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuse products that would fill the memory."""
        if operator == "%" and isinstance(left, str):
            raise TemplateError("% does not format here; use ~ to join")
        numbers = [abs(value) for value in (left, right) if isinstance(value, int | float)]
        lengths = [len(value) for value in (left, right) if hasattr(value, "__len__")]
        if any(number > LARGEST for number in numbers) or any(
            length * number > LARGEST for length in lengths for number in numbers
        ):
            raise TemplateError(f"{operator} is for numbers and texts up to {LARGEST}")
        if operator == "**" and len(numbers) == 2 and numbers[1] > 64:
            raise TemplateError("** is for powers up to 64")
        return super().call_binop(context, operator, left, right)


def _jinja() -> _Sandbox:
    jinja = _Sandbox(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    jinja.globals.pop("lipsum", None)  # needs the random module's mood: a spec gives equal bytes
    return jinja


def evaluate(expression: str, context: Mapping[str, object]) -> str | int | float | bool:
    """What an expression stands for: a string, a number or a truth value.

    Raises:
        ExpressionError: bad syntax, an undefined name, a value of another kind.
    """
    jinja = _jinja()
    try:
        value = jinja.compile_expression(expression, undefined_to_none=False)(**context)
        if isinstance(value, str | int | float | bool):
            return value
        if isinstance(value, StrictUndefined):
            str(value)  # raises what is undefined
    except Exception as error:  # whatever a person's expression does is theirs to mend
        raise _explain(error, jinja, "{{" + expression + "}}", context) from error
    raise ExpressionError("it must give a string, a number, true or false")


def fill_template(text: str, context: Mapping[str, object]) -> str:
    """The text of a template of the user's, filled in; line ends stay as they are.

    Raises:
        ExpressionError: bad syntax or an undefined name, with its line.
    """
    jinja = _jinja()
    jinja.newline_sequence = "\r\n" if "\r\n" in text else "\n"
    try:
        code = compile(jinja.compile(text, raw=True, filename=_FILE), _FILE, "exec")
        return jinja.template_class.from_code(jinja, code, dict(jinja.globals)).render(context)
    except Exception as error:  # whatever a person's template does is theirs to mend
        raise _explain(error, jinja, text, context) from error


def _explain(error: Exception, jinja: _Sandbox, text: str, context: Mapping[str, object]) -> ExpressionError:
    if isinstance(error, TemplateSyntaxError):
        return ExpressionError(f"bad Jinja: {_sentence(str(error.message))}", line=error.lineno)
    if isinstance(error, UndefinedError):
        missing = _undefined(jinja.parse(text), context)
        if missing is not None:
            return ExpressionError(f"{missing[0]} is not defined", name=missing[0], line=missing[1])
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename in (_FILE, "<template>", "<unknown>")]  # fmt: skip
    return ExpressionError(_sentence(str(error)) or type(error).__name__, line=(lines or [1])[-1] or 1)


def _sentence(words: str) -> str:
    """Jinja's words as the end of a sentence of ours."""
    words = words.rstrip(".")
    return words[:1].lower() + words[1:]


def _undefined(template: nodes.Template, context: Mapping[str, object]) -> tuple[str, int] | None:
    """The first name that the context lacks, and its line."""
    for node in template.find_all((nodes.Getattr, nodes.Getitem, nodes.Name)):
        if isinstance(node, nodes.Name):
            if node.ctx == "load" and node.name not in context:
                return node.name, node.lineno
            continue
        owner, key = _part(node)
        if isinstance(owner, nodes.Name) and isinstance(key, str):
            known = vars(context[owner.name]) if hasattr(context.get(owner.name), "__dict__") else None
            if known is not None and key not in known:
                return f"{owner.name}.{key}", node.lineno
    return None


def _part(node: nodes.Expr) -> tuple[nodes.Expr | None, object]:
    """What `owner.key` and `owner["key"]` speak of."""
    if isinstance(node, nodes.Getattr):
        return node.node, node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return node.node, node.arg.value
    return None, None


def names(context: Mapping[str, object]) -> list[str]:
    """What may be written: each name of the context, those with parts part by part."""
    found = []
    for name, value in context.items():
        parts = getattr(value, "__dict__", None)
        found += [name] if parts is None else [f"{name}.{part}" for part in parts]
    return found
