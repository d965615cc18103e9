"""Prefetches what many checks will ask: one command for all packages, one for all files.

Testinfra asks a command or two for each attribute of each thing. These are known
beforehand, so their answers are gathered with few commands and put into the memory of
its backend under the very commands it will use. What is not in the memory is simply
asked; so nothing here can make a check say something else, only sooner.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING, TypeAlias

from provision.quick_dataclasses import dataclass
from provision.verify.sockets import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from provision.model import Check, Family
    from provision.target import Target

Answer: TypeAlias = "tuple[int, bytes]"
Answers: TypeAlias = "dict[str, Answer]"

TIMEOUT = 60.0
_OWNED = frozenset({"owner", "mode"})
YES, NO = (0, b""), (1, b"")
_PLAIN = re.compile(r"[\w@%+=:,./ -]+")  # what comes back from every program as it was given


@dataclass(frozen=True, kw_only=True)
class Question:
    """Text for `sh`, and what its exit code and output say about testinfra's commands."""

    script: str
    answers: Callable[[int, bytes], Iterable[tuple[str, Answer]]]


def first(target: Target, timeout: float) -> Answers:
    """What testinfra asks of every machine; that there is an answer proves that it is there.

    Raises:
        Unreachable: the machine does not answer, or not within `timeout` seconds.
    """
    commands = ("uname -s", "uname -m", "cat /etc/os-release", "command -v command")
    return _asked(target, [_verbatim(command) for command in commands], timeout)


def gather(target: Target, family: Family, checks: Iterable[Check]) -> Answers:
    """Ask as root what these checks will ask, in one command.

    Raises:
        Unreachable: the machine does not answer.
    """
    questions = list(_questions(family, tuple(checks)))
    return _asked(target, questions, TIMEOUT) if questions else {}


def _asked(target: Target, questions: list[Question], timeout: float) -> Answers:
    mark = os.urandom(8).hex()
    script = "\n".join(
        f"{{ {question.script}\n}} 2>/dev/null; printf '\\n{mark} %d\\n' $?" for question in questions
    )
    pieces = re.split(
        rb"\n%b (\d+)\n" % mark.encode(), target.run(script, user="root", timeout=timeout).stdout
    )
    answers: Answers = {}
    for question, output, code in zip(questions, pieces[::2], pieces[1::2], strict=False):
        answers.update(question.answers(int(code), output))
    return answers


def _questions(family: Family, checks: tuple[Check, ...]) -> Iterator[Question]:
    def subjects(*kinds: str) -> list[str]:
        names = {check.subject: None for check in checks if check.kind in kinds}
        return [name for name in names if _PLAIN.fullmatch(name) and not name.startswith("-")]

    if subjects("mount"):
        yield _verbatim("cat /proc/mounts")
    if subjects("port"):
        yield _verbatim(TABLES)
    owned = {check.subject for check in checks if check.kind == "mount" and check.fields.keys() & _OWNED}
    if paths := [*subjects("file"), *(path for path in subjects("mount") if path in owned)]:
        yield _file_attributes(paths)
        yield _links(paths)
    hashed = {check.subject for check in checks if isinstance(check.fields.get("content"), bytes)}
    if contents := [path for path in paths if path in hashed]:
        yield _hashes(contents)
    if users := subjects("user"):
        yield _accounts(users)
        for user in users:
            yield _verbatim(f"id -nG {shlex.quote(user)}")
    if packages := [name for name in subjects("package") if re.fullmatch(r"[\w.+-]+", name)]:
        if family == "apt":
            yield _apt(packages)
        elif family == "dnf":
            yield _dnf(packages)


def _verbatim(command: str) -> Question:
    return Question(script=command, answers=lambda code, output: [(command, (code, output))])


