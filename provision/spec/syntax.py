"""The YAML parser's syntax errors, in words for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.model import Origin

if TYPE_CHECKING:
    import yaml

    from provision.spec.problems import Problems

# PyYAML is installed without libyaml where it has no wheel; its own parser says the same in other words.
_AS_LIBYAML = (
    (r"found character .* that cannot start any token", "found character that cannot start any token"),
    (r"mapping values are not allowed here", "mapping values are not allowed in this context"),
    (r"mapping keys are not allowed here", "mapping keys are not allowed in this context"),
    (r"sequence entries are not allowed here", "block sequence entries are not allowed in this context"),
    (r"found unknown escape character .*", "found unknown escape character"),
    (r"expected the node content, but found .*", "did not find expected node content"),
    (r"expected (',' or '[]}]'), but got .*", r"did not find expected \1"),
)
_BLOCK_END = {
    "while parsing a block mapping": "did not find expected key",
    "while parsing a block collection": "did not find expected '-' indicator",
}
_LOOK = "look at the indentation and the quotes here and above"
_HINTS = {
    "mapping values are not allowed in this context": 'quote a value that contains ": "',
    "found unknown escape character": r"use single quotes, or write \\ for a backslash",
    "found unexpected end of stream": "close the quote that begins here",
    "did not find expected node content": "a bracket, brace or value is missing",
    "did not find expected ',' or ']'": "a comma is missing, or the list{begun} is not closed",
    "did not find expected ',' or '}'": "a comma is missing, or the map{begun} is not closed",
    "did not find expected key": _LOOK,
    "did not find expected '-' indicator": "a list and a map cannot be mixed",
    "could not find expected ':'": "a key needs a colon and a space after it",
}


def report_syntax(error: yaml.MarkedYAMLError, text: str, file: str, problems: Problems) -> None:
    """Add a problem for what the parser stumbled over."""
    mark = error.problem_mark or error.context_mark
    problem = _as_libyaml(error.problem or "it cannot be read", error.context)
    if problem == "found unexpected end of stream":
        mark = error.context_mark or mark  # where the quote was opened
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    message, hint = _explain(problem, error.context_mark, text, line, column)
    problems.add(message, Origin(file=file, line=line, column=column), hint)


def _as_libyaml(problem: str, context: str | None) -> str:
    """A problem in libyaml's words."""
    if problem.startswith("expected <block end>, but found") and context in _BLOCK_END:
        return _BLOCK_END[context]
    for pattern, words in _AS_LIBYAML:
        if found := re.fullmatch(pattern, problem):
            return found.expand(words)
    return problem


def report_character(code: int, text: str, file: str, problems: Problems) -> None:
    """Add a problem for a character that YAML does not allow."""
    before = text[: max(0, text.find(chr(code)))]
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    problems.add(
        f"the character U+{code:04X} is not allowed in YAML",
        Origin(file=file, line=line, column=column),
        r'write it as an escape in double quotes, like "\x1b", or remove it',
    )


def _explain(problem: str, context: yaml.Mark | None, text: str, line: int, column: int) -> tuple[str, str]:
    """A message and a hint."""
    lines = text.splitlines()
    if problem == "found character that cannot start any token" and line <= len(lines):
        character = lines[line - 1][column - 1 : column]
        if character == "\t":
            return "a tab cannot indent in YAML", "indent with spaces"
        return f"bad YAML: no value can begin with {character}", "quote the value"
    begun = f" that begins in line {context.line + 1}" if context else ""
    return f"bad YAML: {problem}", _HINTS.get(problem, _LOOK).replace("{begun}", begun)
