"""How many environments a test runs at the same time: a table, without a host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import UsageError
from provision.jobs import HYPERVISOR, Load, choose_jobs, load_of, parse_jobs, total
from provision.model import Resources

MEBIBYTE = 1024**2
GIBIBYTE = 1024**3
CONTAINER = load_of(Resources(), virtual=False)
MACHINE = load_of(Resources(), virtual=True)
LARGE = load_of(Resources(cpus=8, memory=16 * GIBIBYTE), virtual=True)


@pytest.mark.parametrize(
    ("resources", "virtual", "cores", "memory"),
    [
        (Resources(), False, 0.5, 256 * MEBIBYTE),
        (Resources(cpus=8, memory=64 * GIBIBYTE), False, 0.5, 256 * MEBIBYTE),  # a limit, not a use
        (Resources(cpus=0.25, memory=64 * MEBIBYTE), False, 0.25, 64 * MEBIBYTE),
        (Resources(), True, 1, GIBIBYTE + HYPERVISOR),
        (Resources(cpus=8, memory=4 * GIBIBYTE), True, 4, 4 * GIBIBYTE + HYPERVISOR),
        (Resources(cpus=1, memory=512 * MEBIBYTE), True, 0.5, 512 * MEBIBYTE + HYPERVISOR),
    ],
)
def test_what_a_machine_takes(resources: Resources, virtual: bool, cores: float, memory: int) -> None:
    assert load_of(resources, virtual=virtual) == Load(cores=cores, memory=memory)


@pytest.mark.parametrize(
    ("loads", "cores", "memory", "expected"),
    [
        ([], 8, 16, 1),
        ([CONTAINER], 8, 16, 1),  # no more than there are
        ([CONTAINER] * 3, 2, 16, 3),
        ([CONTAINER] * 10, 2, 16, 4),
        ([CONTAINER] * 10, 8, 1, 4),  # by memory
        ([CONTAINER, MACHINE], 2, 4, 2),  # both forms of one spec on a small host
        ([CONTAINER, MACHINE] * 2, 2, 16, 2),
        ([CONTAINER, MACHINE] * 2, 8, 16, 4),
        ([MACHINE] * 10, 8, 16, 8),
        ([MACHINE] * 10, 8, 4, 3),  # by memory
        ([MACHINE] * 10, 8, 0.5, 1),  # even where not one fits
        ([LARGE], 2, 4, 1),
        ([CONTAINER] * 9 + [LARGE], 8, 64, 9),  # whichever run together: the large one first
        ([total([CONTAINER] * 3)] * 4, 4, 16, 2),  # of three machines each
    ],
)
def test_so_many_run_at_a_time(loads: list[Load], cores: float, memory: float, expected: int) -> None:
    assert choose_jobs(loads, Load(cores=cores, memory=int(memory * GIBIBYTE))) == expected


LOADS = st.lists(
    st.builds(Load, cores=st.sampled_from([0.25, 0.5, 1, 4]), memory=st.integers(1, 8)), max_size=9
)
HOSTS = st.builds(Load, cores=st.sampled_from([0.5, 1, 2, 8, 64]), memory=st.integers(0, 64))


@given(LOADS, HOSTS)
def test_they_always_fit_and_one_more_would_not(loads: list[Load], host: Load) -> None:
    number = choose_jobs(loads, host)
    assert 1 <= number <= max(1, len(loads))

    def fits(count: int) -> bool:
        cores = sum(sorted(each.cores for each in loads)[-count:])
        memory = sum(sorted(each.memory for each in loads)[-count:])
        return cores <= host.cores and memory <= host.memory

    assert number == 1 or fits(number)
    assert number >= len(loads) or not fits(number + 1)


@given(LOADS, HOSTS, HOSTS)
def test_a_larger_host_never_runs_fewer(loads: list[Load], host: Load, more: Load) -> None:
    assert choose_jobs(loads, total([host, more])) >= choose_jobs(loads, host)


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "1.5", "1 ", "²", "٣", "00"])
def test_a_number_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_jobs(text)
    assert caught.value.message == f"--jobs {text}: this must be a number from 1 on"
    assert "--jobs 1" in caught.value.hint


@pytest.mark.parametrize(("text", "expected"), [("1", 1), ("16", 16), ("007", 7)])
def test_a_number_is_taken(text: str, expected: int) -> None:
    assert parse_jobs(text) == expected