def _file_attributes(paths: list[str]) -> Question:
    def answers(_: int, output: bytes) -> Iterator[tuple[str, Answer]]:
        there = {}
        for line in _text(output).splitlines():
            *attributes, path = line.split("|", 7)
            there[path] = attributes
        for path in paths:
            quoted = shlex.quote(path)
            yield f"test -e {quoted}", YES if path in there else NO
            if path not in there:
                continue
            kind, *attributes = there[path]
            yield f"test -f {quoted}", YES if kind.startswith("regular") else NO
            yield f"test -d {quoted}", YES if kind == "directory" else NO
            for letter, value in zip("UGugas", attributes, strict=False):
                yield f"stat -Lc %{letter} {quoted}", (0, value.encode())

    return Question(
        script=f"LC_ALL=C stat -Lc '%F|%U|%G|%u|%g|%a|%s|%n' {shlex.join(paths)}", answers=answers
    )


def _links(paths: list[str]) -> Question:
    def answers(_: int, output: bytes) -> Iterator[tuple[str, Answer]]:
        lines = iter(_text(output).splitlines())
        links = dict(zip(lines, lines, strict=False))
        for path in paths:
            quoted = shlex.quote(path)
            yield f"test -L {quoted}", YES if path in links else NO
            if path in links:
                yield f"readlink {quoted}", (0, f"{links[path]}\n".encode())

    script = (
        f"for path in {shlex.join(paths)}; do\n"
        '[ ! -L "$path" ] || { echo "$path"; readlink "$path"; }\ndone'
    )
    return Question(script=script, answers=answers)


def _hashes(paths: list[str]) -> Question:
    def answers(_: int, output: bytes) -> Iterator[tuple[str, Answer]]:
        for line in _text(output).splitlines():
            digest, path = line.split("  ", 1)
            yield f"sha256sum {shlex.quote(path)} | cut -d ' ' -f 1", (0, digest.encode())

    return Question(script=f"sha256sum {shlex.join(paths)}", answers=answers)


def _accounts(users: list[str]) -> Question:
    def answers(code: int, output: bytes) -> Iterator[tuple[str, Answer]]:
        lines = {line.split(":")[0]: line for line in _text(output).splitlines()}
        if code not in (0, 2):  # 2: a name was not found; else there is no getent
            return
        for user in users:
            quoted = shlex.quote(user)
            yield f"id {quoted}", YES if user in lines else NO
            if user in lines:
                _, _, uid, gid, *_ = lines[user].split(":")
                yield f"id -u {quoted}", (0, uid.encode())
                yield f"id -g {quoted}", (0, gid.encode())
                yield f"getent passwd {quoted}", (0, lines[user].encode())

    return Question(script=f"getent passwd {shlex.join(users)}", answers=answers)


def _apt(packages: list[str]) -> Question:
    def answers(code: int, output: bytes) -> Iterator[tuple[str, Answer]]:
        if code not in (0, 1):
            return
        statuses = dict(line.split("|", 1) for line in _text(output).splitlines())
        for package in packages:
            status, _, version = statuses.get(package, "").partition("|")
            known = (0, status.encode()) if status else NO
            yield f"dpkg-query -f '${{Status}}' -W {package}", known
            if status:
                both = f"{status} {version}".encode()
                yield f"dpkg-query -f '${{Status}} ${{Version}}' -W {package}", (0, both)

    form = r"${Package}|${Status}|${Version}\n"
    return Question(script=f"dpkg-query -f '{form}' -W {' '.join(packages)}", answers=answers)


def _dnf(packages: list[str]) -> Question:
    def answers(_: int, output: bytes) -> Iterator[tuple[str, Answer]]:
        statuses = dict(line.split("|", 1) for line in _text(output).splitlines() if "|" in line)
        for package in packages:
            if package in statuses:  # another may still be there as what a package provides
                version, release = statuses[package].split("|", 1)
                yield f"rpm -q --quiet {package} 2>&1", YES
                yield f'rpm -q --queryformat="%{{VERSION}}" {package}', (0, version.encode())
                yield f'rpm -q --queryformat="%{{RELEASE}}" {package}', (0, release.encode())

    form = r"%{NAME}|%{VERSION}|%{RELEASE}\n"
    return Question(script=f"rpm -q --queryformat '{form}' {' '.join(packages)}", answers=answers)


def _text(output: bytes) -> str:
    return output.decode("utf-8", "backslashreplace")
