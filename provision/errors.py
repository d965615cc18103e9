"""The error classes: each error says what failed, where, the evidence, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.model import Demand, Origin


EXIT_SIGNALLED = 128  # the exit code of what a signal ends is this and the signal's number


class Interrupted(KeyboardInterrupt):
    """A signal other than SIGINT told this process to terminate."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class ProvisionError(Exception):
    """An error that a person can act on; the command line shows it without a traceback.

    Args:
        message: what failed, in one sentence without a full stop.
        evidence: lines that prove it: the end of a log, a command's own words.
        hint: what to do about it.
        machine: the one that it is about, where it is about one.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, evidence: Sequence[str] = (), hint: str = "", machine: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.evidence = tuple(evidence)
        self.hint = hint
        self.machine = machine


class EnvironmentFailed(ProvisionError):
    """The environment did not come up, did not become ready, or failed a check."""


class SpecError(ProvisionError):
    """The spec is wrong: every problem found in it, at once; and what it wants beyond its machines."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem], demands: Sequence[Demand] = ()) -> None:
        self.problems = tuple(problems)
        self.demands = tuple(demands)
        count = len(self.problems)
        super().__init__(f"{count} problem{'s' if count > 1 else ''} in the spec")


class UsageError(ProvisionError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class HostLacks(ProvisionError):
    """The host lacks something: an engine, a hypervisor, a program."""

    exit_code = 3


class Problem:
    """One problem of a spec and its place; `demand` is what the user could allow."""

    __slots__ = ("demand", "hint", "message", "origin")

    def __init__(self, message: str, origin: Origin, hint: str = "", demand: Demand | None = None) -> None:
        self.message = message
        self.origin = origin
        self.hint = hint
        self.demand = demand

    def __repr__(self) -> str:
        return f"Problem({self.message!r}, {self.origin}, {self.hint!r})"
