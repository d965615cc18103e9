"""What is measured: a row for each thing that people wait for."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import tools
from measuring import Aim, Command, Row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COMPOSE, DEV_CONTAINERS = tools.COMPOSE.name, tools.DEV_CONTAINERS.name


def rows(dev_containers: bool, scratch: Path) -> tuple[Row, ...]:  # noqa: FBT001 - has it or not
    """Every row; without the Dev Containers CLI where it could not be had."""
    other = (tools.DEV_CONTAINERS,) if dev_containers else ()
    all_tools = (tools.PROVISION, tools.COMPOSE, tools.COMPOSE_WAITS, *other)
    without_wait = (tools.PROVISION, tools.COMPOSE, *other)
    verified = {tools.OURS: Command(argv=tools.ours("up"))}
    return (
        Row(
            title="cold: image built without cached layers, container up",
            aim=Aim(limit=1.05, peer=COMPOSE),
            runs=3,
            commands={t.name: Command(argv=t.rebuild, before=[t.down]) for t in all_tools},
        ),
        Row(
            title="warm up: image there, no container",
            aim=Aim(limit=1.7, peer=COMPOSE),
            commands={t.name: Command(argv=t.up, before=[t.down]) for t in all_tools},
        ),
        Row(
            title="up again, nothing changed",
            aim=Aim(limit=2.5, peer=COMPOSE),
            commands={t.name: Command(argv=t.up) for t in without_wait},
        ),
        Row(
            title="up again, nothing changed, all checks",
            aim=Aim(limit=1, peer=DEV_CONTAINERS),
            commands=verified | {t.name: Command(argv=t.up) for t in other},
        ),
        Row(
            title="status",
            aim=Aim(limit=2.5, peer=COMPOSE),
            commands={
                tools.OURS: Command(argv=tools.ours("status")),
                COMPOSE: Command(argv=tools.COMPOSE_STATUS),
            },
        ),
        Row(
            title="exec true",
            aim=Aim(limit=1.5, peer=COMPOSE),
            commands={t.name: Command(argv=t.execute) for t in without_wait},
        ),
        Row(
            title="down",
            commands={
                t.name: Command(argv=t.down, before=[t.up]) for t in (tools.PROVISION, tools.COMPOSE_WAITS)
            },
        ),
        Row(
            title="40 checks",
            aim=Aim(limit=1.5),
            commands={
                tools.OURS: Command(
                    argv=tools.ours("verify", spec=tools.CHECKS), before=[tools.PROVISION.up]
                ),
                "pytest --hosts": Command(argv=_testinfra(), before=[tools.PROVISION.up]),
            },
        ),
        Row(
            title="--help",
            aim=Aim(limit=1.5, peer="import click"),
            runs=15,
            commands={
                tools.OURS: Command(argv=[tools.program(), "--help"]),
                "import click": Command(argv=[sys.executable, "-c", "import click"]),
            },
        ),
        _validate(scratch, 5_000, None),
        _validate(scratch, 10_000, Aim(limit=1)),
    )


def _testinfra() -> Sequence[str]:
    """The same questions, asked by testinfra's own Docker backend."""
    pytest = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider"]
    container = "$(docker ps --quiet --filter label=provision.environment=bench)"
    words = f'exec {shlex.join(pytest)} --hosts="docker://{container}" bench/peers/test_checks.py'
    return ["sh", "-c", words]


def _validate(scratch: Path, lines: int, aim: Aim | None) -> Row:
    """A spec of so many lines: a third of them files to make, the rest in a script."""
    spec = scratch / f"lines-{lines}.yaml"
    third = lines // 3
    text = ["version: 1", "name: long", "base: debian:12", "files:"]
    text += [f'  /etc/app/{n}.conf: {{content: "value {n}\\n", mode: "0644"}}' for n in range(third)]
    text += ["run:"]
    text += [f"  - echo {n}" for n in range(lines - len(text))]
    spec.write_text("\n".join(text) + "\n")
    return Row(
        title=f"validate, {lines:,} lines",
        aim=aim,
        runs=5,
        commands={tools.OURS: Command(argv=[tools.program(), "validate", str(spec)])},
    )
