"""A simulated day of a company: what its registry, caches, CI and hosts carry, and where they break.

The figures of one environment are measured, those of the company are assumed; both are in scale.yaml.
What is random is drawn with fixed seeds, so that two runs give the same page.
"""

from __future__ import annotations

import dataclasses
import math
import random
import statistics
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simpy
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

FOLDER = Path(__file__).resolve().parent
SEEDS = range(5)
GIB = 2**30
MOST = 1_000_000  # developers; beyond that, nothing of this is the question any more


@dataclasses.dataclass(frozen=True, kw_only=True)
class Form:
    """The measured figures of one environment, as a container or as a machine: seconds and bytes."""

    cold: float
    ready: float
    checks: float
    stored: int
    sent: int
    sent_change: int
    copy: int
    memory: int
    further: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Company:
    """What is assumed; scale.yaml says what each figure is."""

    developers: int
    environments: int
    team: int
    machines: float
    used: int
    changes: float
    pushes: float
    begin: float
    day: float
    days: int
    client_link: int
    registry_links: Sequence[int]
    registry_disk: int
    runners: Sequence[int]
    checkout: float
    patience: float
    caches: Sequence[int]
    laptop: int
    host: int

    @property
    def distinct(self) -> float:
        """Environments that differ: a team's are the same for all in it."""
        return self.developers * self.environments / self.team

    def share(self, container: float, machine: float) -> float:
        """The mean of a figure over both forms."""
        return (1 - self.machines) * container + self.machines * machine


def waits(
    arrivals: Iterable[tuple[float, float]], servers: int, observe: Callable[[float, float], None]
) -> None:
    """Serve each arrival (its time, the seconds that it holds a server) in order; tell its wait and end."""
    engine = simpy.Environment()
    free = simpy.Resource(engine, capacity=servers)

    def one(at: float, seconds: float) -> Iterator[Any]:
        yield engine.timeout(at)
        with free.request() as turn:
            yield turn
            waited = engine.now - at
            yield engine.timeout(seconds)
        observe(waited, engine.now)

    for at, seconds in arrivals:
        engine.process(one(at, seconds))
    engine.run()


