"""The same environment as a virtual machine, beside a Vagrantfile written by hand."""

from __future__ import annotations

import shlex
import sys

import tools
from measuring import PROJECT, Aim, Command, Row

from provision import process
from provision.backends.vm.drivers import find as find_provider
from provision.bases.box import boxes_folder, build_box
from provision.bases.catalogue import find as find_base
from provision.progress import Plain, Silent
from provision.state import StateDir

PEER = "bench/peers/vagrant"
STEP = "bench/specs/step.yaml"
THAW = "bench/peers/qemu/thaw"
VAGRANT = "vagrant"
LIBVIRT = "libvirt"  # the peer's provider, and the tool's own machine of it
RAW = "raw QEMU"
STATE = StateDir.of(PROJECT, "bench", "vm").folder
KEPT = str(STATE / "qemu")


def ours(verb: str, *words: str, spec: str = tools.SPEC) -> list[str]:
    """The tool's own command line for its virtual machine."""
    return tools.ours(verb, "--backend", "vm", *words, spec=spec)


def ours_of_libvirt(verb: str, *words: str) -> list[str]:
    """The same for the machine of libvirt, beside the other."""
    spec = "bench/specs/libvirt.yaml"
    return [tools.program(), verb, spec, "--backend", "vm", "--set", "port=18085", *words]


def rows() -> tuple[Row, ...]:
    """Every row: the tool's machine of QEMU beside Vagrant's of libvirt, and what it is made of by hand."""
    vagrant = _vagrant()
    up = {
        tools.OURS: Command(argv=ours("up", "--no-verify")),
        LIBVIRT: Command(argv=ours_of_libvirt("up", "--no-verify")),
        VAGRANT: Command(argv=[*vagrant, "up"]),
    }
    alike = {
        tools.OURS: Command(argv=ours("exec", "--", "true")),
        LIBVIRT: Command(argv=ours_of_libvirt("exec", "--", "true")),
        VAGRANT: Command(argv=[*vagrant, "ssh", "-c", "true"]),
    }
    changed = ours("up", "--no-verify", spec=STEP)
    alone = [ours_of_libvirt("down"), [*vagrant, "destroy", "--force"]]
    quarter = {LIBVIRT: Aim(limit=0.25, peer=VAGRANT)}
    hang_up = ["sh", "-c", "pkill -f '[p]rovision-.*\\[mux\\]' || true"]
    return (
        Row(
            title="cold: nothing of the disk cached; the box here",
            aim=Aim(limit=0.4, peer=VAGRANT),
            other_aims={LIBVIRT: Aim(limit=1, peer=VAGRANT)},
            runs=1,
            warm_ups=0,
            commands={
                tools.OURS: Command(
                    argv=ours("up", "--rebuild", "--no-verify"), before=[ours("down", "--images")]
                ),
                LIBVIRT: Command(
                    argv=ours_of_libvirt("up", "--rebuild", "--no-verify"),
                    before=[ours_of_libvirt("down", "--images")],
                ),
                VAGRANT: Command(argv=up[VAGRANT].argv, before=[[*vagrant, "destroy", "--force"]]),
            },
        ),
        Row(
            title="the last run step changed",
            runs=2,
            warm_ups=0,
            commands={
                tools.OURS: Command(
                    argv=["sh", "-c", f"{shlex.join(changed)} --set text=$(date +%N)"], before=[changed]
                )
            },
        ),
        Row(
            title="from memory: no machine, its state kept",
            aim=Aim(limit=2, peer=RAW),
            runs=5,
            commands={
                tools.OURS: Command(argv=up[tools.OURS].argv, before=[*alone, ours("down")]),
                RAW: Command(
                    argv=["sh", THAW, str(STATE)],
                    before=[up[tools.OURS].argv, ours("down"), ["sh", THAW, str(STATE), "prepare"]],
                ),
                **{
                    peer.name: Command(argv=peer.up, before=[peer.down])
                    for peer in (tools.COMPOSE, tools.COMPOSE_WAITS)
                },
            },
        ),
        Row(
            title="no machine, the disk or the box here",
            aim=Aim(limit=0.4, peer=VAGRANT),
            runs=2,
            warm_ups=0,
            commands={
                tools.OURS: Command(
                    argv=up[tools.OURS].argv,
                    before=[ours("down"), ["sh", "-c", f"rm -f {KEPT}/*.kept"]],
                ),
                LIBVIRT: Command(argv=up[LIBVIRT].argv, before=[ours_of_libvirt("down")]),
                VAGRANT: Command(argv=up[VAGRANT].argv, before=[[*vagrant, "destroy", "--force"]]),
            },
        ),
        Row(
            title="up after stop, or halt",
            runs=3,
            warm_ups=0,
            commands={
                tools.OURS: Command(argv=up[tools.OURS].argv, before=[up[tools.OURS].argv, ours("stop")]),
                LIBVIRT: Command(argv=up[LIBVIRT].argv, before=[up[LIBVIRT].argv, ours_of_libvirt("stop")]),
                VAGRANT: Command(argv=up[VAGRANT].argv, before=[up[VAGRANT].argv, [*vagrant, "halt"]]),
            },
        ),
        Row(
            title="up again, nothing changed",
            aim=Aim(limit=0.15, peer=VAGRANT),
            other_aims=quarter,
            runs=5,
            commands=up,
        ),
        Row(
            title="status",
            aim=Aim(limit=0.25, peer=VAGRANT),
            other_aims=quarter,
            runs=5,
            commands={
                tools.OURS: Command(argv=ours("status")),
                LIBVIRT: Command(argv=ours_of_libvirt("status")),
                VAGRANT: Command(argv=[*vagrant, "status"]),
            },
        ),
        Row(
            title="exec true",
            aim=Aim(limit=0.35, peer=VAGRANT),
            other_aims=quarter,
            runs=5,
            commands=alike,
        ),
        Row(
            title="exec true, no connection open",
            aim=Aim(limit=0.5, peer=VAGRANT),
            other_aims={LIBVIRT: Aim(limit=0.5, peer=VAGRANT)},
            runs=5,
            commands={
                **alike,
                tools.OURS: Command(argv=alike[tools.OURS].argv, before=[hang_up]),
                LIBVIRT: Command(argv=alike[LIBVIRT].argv, before=[hang_up]),
            },
        ),
        Row(
            title="40 checks",
            aim=Aim(limit=10),
            runs=3,
            commands={tools.OURS: Command(argv=ours("verify", spec=tools.CHECKS))},
        ),
    )


def remove_everything() -> None:
    """Take down all machines, and the peer that is a container."""
    compose = [*tools.COMPOSE.down, "--volumes"]
    for down in (ours("down", "--volumes"), ours_of_libvirt("down", "--volumes"), compose):
        process.run(down, cwd=PROJECT, check=False)
    process.run([*_vagrant(), "destroy", "--force"], cwd=PROJECT, check=False)


def _vagrant() -> list[str]:
    """Vagrant in the peer's folder, with the box and the acceleration that the tool itself takes."""
    box = build_box(find_base("debian:12"), LIBVIRT, boxes_folder(), Plain(sys.stderr))
    chosen = find_provider(LIBVIRT).host_choices(Silent())  # type: ignore[attr-defined]
    settings = {
        "VAGRANT_CWD": PEER,
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "BENCH_BOX_NAME": f"provision/{box.stem}",
        "BENCH_BOX_URL": box.as_uri(),
        **{f"BENCH_{name.upper()}": str(value) for name, value in chosen.items()},
    }
    return ["env", *(f"{name}={value}" for name, value in settings.items()), "vagrant"]
