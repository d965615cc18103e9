"""What a person reads of a build while it goes on."""

from __future__ import annotations

import pytest

from provision.backends.build_lines import BuildLines

MOUNT = "RUN --mount=type=bind,source={0},target=/run/provision/{0}     sh /run/provision/{0}"


@pytest.mark.parametrize(
    ("lines", "readable"),
    [
        (
            [
                f"#7 [machine 3/9] {MOUNT.format('steps/020-packages.sh')}",
                "#7 2.338 Fetched 241 kB",
                "#7 2.4 provision: no package curll: curl curlew",
                "#7 DONE 1.4s",
            ],
            [
                "step packages (3 of 9)",
                "step packages: Fetched 241 kB",
                "step packages",
                "step packages: DONE 1.4s",
            ],
        ),
        (
            [f"#8 [web machine 3/9] {MOUNT.format('steps/110-venv-and-more.sh')}", "#8 CACHED"],
            ["step venv-and-more (3 of 9)", "step venv-and-more: CACHED"],
        ),
        (
            [f"#13 [disk 1/1] {MOUNT.format('guest/disk.sh')}", "#13 1.0 x"],
            ["step disk (1 of 1)", "step disk: x"],
        ),
        (
            ["#1 [internal] load build definition from Dockerfile", "#1 transferring dockerfile: 2.1kB done"],
            ["load build definition from Dockerfile", "transferring dockerfile: 2.1kB done"],
        ),
        (
            ["#4 [kernel 2/2] RUN --network=none --mount=type=cache apt-get update", "#4 0.1 Get:1"],
            ["RUN apt-get update", "Get:1"],
        ),
        (
            [f"#5 [a 1/2] {MOUNT.format('steps/010-a.sh')}", f"#6 [b 1/2] {MOUNT.format('steps/010-b.sh')}",
             "#5 0.1 one", "#6 0.1 two"],
            ["step a (1 of 2)", "step b (1 of 2)", "step a: one", "step b: two"],
        ),
        ([" Container web-1  Starting", ""], [" Container web-1  Starting", ""]),
    ],
)  # fmt: skip
def test_a_step_is_called_by_its_name(lines: list[str], readable: list[str]) -> None:
    reader = BuildLines()
    assert [reader.readable(line) for line in lines] == readable


def test_a_step_that_took_long_is_told_with_its_place() -> None:
    reader = BuildLines()
    for line in (f"#7 [machine 3/9] {MOUNT.format('steps/020-packages.sh')}", "#8 [internal] load metadata"):
        reader.readable(line)
    ends = ("#7 2.3 Fetched", "#7 DONE 14.2s", "#7 DONE 0.4s", "#8 DONE 9.0s", "#9 DONE 9.0s", "DONE 9.0s")
    assert [reader.done(line) for line in ends] == ["", "step packages (3 of 9): 14.2 s", "", "", "", ""]
