"""The user's own pytest files, with testinfra's `host` for the machine under test.

They run in this process, so that `host` shares the target's open shell. Pytest is
imported only where there are such files, and without the plugins that happen to be
installed: testinfra's own `host` would be this computer, and a check should say the same
everywhere.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from provision.model import Result
from provision.verify.host import MachineHost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pytest

    from provision.model import Check, Environment, Outcome
    from provision.verify.context import CheckContext

OPTIONS = (
    "-p", "no:cacheprovider",  # nothing is written beside the user's files
    "-p", "no:faulthandler",  # it would take the signals of this process
    "-p", "no:doctest", "-p", "no:junitxml", "-p", "no:legacypath", "-p", "no:pastebin",  # unused
    "-p", "no:setuponly", "-p", "no:setupplan", "-p", "no:stepwise",
    "-p", "no:unraisableexception",  # it collects garbage, for warnings that nobody sees here
    "-c", os.devnull,  # the project's own configuration is for its own tests
    "--color=no",  # whatever PY_COLORS and FORCE_COLOR want: reasons are read, and kept in reports
    "--import-mode=importlib",  # two files of one name, one file for two machines
)  # fmt: skip
LAST_LINES = 15
FAMILY = "PYTEST_"  # ADDOPTS, PLUGINS, and what a pytest around this process says of itself
AUTOLOAD = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"


def run_tests(context: CheckContext, check: Check, environment: Environment) -> Sequence[Result]:
    """One result for each test of the file; one failure where it cannot be collected."""
    import pytest

    begun = time.monotonic()
    path, colons, node = check.subject.partition("::")
    file = _found(Path(path), check, environment)
    if not file.exists():
        return [_failure(context, check, f"there is no file {file}", begun)]
    services = frozenset(service.name for service in context.machine.services)
    machine = MachineHost(context.target, context.machine.user, services)
    machine.backend.remember(context.system)
    recorder = _Recorder()
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), _undisturbed():
        folders = [f"--rootdir={file.parent}", f"--confcutdir={environment.project}"]
        code = pytest.main(
            [*OPTIONS, *folders, f"{file}{colons}{node}"], plugins=[recorder, _fixtures(machine)]
        )
    results = [
        _failure(context, check, f"cannot be collected: {_last_lines(str(error.longrepr))}", begun)
        for error in recorder.uncollected
    ]
    results += _results(context, check, recorder.reports)
    if results:
        return results
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        return [_failure(context, check, "it contains no tests", begun)]
    return [_failure(context, check, _last_lines(output.getvalue()), begun)]


class _Recorder:
    """A pytest plugin that keeps the reports."""

    def __init__(self) -> None:
        self.reports: list[pytest.TestReport] = []
        self.uncollected: list[pytest.CollectReport] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.uncollected.append(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reports.append(report)


def _fixtures(machine: MachineHost) -> ModuleType:
    """A plugin with the fixture `host`; a module, for there pytest looks for functions."""
    import pytest

    @pytest.fixture(scope="session")
    def host() -> MachineHost:
        """The machine, as testinfra's host."""
        return machine

    plugin = ModuleType("provision_host")
    vars(plugin)["host"] = host
    return plugin


def _results(context: CheckContext, check: Check, reports: Sequence[pytest.TestReport]) -> Iterator[Result]:
    """The three phases of a test are one result: its worst."""
    tests: dict[str, list[pytest.TestReport]] = {}
    for report in reports:
        tests.setdefault(report.nodeid, []).append(report)
    for nodeid, phases in tests.items():
        outcome: Outcome = "passed"
        message = ""
        for report in phases:
            if report.failed:
                outcome, message = "failed", _why_failed(report)
                break
            if report.skipped and hasattr(report, "wasxfail"):
                message = f"fails, as it is expected to: {report.wasxfail}".rstrip(": ")
            elif report.skipped:
                outcome, message = "skipped", _why_skipped(report)
        yield Result(
            machine=context.machine.name,
            check=f"{check.name}::{_test_name(nodeid, check)}",
            outcome=outcome,
            message=message,
            seconds=sum(report.duration for report in phases),
        )


def _test_name(nodeid: str, check: Check) -> str:
    """The test's own name; with its file, where a folder was asked."""
    file, _, test = nodeid.partition("::")
    name = Path(file).name
    return test if name == Path(check.subject.partition("::")[0]).name else f"{name}::{test}"


def _why_failed(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:  # pytest's own words: a fixture that is missing, a strict xfail
        return _last_lines(str(report.longrepr))
    phase = "" if report.when == "call" else f"{report.when}: "
    return f"{phase}{crash.message} ({Path(crash.path).name}:{crash.lineno})"


def _why_skipped(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def _found(path: Path, check: Check, environment: Environment) -> Path:
    """Relative to the file that names it, as all paths of a spec."""
    beside = Path(check.origin.file).parent / path
    return (beside if beside.exists() else environment.spec.parent / path).resolve()


def _failure(context: CheckContext, check: Check, reason: str, begun: float) -> Result:
    return Result(
        machine=context.machine.name,
        check=check.name,
        outcome="failed",
        message=f"pytest {check.subject}: {reason} ({check.origin.file}:{check.origin.line})",
        seconds=time.monotonic() - begun,
    )


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-LAST_LINES:]) or "pytest printed nothing"


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore options and plugins of the host's pytest, and write nothing next to the user's files."""
    bytecode = sys.dont_write_bytecode
    before = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(FAMILY)}
    sys.dont_write_bytecode = True
    os.environ[AUTOLOAD] = "1"
    try:
        yield
    finally:
        sys.dont_write_bytecode = bytecode
        for name in [name for name in os.environ if name.startswith(FAMILY)]:
            del os.environ[name]
        os.environ.update(before)
