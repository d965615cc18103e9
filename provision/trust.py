"""What the user allows a project beyond its machines: for one call, and the stored answers.

Answers are kept by project folder and by the hash of exactly what was asked, in the user's
own configuration: if a spec asks for something new, the user is asked again.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeAlias, cast

from provision import resources
from provision.errors import EnvironmentFailed, UsageError
from provision.lock import exclusive
from provision.model import WORDS
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from provision.model import Demand, Word

VARIABLE = "PROVISION_ALLOW"
VERSION = 1
IN_CI: tuple[Word, ...] = ("host-code", "host-env")  # a pipeline runs the repository's code anyway


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the person said about one demand of a project."""

    word: str
    what: str
    allowed: bool


Answers: TypeAlias = dict[str, Answer]


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What the person allows one project.

    Args:
        words: given for this call.
        answers: those that are kept, by the demand's hash.
    """

    words: frozenset[Word]
    answers: Mapping[str, Answer]

    def allows(self, demand: Demand) -> bool:
        """Whether a demand is allowed."""
        answer = self.answers.get(digest_of(demand))
        return demand.word in self.words or (answer is not None and answer.allowed)

    def whole_words(self) -> frozenset[Word]:
        """The words of which the person refused nothing, and allowed something."""
        allowed, refused = (
            {cast("Word", answer.word) for answer in self.answers.values() if answer.allowed == wanted}
            for wanted in (True, False)
        )
        return self.words | (allowed - refused)

    def is_answered(self, demand: Demand) -> bool:
        """Whether the person need not be asked about a demand."""
        return demand.word in self.words or digest_of(demand) in self.answers


def trust_in(project: Path, words: Iterable[Word], host: Mapping[str, str] | None = None) -> Trust:
    """What a project is allowed now.

    Args:
        project: its folder.
        words: of the command line; `$PROVISION_ALLOW`, and what CI gives, are added.
        host: the host's variables; `os.environ` unless given.

    Raises:
        UsageError: `$PROVISION_ALLOW` holds no such word.
        EnvironmentFailed: the answers that were kept cannot be read.
    """
    host = os.environ if host is None else host
    given = {*words, *read_words(host.get(VARIABLE, ""), f"${VARIABLE}")}
    if host.get("CI") == "true":
        given.update(IN_CI)
    return Trust(words=frozenset(given), answers=kept_answers().get(str(project), {}))


def read_words(text: str, source: str) -> tuple[Word, ...]:
    """The words of a list with commas; `source` says where it stands.

    Raises:
        UsageError: one of them is none.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in WORDS:
            raise UsageError(f"{source} has no word {word!r}", hint=f"the words are {', '.join(WORDS)}")
    return tuple(cast("Word", word) for word in words)


def digest_of(demand: Demand) -> str:
    """The hash by which an answer is kept: of the word, and of exactly what was asked."""
    return hashlib.sha256(json.dumps([demand.word, demand.what]).encode()).hexdigest()


def path() -> Path:
    """The file that keeps the answers."""
    return resources.configuration() / "trust.json"


def keep(project: Path, demands: Iterable[Demand], *, allowed: bool) -> None:
    """Keep the person's answer to some demands of a project."""
    answers = {
        digest_of(demand): Answer(word=demand.word, what=demand.what, allowed=allowed) for demand in demands
    }
    with _changing() as projects:
        projects[str(project)] = {**projects.get(str(project), {}), **answers}


def forget(project: Path) -> bool:
    """Forget what was answered for a project; whether there was anything."""
    with _changing() as projects:
        return projects.pop(str(project), None) is not None


def kept_answers() -> dict[str, Answers]:
    """The answers that are kept, by project folder and hash.

    Raises:
        EnvironmentFailed: the file cannot be read, or is not of this version.
    """
    try:
        found = json.loads(path().read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unreadable(str(error.strerror)) from error
    except ValueError as error:
        raise _unreadable("it is not JSON") from error
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise _unreadable(f"it is not of version {VERSION}")
    try:
        return {
            project: {
                digest: Answer(word=each["word"], what=each["what"], allowed=each["allowed"] is True)
                for digest, each in answers.items()
            }
            for project, answers in found["projects"].items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise _unreadable("its content is not what provision writes") from error


def _unreadable(why: str) -> EnvironmentFailed:
    return EnvironmentFailed(
        f"your earlier answers cannot be read: {why}",
        evidence=[str(path())],
        hint=f"remove the file to be asked again: rm {path()}",
    )


@contextmanager
def _changing() -> Iterator[dict[str, Answers]]:
    """The answers, to be changed: written whole or not at all, one process at a time."""
    file = path()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with exclusive(file.with_suffix(".lock")):
            projects = kept_answers()
            yield projects
            data = {
                project: {digest: asdict(answer) for digest, answer in answers.items()}
                for project, answers in projects.items()
            }
            _write(file, json.dumps({"version": VERSION, "projects": data}, indent=2, sort_keys=True) + "\n")
    except OSError as error:
        raise EnvironmentFailed(
            f"your answer cannot be saved: {error.strerror}",
            evidence=[str(error.filename or file)],
            hint="--allow WORD allows it for one call without saving anything",
        ) from error


def _write(file: Path, text: str) -> None:
    beside = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(beside, file)  # noqa: PTH105 - the atomic one
    except OSError:
        beside.unlink(missing_ok=True)
        raise
