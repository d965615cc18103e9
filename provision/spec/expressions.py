"""Evaluates Jinja from a spec, expressions and templates, in a separate process.

That process is this package's `sandbox`: it has so much memory and time, and no more.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import select
import shlex
import struct
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from provision import memo, process
from provision.errors import ProvisionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from subprocess import Popen

    from provision.spec.problems import Budget

LONGEST = 1.0  # seconds of the processor that one of them may take
PATIENCE = 30.0  # seconds after which the process itself is taken for stuck
_IMPORTED = ("jinja2", "markupsafe")
_LENGTH = struct.Struct(">Q")
_PROGRAM = Path(__file__).with_name("sandbox.py")


class ExpressionError(Exception):
    """An expression or template that cannot be filled in; `line` counts from 1.

    `name` is what was not defined, if that is why.
    """

    def __init__(self, message: str, *, name: str = "", line: int = 1) -> None:
        super().__init__(message)
        self.name = name
        self.line = line


class SpentError(ExpressionError):
    """Nothing more is evaluated: an earlier expression used up the time, which is a problem already."""


def evaluate(expression: str, context: Mapping[str, object], budget: Budget) -> str | int | float | bool:
    """The value of an expression: a string, a number or a boolean.

    Raises:
        ExpressionError: bad syntax, an undefined name, a value of another kind, too much time or memory.
    """
    return cast("str | int | float | bool", _fill("value", expression, context, budget))


def fill_template(text: str, context: Mapping[str, object], budget: Budget) -> str:
    """The text of a user's template, filled in; line ends are kept.

    Raises:
        ExpressionError: bad syntax or an undefined name, with its line; too much time or memory.
    """
    return cast("str", _fill("text", text, context, budget))


def _fill(kind: str, text: str, context: Mapping[str, object], budget: Budget) -> object:
    if budget.seconds <= 0:
        raise SpentError("the time limit for all expressions is used up")
    question = {"kind": kind, "text": text, "context": context}
    known = memo.key(_evaluator(), json.dumps(question, default=_parts).encode())
    answer = _recalled(known)
    if answer is None:
        limited = {**question, "seconds": min(LONGEST, budget.seconds)}
        answer = _sandbox().ask(json.dumps(limited, default=_parts).encode())
        if answer is not None and "value" in answer:
            memo.keep(known, json.dumps(answer).encode())
    if answer is None:
        budget.seconds = 0
        raise ExpressionError(f"evaluating it takes longer than {LONGEST:g} s")
    budget.seconds -= answer["seconds"]
    if budget.seconds <= 0:
        raise ExpressionError("all expressions and templates up to this one take too long together")
    if "error" in answer:
        raise ExpressionError(answer["error"], name=answer["name"], line=answer["line"])
    return answer["value"]


def _recalled(known: str) -> dict[str, Any] | None:
    """The answer to the same question in an earlier run, which spares the start of the other process."""
    kept = memo.recall(known)
    return None if kept is None else cast("dict[str, Any]", json.loads(kept))


@cache
def _evaluator() -> bytes:
    """All that decides on an answer, besides the question."""
    return _PROGRAM.read_bytes() + memo.library(*_IMPORTED)


def _parts(value: object) -> object:
    return {"a namespace": vars(value)}


@cache
def _sandbox() -> _Sandbox:
    """One process for all that this one asks."""
    return _Sandbox()


class _Sandbox:
    """The other process: started at the first question, and again after it was stopped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: Popen[bytes] | None = None
        atexit.register(self.end)

    def ask(self, question: bytes) -> dict[str, Any] | None:
        """Its answer; None if it took too long, or the question killed it."""
        with self._lock:
            if self._child is None:
                self._child = self._begun()
            try:
                self._say(self._child, question)
                return cast("dict[str, Any]", json.loads(self._heard(self._child)))
            except (OSError, EOFError, TimeoutError):
                self.end()
                return None
            except BaseException:
                self.end()  # an answer that nobody waits for would be taken for the next one's
                raise

    def _begun(self) -> Popen[bytes]:
        """A new process; it says that it is there, so that its start is not taken for its answer."""
        folders = {Path(str(spec.origin)).parent.parent
                   for name in _IMPORTED if (spec := importlib.util.find_spec(name))}  # fmt: skip
        words = [sys.executable, "-I", "-S", str(_PROGRAM), *map(str, folders)]
        child = process.start(words, own_session=True)  # Ctrl-C is this process's matter
        try:
            self._heard(child)
        except (EOFError, TimeoutError) as error:
            output = child.communicate()[1].decode("utf-8", "replace") if child.poll() is not None else ""
            raise ProvisionError(
                "the process that evaluates expressions and templates does not start",
                evidence=output.splitlines(),
                hint=f"try it by hand: {shlex.join(words)}",
            ) from error
        return child

    def _say(self, child: Popen[bytes], question: bytes) -> None:
        assert child.stdin is not None  # noqa: S101 - process.start gives three pipes
        unsaid = memoryview(_LENGTH.pack(len(question)) + question)
        while unsaid:
            unsaid = unsaid[child.stdin.write(unsaid) :]

    def _heard(self, child: Popen[bytes]) -> bytes:
        deadline = time.monotonic() + PATIENCE
        (length,) = _LENGTH.unpack(self._bytes(child, _LENGTH.size, deadline))
        return self._bytes(child, length, deadline)

    def _bytes(self, child: Popen[bytes], length: int, deadline: float) -> bytes:
        assert child.stdout is not None  # noqa: S101 - process.start gives three pipes
        data = bytearray()
        while len(data) < length:
            if not select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            part = child.stdout.read(min(length - len(data), 1024**2))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def end(self) -> None:
        """End the process, if there is one."""
        child, self._child = self._child, None
        if child is None:
            return
        process.kill_session(child)


def names(context: Mapping[str, object]) -> list[str]:
    """What may be written: each name of the context, those with parts part by part."""
    found = []
    for name, value in context.items():
        parts = getattr(value, "__dict__", None)
        found += [name] if parts is None else [f"{name}.{part}" for part in parts]
    return found
