"""Waits until a machine is ready: its services answer and its setup has succeeded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from provision import guest_paths
from provision.errors import EnvironmentFailed
from provision.hints import command
from provision.model import SETUP, ServiceStatus
from provision.quick_dataclasses import dataclass
from provision.recipe.times import BEGINS, ONESHOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from provision.model import Machine, Service
    from provision.progress import Progress
    from provision.target import Output

# 0 where the machine is ready, and why it is not; a bash that runs already starts none for it.
HEALTHY = f'if [ -n "${{BASH-}}" ]; then . {guest_paths.HEALTHY}; else {guest_paths.HEALTHY}; fi'
GAVE_UP = "setup: failed: "  # on a service; a step that failed is named
ATTACH = "attach: "
NOT_YET, FAILED = 1, 2
NOT_RUNNING = ("starting", "ended", "stopped", "failed", "crashing", "background")
FINAL = ("failed", "crashing", "background")  # of which waiting makes nothing better
# Seconds, for a service without a probe: to start, and then to be believed when it has not ended.
WITHOUT_PROBE = 30.0
SETTLES = 1.0
BETWEEN = 0.03
# The same check, repeated for up to two seconds while the answer is "not yet".
UNTIL_READY = f"""
left=20 last=$(($(date +%s) + 1))
while output=$({guest_paths.HEALTHY}); code=$?
  [ $code = {NOT_YET} ] && [ $left -gt 0 ] && [ "$(date +%s)" -le $last ]
do left=$((left - 1)); sleep {BETWEEN}; done
[ -z "$output" ] || printf '%s\\n' "$output"
exit $code
"""


class Asked(Protocol):
    """A machine that runs commands as root: a `Target`, or something faster."""

    def run(self, script: str, *, user: str | None = None, timeout: float = 60) -> Output:
        """Run a script for `sh` inside and wait until it has finished.

        Raises:
            Unreachable: the machine does not answer.
        """


def patience(machine: Machine, *, stretch: float = 1.0) -> dict[str, float]:
    """Seconds after which each service should be ready: its own time plus that of its needs.

    What the spec says is taken as it is; `stretch` is for what it leaves out, on a slow machine.
    """
    services = {service.name: service for service in machine.services}

    def total(service: Service) -> float:
        return _own(service, stretch) + max((total(services[need]) for need in service.needs), default=0.0)

    return {name: total(service) for name, service in services.items()}


def _own(service: Service, stretch: float) -> float:
    """The seconds that a service has once its needs are ready."""
    if service.oneshot:
        return ONESHOT
    return service.ready.timeout if service.ready else WITHOUT_PROBE * stretch


class Overdue:
    """Which services are over their time. A service's time counts from when it was first seen to run.

    `own` has the seconds that each service has, by its name.

    Args:
        machine: the machine that runs the services.
        stretch: how many times longer everything takes than it does in a container.
    """

    def __init__(self, machine: Machine, *, stretch: float = 1.0) -> None:
        self.own = {service.name: _own(service, stretch) for service in machine.services}
        self._begins = {
            name: seconds + BEGINS * stretch for name, seconds in patience(machine, stretch=stretch).items()
        }
        self._begun: dict[str, float] = {}

    def among(self, states: Mapping[str, str], waited: float) -> dict[str, float]:
        """The services that are not ready in time, with the seconds that each had.

        Args:
            states: the state of each service that is not ready; empty where its probe speaks.
            waited: seconds since the first look at the machine.
        """
        for name, state in states.items():
            if state != "starting":
                self._begun.setdefault(name, waited)
        return {
            name: self.own[name]
            for name in states
            if (
                waited - self._begun[name] > self.own[name]
                if name in self._begun
                else waited > self._begins[name]
            )
        }


def service_states(machine: Machine, reasons: Sequence[str]) -> tuple[ServiceStatus, ...]:
    """The state of each service, from the reasons why the machine is not healthy."""
    answers = _told(reasons)
    return tuple(
        ServiceStatus(
            name=service.name,
            state=_state(answers.get(service.name, "")) or "running",
        )
        for service in machine.services
    )


def unready(reasons: Sequence[str]) -> tuple[list[str], bool]:
    """The reasons about services that are not ready, and whether one of them never will be."""
    of_services = [reason for reason in reasons if reason.startswith("service ")]
    states = {reason: _state(reason.partition(": ")[2]) for reason in of_services}
    unready = [reason for reason in of_services if states[reason] != "ended"]
    return unready, any(states[reason] in FINAL for reason in unready)


def _state(answer: str) -> str:
    """The state that a reason names; empty if it is the message of a running service's probe."""
    word = answer.partition(" (")[0]
    return word if word in NOT_RUNNING else ""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The machine is ready."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """It may still become ready; `reason` is what it waits for, if it says so."""

    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Services, `setup` or `attach` had ended before the first look: start them."""

    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """It will not become ready; `evidence` says why, or the end of a log: a service's, `setup`, `attach`."""

    message: str
    hint: str
    log: str = ""
    evidence: tuple[str, ...] = ()


