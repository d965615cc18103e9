"""A spec in each form under a name of its own: brought up, measured, taken down, whatever happens."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from provision import backends, engine, matrix
from provision.backends import starts
from provision.backends.base import Measurable
from provision.errors import HostLacks, ProvisionError, SpecError, UsageError
from provision.hints import command
from provision.lock import hold
from provision.measure import host, inside
from provision.measure.model import Cell, Form, Report
from provision.measure.rows import BY_NAME, PLACES
from provision.model import Mount, Origin
from provision.progress import Labelled, Silent
from provision.state import address_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from provision.backends.base import Footprint
    from provision.engine import Request
    from provision.matrix import Trial
    from provision.measure.host import Memory
    from provision.measure.model import Row
    from provision.model import Environment, Machine
    from provision.progress import Progress
    from provision.target import Target

VERB = "compare"
END = f"-{VERB}"
FOLDER = "/mnt/provision-compare"  # where a folder of the host is, as the workspace is at its own path
R = TypeVar("R")
AROUND = 3.0  # seconds that `up` may take around a start; with more, it has built something
LIMIT = 60.0  # seconds; a row that starts the environment gets no further run after so many


def compare(
    request: Request,
    names: Sequence[str],
    rows: Sequence[Row],
    progress: Progress,
    *,
    runs: int,
    timeout: float,
    machine: str | None = None,
) -> Report:
    """Measure a spec in these backends, one after the other, each alone on this host.

    Args:
        request: the spec; its own environment is not touched.
        names: the backends.
        rows: what is measured.
        progress: told what happens.
        runs: as many of each row at most; slow ones are repeated less often.
        timeout: seconds for the environment to become ready.
        machine: the one that is measured inside, the first where None.

    Raises:
        SpecError: the spec is wrong in every form.
        UsageError: a person has an environment of the name that is used, or no machine has the name.
        ProvisionError: no form could be measured; why the first could not. An engine on another host cannot.
    """
    begun = time.monotonic()
    taken = datetime.now(UTC).isoformat(timespec="seconds")
    for name in names:
        backends.require(name)
    trials = {name: _trial(replace(request, backend=name)) for name in names}
    own = engine.resolve(request)
    forms, errors = [], []
    chosen, count = "", 0
    with hold(matrix.lock_of(own.state_dir.project or Path(), f"{own.name}{END}"), progress,
              holder=lambda: f"another {command(VERB)} of {own.name}"):  # fmt: skip
        for name, trial in trials.items():
            labelled = Labelled(progress, name)
            try:
                subject = _Subject.of(trial, rows, labelled, runs=runs, timeout=timeout, machine=machine)
                chosen, count = subject.machine.name, len(subject.environment.machines)
                cells, found = subject.measure()
            except UsageError:
                raise
            except ProvisionError as error:
                errors.append(error)
                labelled.note(f"not measured: {_reason(error)}")
                forms.append(_form(name, {}, missing=_reason(error)))
                continue
            forms.append(_form(name, cells, caveats=found.caveats if found else ()))
    if len(errors) == len(forms):
        raise errors[0]
    return Report(
        name=own.name,
        machine=chosen,
        machines=count,
        host=host.host(),
        taken=taken,
        seconds=time.monotonic() - begun,
        rows=tuple(row for row in rows if any(row.name in form.cells for form in forms)),
        forms=tuple(forms),
    )


def _form(name: str, cells: Mapping[str, Cell], *, missing: str = "", caveats: tuple[str, ...] = ()) -> Form:
    noun = backends.find(name).noun
    return Form(
        backend=name,
        noun=noun,
        heading=noun.partition(" ")[2].capitalize(),
        cells=cells,
        missing=missing,
        caveats=caveats,
    )


def _reason(error: ProvisionError) -> str:
    """Why, on one line."""
    if isinstance(error, SpecError):
        return "; ".join(problem.message for problem in error.problems)
    return f"{error.message}{f' ({error.evidence[-1].strip()})' if error.evidence else ''}"


def _trial(request: Request) -> Trial:
    name = engine.resolve(request).name
    return matrix.Trial(request=request, name=matrix.name_of(name, end=END))


@dataclass(kw_only=True)
class _Subject:
    """One form of the spec while it is measured."""

    trial: Trial
    environment: Environment
    machine: Machine
    wanted: frozenset[str]
    order: tuple[str, ...]
    progress: Progress
    runs: int
    timeout: float
    cells: dict[str, Cell] = field(default_factory=dict)

    @classmethod
    def of(
        cls, trial: Trial, rows: Sequence[Row], progress: Progress, *, runs: int, timeout: float,
        machine: str | None,
    ) -> _Subject:  # fmt: skip
        """The environment of a form, with the machine that is measured inside."""
        environment = trial.load()
        if environment.is_elsewhere:
            raise HostLacks(
                f"its engine is at {address_of(environment.host)}, and what is measured is this host",
                hint=f"run {command(VERB)} on that host, or choose an engine on this one",
            )
        machines = [each for each in environment.machines if machine in (None, each.name, each.group)]
        if not machines:
            raise UsageError(
                f"no machine is called {machine}",
                hint=f"--machine: {', '.join(each.name for each in environment.machines)}",
            )
        return cls(
            trial=trial, environment=environment, machine=_asked_first(machines) if machine is None
            else machines[0], wanted=frozenset(row.name for row in rows),
            order=tuple(row.name for row in rows), progress=progress, runs=runs, timeout=timeout,
        )  # fmt: skip

    @property
    def backend(self) -> str:
        """Its backend's name."""
        return self.trial.request.backend

    def wants(self, *names: str) -> bool:
        """Whether any of these rows is asked for."""
        return bool(self.wanted & set(names))

    def measure(self) -> tuple[Mapping[str, Cell], Footprint | None]:
        """Bring it up, measure every row, take it down."""
        with self._in_place():
            found = self._measured()
        return {name: self.cells[name] for name in self.order if name in self.cells}, found

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        """Nothing of it is there before and after; the folder of the workspace's rows is."""
        self.ref = self.trial.resolve()
        matrix.require_ours(self.trial.name, self.ref.state_dir, VERB)
        with ExitStack() as stack:
            if self.machine.workspace and self.wants(*(f"{kind}-workspace" for kind in _KINDS)):
                folder = Path(os.path.realpath(stack.enter_context(_host_folder())))
                self.environment = _with_folder(self.environment, self.machine, folder)
            self._clear()
            matrix.claim(self.ref.state_dir)
            try:
                yield
            finally:
                try:
                    self._clear()
                except KeyboardInterrupt:  # one that comes while it is taken down must not leave the rest
                    self._clear()
                    raise

    def _measured(self) -> Footprint | None:
        if self.wants("cold"):
            with self.progress.step(f"measuring: {BY_NAME['cold'].title}"):
                self.cells["cold"] = Cell(values=(self._up(Silent(), rebuild=True)[0],))
            self._down()
        seconds, built = self._up(self.progress)
        first = () if built else (seconds,)
        footprint = self._weigh()
        self._ask_inside()
        if self.wants("requests", "latency"):
            self._ask_port()
        if self.wants("nothing"):
            self._repeat("nothing", lambda: self._up(Silent())[0])
        self._stop_and_start()
        self._make_anew(first, saves=footprint is not None and footprint.saves)
        if self.wants("down"):
            acting = backends.find(self.backend)
            aspects = acting.describe(self.environment, self.ref.state_dir).aspects
            self.cells["down"] = Cell(text=aspects["persistence"].replace("`", ""))
        return footprint

    def _up(self, progress: Progress, *, rebuild: bool = False) -> tuple[float, bool]:
        """Seconds until it is ready, and whether more than the start took them, such as a build."""
        begun = time.monotonic()
        engine.up(self.environment, self.backend, progress, rebuild=rebuild, timeout=self.timeout)
        seconds = time.monotonic() - begun
        start = self.ref.state_dir.load_sound(starts.RECORD, starts.StartRecord)
        return seconds, start is None or seconds - start.seconds > AROUND

    def _clear(self) -> None:
        """Leave nothing but images and disks: the first start must not be one from an old saved state."""
        self._down()
        acting = backends.find(self.backend)
        if isinstance(acting, Measurable):
            acting.forget_saved(self.ref.state_dir)

    def _down(self) -> None:
        matrix.take_down(self.ref, Silent())

    def _repeat(self, row: str, once: Callable[[], float], first: tuple[float, ...] = ()) -> None:
        values = list(first)
        with self.progress.step(f"measuring: {BY_NAME[row].title}"):
            while len(values) < self.runs and sum(values) < LIMIT:
                values.append(once())
        self.cells[row] = Cell(values=tuple(values))

    def _stop_and_start(self) -> None:
        """Both rows at once, for each stop is followed by a start; and what is kept meanwhile."""
        if not self.wants("stop", "start", "restart"):
            return
        stops: list[float] = []
        starts: list[float] = []
        traces = inside.Traces(volume=next((volume.path for volume in self.machine.volumes), ""))
        if self.wants("restart"):
            self._inside(traces.leave)
        with self.progress.step("measuring: stop, start again"):
            while len(stops) < self.runs and sum((*stops, *starts)) < LIMIT:
                begun = time.monotonic()
                engine.stop(self.ref, Silent(), None)
                stops.append(time.monotonic() - begun)
                starts.append(self._up(Silent())[0])
                if self.wants("restart") and "restart" not in self.cells:
                    self.cells["restart"] = self._inside(traces.find)
                    if not self.wants("stop", "start"):
                        return
        for row, values in (("stop", stops), ("start", starts)):
            if self.wants(row):
                self.cells[row] = Cell(values=tuple(values))

    def _inside(self, do: Callable[[Target], R]) -> R:
        with engine.target(self.ref, self.machine.name) as target:
            return do(target)

    def _make_anew(self, first: tuple[float, ...], *, saves: bool) -> None:
        """The rows that begin with what is cached; first that with a saved state, which is there now."""
        if not self.wants("ready", "saved"):
            return
        self._down()
        acting = backends.find(self.backend)

        def anew() -> float:
            seconds = self._up(Silent())[0]
            self._down()
            return seconds

        def without_saved() -> float:
            if isinstance(acting, Measurable):
                acting.forget_saved(self.ref.state_dir)
            return anew()

        if self.wants("saved") and saves:
            self._repeat("saved", anew)
        elif self.wants("saved"):
            self.cells["saved"] = Cell(note="it keeps none")
        if self.wants("ready"):
            self._repeat("ready", without_saved, first)

    def _weigh(self) -> Footprint | None:
        """What it takes of the host, just after it is ready."""
        acting = backends.find(self.backend)
        if not isinstance(acting, Measurable):
            return None
        footprint = acting.footprint(self.ref.state_dir)
        if self.wants("memory", "further", "fit"):
            weighed = (
                host.memory(footprint.processes) if footprint.processes else "this backend does not tell"
            )
            self.cells |= {name: cell for name, cell in _memory(weighed).items() if self.wants(name)}
        if self.wants("stored", "sent"):
            with self.progress.wait("measuring what would be sent"):
                sent = footprint.stored is None or self.wants("sent")
                raw, packed = host.sizes(footprint.sent) if footprint.sent and sent else (0, 0)
            unknown = "this backend does not tell"
            stored = footprint.stored or raw
            self.cells["stored"] = Cell(values=(stored,)) if stored else Cell(note=unknown)
            self.cells["sent"] = Cell(values=(packed,)) if packed else Cell(note=unknown)
        if self.wants("copy"):
            known = footprint.own is not None
            self.cells["copy"] = Cell(values=(float(footprint.own or 0),) if known else ())
        if self.wants("escape"):
            self.cells["escape"] = Cell(text=footprint.escape)
        return footprint

    def _ask_inside(self) -> None:
        """The rows that are measured by the machine's own shell."""
        with engine.target(self.ref, self.machine.name) as target:
            if self.wants("kernel", "capabilities", "seccomp", "devices", "inside"):
                cells = inside.facts(target, host.kernel())
                self.cells |= {name: cell for name, cell in cells.items() if self.wants(name)}
            for name in inside.WORK:
                if self.wants(name):
                    with self.progress.wait(f"measuring: {name}"):
                        self.cells[name] = inside.work(target, name, self.runs)
            for place in PLACES:
                if self.wants(*(f"{kind}-{place}" for kind in _KINDS)):
                    with self.progress.wait(f"measuring: files on {PLACES[place]}"):
                        self._ask_files(target, place)

    def _ask_files(self, target: Target, place: str) -> None:
        folder = {
            "root": "/var/tmp",  # noqa: S108 - a folder of our own in it, inside the machine
            "volume": next((volume.path for volume in self.machine.volumes), ""),
            "workspace": FOLDER if self.machine.workspace else "",
        }[place]
        if not folder:
            cell = Cell(note=f"the machine has no {place}")
            self.cells |= {f"{kind}-{place}": cell for kind in _KINDS if self.wants(f"{kind}-{place}")}
            return
        for name, cell in inside.files(target, place, folder, self.runs):
            if self.wants(name):
                self.cells[name] = cell

    def _ask_port(self) -> None:
        endpoint = self._inside(lambda target: host.endpoint(self.machine, target.ports))
        with self.progress.wait("measuring: requests"):
            cells = (
                (Cell(note=endpoint),) * 2 if isinstance(endpoint, str) else host.network(endpoint, self.runs)
            )
        self.cells |= dict(zip(("requests", "latency"), cells, strict=True))


