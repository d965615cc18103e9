"""(Environment, targets) → results: checks what is there against the spec."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING

from provision.model import Origin, Result
from provision.target import Unreachable
from provision.verify.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from provision.model import Check, Environment, Machine, Outcome, PortStatus
    from provision.target import Target
    from provision.verify.context import CheckContext

ANSWER_TIMEOUT = 30.0  # seconds: an emulated machine on a busy host may take ten
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0


def verify(
    environment: Environment,
    targets: Mapping[str, Target],
    *,
    backend: str,
    capabilities: Mapping[str, frozenset[str]] | None = None,
    machines: Sequence[Machine] | None = None,
    each: Callable[[Result], None] | None = None,
    begins: Callable[[str, str], None] | None = None,
) -> tuple[Result, ...]:
    """Check that each machine is as the spec says, and hand each result to `each` at once.

    First whether it answers: one that does not is a single failure. Then what the spec
    declares, then its `checks`, in their order.

    Args:
        environment: what the spec describes.
        targets: the running machines by name; one that is missing here failed.
        backend: the backend's name, for the reasons of skipped checks.
        capabilities: by machine, what the backend gives of what checks may require.
        machines: those of the environment that are asked; all unless given.
        each: called with each result as soon as it is known.
        begins: called with the machine and the title of each check before it is asked.
    """
    machines = environment.machines if machines is None else machines
    results: list[Result] = []
    for machine in machines:
        if machine.name in targets:
            targets[machine.name].prepare(*_users(machine))
    published = [targets[each.name].ports for each in machines if each.name in targets]
    connections = Connections(chain.from_iterable(published))
    _import(machines)
    lasting = connections.lasting()  # the shells open meanwhile
    running = [each for each in environment.machines if each.name in targets]
    for machine in machines:
        given = (capabilities or {}).get(machine.name, frozenset())
        examination = _Examination(environment, machine, running, backend, given, lasting, begins)
        for result in examination.results(targets.get(machine.name)):
            results.append(result)
            if each is not None:
                each(result)
    return tuple(results)


def _users(machine: Machine) -> tuple[str, ...]:
    """Whose shells the checks will need: opened all at once, for each takes its time."""
    looks = all(check.kind in ("package", "file", "user", "group") for check in machine.checks)
    return ("root",) if looks and not machine.env else tuple({"root", machine.user})


def prepare(environment: Environment) -> None:
    """Begin to import what checks take, which is half a second, while engines are waited for."""

    def run() -> None:
        # What cannot be imported is told where it is used. Here it may also be that the process is ending.
        with suppress(Exception):
            _import(environment.machines)

    threading.Thread(target=run, daemon=True).start()


def _import(machines: Iterable[Machine]) -> None:
    """Import what takes its time, while the shells open."""
    import_module("provision.verify.kinds")
    kinds = {check.kind for machine in machines for check in machine.checks}
    if "http" in kinds:
        import_module("http.client")
    if "pytest" in kinds:
        import_module("pytest")


class _Examination:
    """One machine, and all that it is asked."""

    def __init__(
        self,
        environment: Environment,
        machine: Machine,
        neighbours: Sequence[Machine],
        backend: str,
        capabilities: frozenset[str],
        lasting: frozenset[PortStatus],
        begins: Callable[[str, str], None] | None,
    ) -> None:
        self._environment = environment
        self._neighbours = neighbours
        self._machine = machine
        self._backend = backend
        self._capabilities = capabilities
        self._lasting = lasting
        self._begins = begins
        self._withheld = withheld(environment)
        self._until: float | None = None

    def results(self, target: Target | None) -> Iterator[Result]:
        from provision.verify.context import CheckContext
        from provision.verify.host import MachineHost
        from provision.verify.implied import implied

        begun = time.monotonic()
        name = self._machine.name
        if target is None:
            yield self._result(
                "answers", "failed", f"machine {name} does not answer: it is not running", begun
            )
            return
        services = frozenset(service.name for service in self._machine.services)
        host = MachineHost(target, "root", services)
        context = CheckContext(
            machine=self._machine, target=target, host=host, lasting={*target.ports} & self._lasting
        )
        if self._begins is not None:
            self._begins(name, "does it answer?")
        try:
            context.probe(ANSWER_TIMEOUT)
        except Unreachable as error:
            yield self._silent(error, begun)
            return
        yield self._result("answers", "passed", "", begun)
        spec = Origin(file=str(self._environment.spec), line=0, column=0)
        try:
            declared = implied(
                self._machine, self._neighbours, spec, elsewhere=self._environment.is_elsewhere
            )
            for group in _groups((*declared, *self._machine.checks)):
                host.backend.forget()
                context.prefetch(group)
                for check in group:
                    yield from self._asked(context, check)
        except Unreachable as error:
            yield self._silent(error, time.monotonic())

    def _asked(self, context: CheckContext, check: Check) -> Iterator[Result]:
        """The results of one check: one, or for a pytest file one for each test."""
        begun = time.monotonic()
        if self._begins is not None:
            self._begins(self._machine.name, check.name)
        reason = why_skipped(check, self._backend, self._capabilities, withheld=self._withheld)
        if reason:
            yield self._result(check.name, "skipped", reason, begun)
        elif check.kind == "pytest":
            yield from self._tests(context, check)
        else:
            problems = self._problems(context, check)
            message = f"{_title(check)}: {'; '.join(problems)} ({_place(check)})" if problems else ""
            yield self._result(check.name, "failed" if problems else "passed", message, begun)

    def _tests(self, context: CheckContext, check: Check) -> Sequence[Result]:
        """The results of a pytest file; run again until its timeout where a test fails."""
        from provision.verify.pytest_files import run_tests

        deadline = time.monotonic() + check.timeout
        while True:
            results = run_tests(context, check, self._environment)
            failed = any(result.outcome == "failed" for result in results)
            if not failed or time.monotonic() + LONGEST_PAUSE > deadline:
                return results
            time.sleep(LONGEST_PAUSE)

    def _problems(self, context: CheckContext, check: Check) -> Sequence[str]:
        """What is wrong; of a check with a timeout, what still was at its end."""
        from provision.verify.kinds import problems

        deadline = self._deadline(check)
        pause = FIRST_PAUSE
        while remaining := problems(context, check):
            left = deadline - time.monotonic()
            if left <= 0:
                return (*remaining, f"still so after {check.timeout:g} s") if check.timeout else remaining
            time.sleep(min(pause, left))
            pause = min(pause * 2, LONGEST_PAUSE)
            context.host.backend.forget()
        return ()

    def _deadline(self, check: Check) -> float:
        """When to stop retrying a check.

        Implied checks share one deadline, since what they wait for started at the same time: ten ports
        at which nobody listens take as long as one.
        """
        deadline = time.monotonic() + check.timeout
        if check.declared or not check.timeout:
            return deadline
        if self._until is None:
            self._until = deadline
        return self._until

    def _silent(self, error: Unreachable, begun: float) -> Result:
        message = f"machine {self._machine.name} does not answer"
        if error.message != message:
            message = f"{message}: {error.message}"
        evidence = "".join(f": {line}" for line in error.evidence[-1:])
        return self._result("answers", "failed", message + evidence, begun)

    def _result(self, check: str, outcome: Outcome, message: str, begun: float) -> Result:
        return Result(
            machine=self._machine.name,
            check=check,
            outcome=outcome,
            message=message,
            seconds=time.monotonic() - begun,
        )


def withheld(environment: Environment) -> Collection[Origin]:
    """The places of checks that run the spec's code on this host without the person's word."""
    return {each.origin for each in environment.demands if each.word == "host-code" and not each.given}


def why_skipped(
    check: Check, backend: str, capabilities: frozenset[str], *, withheld: Collection[Origin]
) -> str:
    """Why a check is not asked in a backend that gives these capabilities; empty where it is."""
    if lacking := [word for word in check.requires if word not in capabilities]:
        return f"the {backend} backend does not provide {', '.join(lacking)}"
    if check.kind == "pytest" and check.origin in withheld:
        return "it is Python code that runs on this host and needs your permission: --allow host-code"
    return ""


def _groups(checks: Iterable[Check]) -> Iterator[Sequence[Check]]:
    """Runs of checks that only look: what one of them sees, the next sees as well."""
    from provision.verify.kinds import LOOKING

    group: list[Check] = []
    for check in checks:
        if check.kind in LOOKING:
            group.append(check)
            continue
        if group:
            yield group
            group = []
        yield [check]
    if group:
        yield group


def _title(check: Check) -> str:
    """What was asked, on one line."""
    if not check.declared:
        return check.name
    first, *more = check.subject.strip().split("\n")
    return f"{check.kind} {first}{' …' if more else ''}"


def _place(check: Check) -> str:
    origin = check.origin
    return f"{origin.file}:{origin.line}" if origin.line else origin.file
