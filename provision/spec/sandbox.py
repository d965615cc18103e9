"""The program that evaluates the Jinja of a spec: a process of its own, with little time and memory.

Jinja's sandbox keeps Python out of reach; what it can compute has no bound that could be
proved from within (`'x'|center(4e9)`, nested loops). So the kernel keeps the bounds: of
memory by RLIMIT_AS, of time by a timer of the processor's that ends the process. It knows
nothing but what it is asked, opens no file, and imports nothing of this package.

Asked and answered in JSON, each after its length: `{"kind", "text", "context", "seconds"}`,
`{"value", "seconds"}` or `{"error", "name", "line", "seconds"}`.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import struct
import sys
import time
import traceback
from types import SimpleNamespace
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[:] = [*sys.argv[1:], *sys.path[1:]]  # where Jinja is; this package's folder is not among them

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from jinja2.runtime import Context

LARGEST = 1_000_000
LONGEST_TEXT = 16 * 1024**2
MEMORY = 256 * 1024**2
NAMESPACE = "a namespace"  # marks what has parts in JSON
LENGTH = struct.Struct(">Q")
_FILE = "the template"


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja that cannot reach Python; what is surely too large is refused with a clear message."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuse products that would fill the memory."""
        if operator == "%" and isinstance(left, str):
            raise TemplateError("% cannot format strings here; use ~ to join them")
        numbers = [abs(value) for value in (left, right) if isinstance(value, int | float)]
        lengths = [len(value) for value in (left, right) if hasattr(value, "__len__")]
        if any(number > LARGEST for number in numbers) or any(
            length * number > LARGEST for length in lengths for number in numbers
        ):
            raise TemplateError(f"{operator} is limited to numbers and strings up to {LARGEST}")
        if operator == "**" and len(numbers) == 2 and numbers[1] > 64:
            raise TemplateError("** is limited to exponents up to 64")
        return super().call_binop(context, operator, left, right)


def _jinja() -> _Sandbox:
    jinja = _Sandbox(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    jinja.globals.pop("lipsum", None)  # these need a random module's mood: a spec gives equal bytes
    jinja.filters.pop("random", None)
    return jinja


def evaluate(expression: str, context: Mapping[str, object]) -> dict[str, object]:
    """The value of an expression: a string, a number or a boolean."""
    jinja = _jinja()
    try:
        value = jinja.compile_expression(expression, undefined_to_none=False)(**context)
        if isinstance(value, str | int | float | bool):
            return {"value": value if isinstance(value, int | float) else str(value)}
        if isinstance(value, StrictUndefined):
            str(value)  # raises what is undefined
    except Exception as error:  # noqa: BLE001 - whatever a person's expression does is theirs to fix
        return _explain(error, jinja, "{{" + expression + "}}", context)
    return _refusal("its result must be a string, a number, true or false")


def fill_template(text: str, context: Mapping[str, object]) -> dict[str, object]:
    """A template's text, filled in; line ends are kept."""
    jinja = _jinja()
    jinja.newline_sequence = "\r\n" if "\r\n" in text else "\n"
    try:
        code = compile(jinja.compile(text, raw=True, filename=_FILE), _FILE, "exec")
        filled = jinja.template_class.from_code(jinja, code, dict(jinja.globals)).render(context)
    except Exception as error:  # noqa: BLE001 - whatever a person's template does is theirs to fix
        return _explain(error, jinja, text, context)
    if len(filled) > LONGEST_TEXT:
        return _refusal(f"its result is longer than {LONGEST_TEXT // 1024**2} MiB")
    return {"value": filled}


def _refusal(message: str, *, name: str = "", line: int = 1) -> dict[str, object]:
    return {"error": message, "name": name, "line": line}


def _explain(
    error: Exception, jinja: _Sandbox, text: str, context: Mapping[str, object]
) -> dict[str, object]:
    if isinstance(error, MemoryError):
        return _refusal(f"it takes more than {MEMORY // 1024**2} MiB of memory")
    if isinstance(error, TemplateSyntaxError):
        return _refusal(f"bad Jinja: {_sentence(str(error.message))}", line=error.lineno)
    if isinstance(error, UndefinedError):
        missing = _undefined(jinja.parse(text), context)
        if missing is not None:
            return _refusal(f"{missing[0]} is not defined", name=missing[0], line=missing[1])
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename in (_FILE, "<template>", "<unknown>")]  # fmt: skip
    return _refusal(_sentence(str(error)) or type(error).__name__, line=(lines or [1])[-1] or 1)


def _sentence(words: str) -> str:
    """Jinja's message as the end of our sentence."""
    words = words[:1000].rstrip(".")
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


def _with_parts(value: dict[str, Any]) -> object:
    return SimpleNamespace(**value[NAMESPACE]) if NAMESPACE in value else value


def _answer(question: bytes) -> bytes:
    task = json.loads(question, object_hook=_with_parts)
    begun = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, task["seconds"])  # its signal ends the process
    fill = {"value": evaluate, "text": fill_template}[task["kind"]]
    try:
        answer = fill(task["text"], task["context"])
        return json.dumps({**answer, "seconds": time.process_time() - begun}).encode()
    except Exception as error:  # noqa: BLE001 - an answer that cannot be written: too large
        answer = _refusal(_sentence(str(error)) or "it takes too much memory")
        return json.dumps({**answer, "seconds": time.process_time() - begun}).encode()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def serve() -> None:
    """Answer requests until the input ends."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):  # macOS has no such limit: there time is the only bound
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    asking, answering = sys.stdin.buffer, sys.stdout.buffer
    answering.write(LENGTH.pack(0))  # it is there
    answering.flush()
    while len(head := asking.read(LENGTH.size)) == LENGTH.size:
        answer = _answer(asking.read(LENGTH.unpack(head)[0]))
        answering.write(LENGTH.pack(len(answer)) + answer)
        answering.flush()


if __name__ == "__main__":
    serve()