_KINDS = ("write", "create", "read", "walk")


def _memory(weighed: Memory | str) -> Mapping[str, Cell]:
    if isinstance(weighed, str):
        return dict.fromkeys(("memory", "further", "fit"), Cell(note=weighed))
    return {
        "memory": Cell(values=(float(weighed.proportional),), note=weighed.note),
        "further": Cell(values=(float(weighed.own),), note=weighed.note),
        "fit": Cell(values=(float(host.fits(weighed)),), note=weighed.note),
    }


def _asked_first(machines: Sequence[Machine]) -> Machine:
    """The one that publishes a port, for all rows have an answer there; else the first."""
    return next((each for each in machines if each.ports), machines[0])


@contextmanager
def _host_folder() -> Iterator[str]:
    """A folder of the host that a machine's user can write to."""
    with tempfile.TemporaryDirectory(prefix="provision-compare-") as folder:
        Path(folder).chmod(0o777)
        yield folder


def _with_folder(environment: Environment, machine: Machine, folder: Path) -> Environment:
    """The environment with a folder of the host in one machine, mounted as its workspace is."""
    workspace = machine.workspace
    assert workspace is not None  # noqa: S101 - whoever calls looked
    origin = Origin(file=str(environment.spec), line=1, column=1)
    mount = Mount(path=FOLDER, source=folder, read_only=False, user=workspace.user, origin=origin)
    machines = tuple(
        replace(each, mounts=(*each.mounts, mount)) if each.name == machine.name else each
        for each in environment.machines
    )
    return replace(environment, machines=machines)