def at_95(values: Sequence[float]) -> float:
    """The value that 95 of 100 do not exceed."""
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else sum(values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Morning:
    """What the registry does while people begin: seconds of a pull, with its wait; bytes sent."""

    middle: float
    late: float
    sent: int
    until: float


def morning(company: Company, forms: tuple[Form, Form], link: int, seed: int, *, whole: bool) -> Morning:
    """People begin, and pull the environments of theirs that changed, or, with `whole`, all that they use.

    A pull runs at the developer's own speed; as many run at a time as the registry's link feeds.
    """
    chance = random.Random(seed)
    pulls: list[tuple[float, float]] = []
    sent = 0
    for _ in range(company.developers):
        at = max(chance.gauss(4 * company.begin, company.begin), 0)
        for _ in range(company.used):
            form = forms[chance.random() < company.machines]
            changed = chance.random() < 1 - math.exp(-company.changes)
            size = form.sent if whole else form.sent_change * changed
            if size:
                sent += size
                pulls.append((at, size / company.client_link))
    taken: list[float] = []
    ends: list[float] = []

    def observe(waited: float, end: float) -> None:
        taken.append(waited)
        ends.append(end)

    waits(pulls, max(1, link // company.client_link), observe)
    own = [seconds for _, seconds in pulls]
    middle = statistics.median(taken) + statistics.median(own)
    return Morning(middle=middle, late=at_95(taken) + max(own), sent=sent, until=max(ends))


def queue(company: Company, job: tuple[float, float], runners: int, seed: int) -> float:
    """Seconds that 95 of 100 pushes wait for a runner on a day; each is two jobs, one of each form."""
    chance = random.Random(seed)
    arrivals = []
    for _ in range(round(company.developers * company.pushes)):
        # Twice a day people push more than on the average: before lunch, and before they leave.
        peak = chance.choice((0.4, 0.85)) * company.day
        spread = chance.random() < 0.5
        at = chance.random() * company.day if spread else min(max(chance.gauss(peak, 3600), 0), company.day)
        arrivals += [(at, seconds) for seconds in job]
    found: list[float] = []
    waits(arrivals, runners, lambda waited, _: found.append(waited))
    return at_95(found)


def missed(company: Company, forms: tuple[Form, Form], limit: int, seed: int) -> float:
    """The share of a developer's ups in a month whose image or disk was cached, and removed for the limit.

    The environments used are drawn by rank: the first twice as often as the second. Each change makes
    another image, of which only the changed step is more to store; the least recently used goes first.
    """
    chance = random.Random(seed)
    weights = [1 / rank for rank in range(1, company.environments + 1)]
    kinds = [forms[chance.random() < company.machines] for _ in weights]
    versions = [0] * len(weights)
    cache: OrderedDict[tuple[int, int], int] = OrderedDict()
    had: set[tuple[int, int]] = set()
    ups = lost = 0
    for _ in range(company.days):
        for which in range(len(weights)):
            versions[which] += chance.random() < 1 - math.exp(-company.changes)
        for which in chance.choices(range(len(weights)), weights, k=company.used):
            key = which, versions[which]
            ups += 1
            if key in cache:
                cache.move_to_end(key)
                continue
            lost += key in had
            first = not any(known == which for known, _ in cache)
            cache[key] = kinds[which].stored if first else kinds[which].sent_change * 3
            had.add(key)
            while sum(cache.values()) > limit and len(cache) > 1:
                cache.popitem(last=False)
    return lost / ups


def most(holds: Callable[[int], bool]) -> int:
    """The greatest number for which it holds, to a hundredth; MOST if it holds there."""
    low, high = 0, 1
    while high < MOST and holds(high):
        low, high = high, high * 4
    if high >= MOST and holds(MOST):
        return MOST
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def over(seeds: Iterable[int], figure: Callable[[int], float]) -> float:
    """The median of a figure over the seeds."""
    return statistics.median(figure(seed) for seed in seeds)


def registry(company: Company, forms: tuple[Form, Form]) -> Iterator[str]:
    container, machine = forms
    yield "## Registry\n"
    yield "| link | morning | sent | pull, median | pull, 95 of 100 | all served after |"
    yield "| --: | --- | --: | --: | --: | --: |"
    for link in company.registry_links:
        for whole, title in ((False, "steps changed"), (True, "the base was renewed")):
            runs = [morning(company, forms, link, seed, whole=whole) for seed in SEEDS]
            sent, middle, late, until = (
                statistics.median(getattr(each, name) for each in runs)
                for name in ("sent", "middle", "late", "until")
            )
            yield (
                f"| {link * 8 / 1e9:g} Gbit/s | {title} | {sent / 1e9:,.0f} GB | {middle:,.1f} s"
                f" | {late:,.1f} s | {until / 3600:.1f} h |"
            )
    local = company.share(container.cold, machine.cold)
    yield (
        "\nA pull is worth its wait while it takes less than to build:"
        f" {local:.0f} s on the average, from nothing."
    )
    for link in company.registry_links:

        def holds(developers: int, link: int = link) -> bool:
            more = dataclasses.replace(company, developers=developers)
            return morning(more, forms, link, 0, whole=True).late <= local

        yield (
            f"With {link * 8 / 1e9:g} Gbit/s and a renewed base that is so, for 95 of 100, up to"
            f" **{most(holds):,} developers**."
        )
    change = company.share(container.sent_change, machine.sent_change)
    whole_one = company.share(container.sent, machine.sent)
    daily = company.distinct * company.changes * change
    renewal = company.distinct * whole_one
    month = daily * company.days + renewal * 4
    yield (
        f"\nIt holds {company.distinct:,.0f} environments that differ: {renewal / 1e9:,.0f} GB; a day of"
        f" changes adds {daily / 1e9:,.1f} GB, a base renewed each week {renewal / 1e9:,.0f} GB each time."
        f" A disk of {company.registry_disk / 1e12:g} TB is full after"
        f" **{company.registry_disk / month:,.1f} months** if nothing is ever removed.\n"
    )


def caches(company: Company, forms: tuple[Form, Form]) -> Iterator[str]:
    yield "## Caches of developers\n"
    yield "| limit | fetched or built again |"
    yield "| --: | --: |"
    for gib in company.caches:
        share = statistics.mean(missed(company, forms, gib * GIB, seed) for seed in range(100))
        yield f"| {gib} GiB | {share:.1%} of ups |"
    yield (
        "\nOf a month's ups, those whose image or disk had been there, and was removed to keep the limit:"
        " the mean of a hundred developers.\n"
    )


def runners(company: Company, forms: tuple[Form, Form]) -> Iterator[str]:
    container, machine = forms
    yield "## CI\n"
    fetched = {
        "nothing shared": tuple(
            company.checkout + form.cold + form.ready + form.checks for form in (container, machine)
        ),
        "with a registry": tuple(
            company.checkout + form.sent / company.client_link + form.ready + form.checks
            for form in (container, machine)
        ),
    }
    yield "| runners | " + " | ".join(f"{title}: 95 of 100 wait at most" for title in fetched) + " |"
    yield "| --: " * (len(fetched) + 1) + "|"
    for number in company.runners:
        cells = [over(SEEDS, lambda s, j=job, n=number: queue(company, j, n, s)) for job in fetched.values()]
        yield f"| {number} | " + " | ".join(f"{cell:,.0f} s" for cell in cells) + " |"
    yield ""
    for title, job in fetched.items():
        seconds = " and ".join(f"{each:.0f} s" for each in job)
        number = company.runners[2]

        def holds(developers: int, job: tuple[float, ...] = job, number: int = number) -> bool:
            more = dataclasses.replace(company, developers=developers)
            return queue(more, (job[0], job[1]), number, 0) <= company.patience

        yield (
            f"- {title}: a push is jobs of {seconds}; {number} runners carry **{most(holds):,} developers**"
            f" with at most {company.patience:.0f} s of waiting."
        )
    yield ""


def hosts(company: Company, forms: tuple[Form, Form], networks: int) -> Iterator[str]:
    yield "## Hosts\n"
    yield "| host | form | held by memory | at a time, of 10 environments each |"
    yield "| --- | --- | --: | --- |"
    for title, memory in (("a laptop", company.laptop), ("a shared host", company.host)):
        for name, form in zip(("containers", "machines"), forms, strict=True):
            count = int(memory // form.memory)
            people = count // company.environments
            held = "all of one developer" if title == "a laptop" and people else f"{people:,} developers"
            if title == "a laptop" and not people:
                held = f"{count} of one developer"
            yield f"| {title}, {memory / GIB:.0f} GiB | {name} | {count:,} | {held} |"
    yield (
        "\nThese are idle environments, none of which shares memory with another. Long before its memory,"
        f" one Docker engine runs out of **networks**: its default address pools hold {networks}, the"
        f" environments of {networks // company.environments} developers. With `default-address-pools` of 256"
        " addresses each in its configuration, 10.0.0.0/8 holds 65,536.\n"
    )


def page() -> str:
    """The results as Markdown."""
    given = yaml.safe_load((FOLDER / "scale.yaml").read_text())
    measured = given["measured"]
    forms = Form(**measured["container"]), Form(**measured["machine"])
    company = Company(**given["assumed"])
    about = (
        "Written by `make scale` from [scale.yaml](scale.yaml): one environment is measured, the company is"
        f" assumed. {company.developers:,} developers have {company.environments} environments each,"
        f" {company.machines:.0%} of them as virtual machines, and share them in teams of {company.team}."
        f" Medians of {len(SEEDS)} simulated days.\n"
    )
    lines = [
        "# Results of the simulation\n",
        about,
        f"Measured: {measured['source'].strip()}.\n",
        *registry(company, forms),
        *caches(company, forms),
        *runners(company, forms),
        *hosts(company, forms, measured["networks"]),
    ]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    text = page()
    (FOLDER / "results-scale.md").write_text(text)
    print(text)