Verdict = Ready | Waiting | Ended | Failure


class Judge:
    """Judges each answer of a machine. Pure: it gets the time as an argument.

    Args:
        machine: what it should be.
        timeout: seconds for all of it, setup included.
        stretch: how many times longer everything takes than it does in a container.
        several: the environment has more machines, so that hints name this one.
        was_up: it was up before, so that what has ended is to be started once.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        timeout: float,
        stretch: float = 1.0,
        several: bool = False,
        was_up: bool = False,
    ) -> None:
        self._machine = machine
        self._timeout = timeout
        self._settles = SETTLES * stretch
        self._named = machine.name if several else None
        self._may_revive = was_up
        self._overdue = Overdue(machine, stretch=stretch)
        self._healthy_since: float | None = None

    def judge(self, answer: Output, waited: float) -> Verdict:
        """What an answer means that came so many seconds after the first look."""
        if answer.code == 0:
            return self._healthy(waited)
        self._healthy_since = None
        reasons = answer.stdout.decode("utf-8", "replace").splitlines()
        may_revive, self._may_revive = self._may_revive, False
        if may_revive and (ended := _ended(self._machine, answer.code, reasons)):
            return Ended(names=tuple(ended))
        if answer.code == FAILED:
            return self._failed(reasons)
        if answer.code != NOT_YET:
            return Failure(
                message=f"machine {self._machine.name} cannot report whether it is ready",
                evidence=tuple(answer.stderr.decode("utf-8", "replace").splitlines()),
                hint=f"{command('up', '--rebuild')} recreates it",
            )
        return self._not_yet(reasons, waited)

    def _healthy(self, waited: float) -> Verdict:
        """A service that nothing can be asked of is believed when it has not ended at once."""
        if self._healthy_since is None:
            self._healthy_since = waited
        has_signs = all(service.ready or service.oneshot for service in self._machine.services)
        return Ready() if has_signs or waited - self._healthy_since >= self._settles else Waiting()

    def _failed(self, reasons: Sequence[str]) -> Failure:
        """Setup has failed, or what comes before it."""
        machine = self._machine
        if attach := next((line for line in reasons if line.startswith(ATTACH)), None):
            return Failure(
                message=f"the folders and volumes of machine {machine.name} could not be attached:"
                f" {attach.removeprefix(ATTACH)}",
                log="attach",
                hint=f"fix what these lines name, then run {command('up')} again, or use --rebuild",
            )
        reason = next(line for line in reasons if line.startswith("setup: "))
        # What setup waited for says best what is wrong.
        if reason.startswith(GAVE_UP) and (failure := self._service(reasons, self._overdue.own)):
            return failure
        why = reason.removeprefix(GAVE_UP).removeprefix("setup: failed ")
        from provision.backends.build_errors import place_of

        place = place_of(why.partition(" ")[0], machine.setup)
        return Failure(
            message=f"setup of machine {machine.name} failed: {why}{place}",
            log="setup",
            hint=f"fix the step, then run {command('up')} again; steps that succeeded are not repeated",
        )

    def _not_yet(self, reasons: Sequence[str], waited: float) -> Verdict:
        machine = self._machine
        over = self._overdue.among({name: _state(answer) for name, answer in _told(reasons).items()}, waited)
        if failure := self._service(reasons, over):
            return failure
        if waited > self._timeout:
            return Failure(
                message=f"machine {machine.name} was not ready within {self._timeout:g} s",
                evidence=tuple(reasons),
                hint=f"see {command('logs', machine=self._named)}, or allow more time with --timeout",
            )
        reason = next((reason for reason in reasons if not reason.endswith(": ended")), None)
        return Waiting(reason=_with_probe(machine, reason) if reason else "")

    def _service(self, reasons: Sequence[str], over: Mapping[str, float]) -> Failure | None:
        """The failure of a service that will not be ready, or is over its time, with the seconds it had."""
        machine, answers = self._machine, _told(reasons)
        services = {service.name: service for service in machine.services}
        final = [name for name, answer in answers.items() if _state(answer) in FINAL]
        late = [name for name, answer in answers.items() if name in over and _state(answer) != "ended"]
        name = next(iter(final or late), None)
        if name is None:
            return None
        service, answer = services[name], answers[name]
        hint = f"see {service.origin}, and {command('logs', name, machine=self._named)}"
        if _state(answer) == "background":
            hint = f"run it in the foreground: see {service.origin}, and the program's options"
        late_by = f"was not ready within {over.get(name, 0):g} s: {answer}{_asked(service, answer)}"
        return Failure(
            message=f"service {name} of machine {machine.name} {_how(answer) if final else late_by}",
            log=name,
            hint=hint,
        )


def wait_until_ready(
    machine: Machine,
    target: Asked,
    progress: Progress,
    *,
    timeout: float,
    last_lines: Callable[[str], Sequence[str]],
    stretch: float = 1.0,
    revive: Callable[[str], None] | None = None,
    several: bool = False,
) -> None:
    """Wait until the machine is ready.

    Args:
        machine: what it should be.
        target: how to ask it.
        progress: told what is being waited for.
        timeout: seconds for all of it, setup included.
        last_lines: the end of the log of a service, or of `setup`.
        stretch: how many times longer everything takes than it does in a container.
        several: the environment has more machines, so that hints name this one.
        revive: starts a service (or `setup`, or `attach`) again that had ended before this `up`.

    Raises:
        EnvironmentFailed: a service was not ready in its time, setup failed, or the
            time for all was over; with the last lines of its log.
    """
    begun = time.monotonic()
    judge = Judge(machine, timeout=timeout, stretch=stretch, several=several, was_up=revive is not None)
    while True:
        answer = target.run(HEALTHY, user="root")
        verdict = judge.judge(answer, time.monotonic() - begun)
        if isinstance(verdict, Ready):
            return
        if isinstance(verdict, Failure):
            raise EnvironmentFailed(
                verdict.message,
                evidence=_evidence(verdict, last_lines),
                hint=verdict.hint,
                machine=machine.name,
            )
        if isinstance(verdict, Ended):
            if revive is not None:
                for name in verdict.names:
                    revive(name)
            continue
        if verdict.reason:
            progress.line(verdict.reason)
        time.sleep(BETWEEN)


def _evidence(failure: Failure, last_lines: Callable[[str], Sequence[str]]) -> Sequence[str]:
    if not failure.log:
        return failure.evidence
    lines = last_lines(failure.log)
    return lines if failure.log in (SETUP, "attach") else once(lines)


def _ended(machine: Machine, code: int, reasons: Sequence[str]) -> list[str]:
    """The services that no longer run; `setup` or `attach` if that has failed."""
    states = service_states(machine, reasons)
    ended = [service.name for service in states if service.state in ("stopped", *FINAL)]
    if code != FAILED:
        return ended
    return [*ended, "attach" if any(reason.startswith(ATTACH) for reason in reasons) else "setup"]


def _told(reasons: Sequence[str]) -> dict[str, str]:
    """Why each service is not ready, by its name."""
    of_services = (reason.removeprefix("service ") for reason in reasons if reason.startswith("service "))
    return dict(each.split(": ", 1) for each in of_services if ": " in each)


def _with_probe(machine: Machine, reason: str) -> str:
    """A reason why a machine is not ready; if a probe printed nothing, what the probe asks."""
    name, _, answer = reason.removeprefix("service ").partition(": ")
    service = next((each for each in machine.services if each.name == name), None)
    return f"{reason.rstrip(': ')}{_asked(service, answer)}" if service and not answer.strip() else reason


def _asked(service: Service, answer: str) -> str:
    probe = service.ready
    return f" ({probe.kind} {probe.subject})" if probe and not _state(answer) else ""


def _how(answer: str) -> str:
    """How a service ended, by its final state."""
    code = answer.partition(" (")[2].removesuffix(")").removeprefix("exit ")
    return {
        "failed": f"exited with {code}",
        "crashing": f"keeps exiting with {code}" if code else "keeps exiting",
        "background": "exited with code 0 while another of its processes kept running",
    }[_state(answer)]


def once(lines: Sequence[str]) -> Sequence[str]:
    """Lines without repetitions: a service that restarts prints the same each time."""
    for size in range(1, len(lines) // 2 + 1):
        last = lines[-size:]
        if lines[-2 * size : -size] == last:
            return last
    return lines
