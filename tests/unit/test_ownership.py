"""What is an environment's own, what is in its way, and what it leaves behind: decided without an engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provision.backends.docker import doctor
from provision.backends.docker.containers import in_order_of_ending
from provision.backends.docker.ownership import refuse_strangers
from provision.backends.docker.render import env_file
from provision.backends.volumes import notes_on_volumes
from provision.docker_client.queries import Container, Image, Objects
from provision.errors import EnvironmentFailed

MINE = {"provision.id": "0123abcd", "provision.recipe": "f" * 64}
NOTHING = Objects(containers={}, images={}, volumes={}, networks={})


def container(name: str, **labels: str) -> Container:
    return Container(
        name=name, running=True, paused=False, restarting=False, health="", exit_code=0, address=None,
        image="", labels={key.replace("_", "."): value for key, value in labels.items()}, ports=(),
    )  # fmt: skip


def image(labels: dict[str, str]) -> Image:
    return Image(id="", tags=(), labels=labels, size=0, architecture="")


ALIEN = {
    "none of ours": {},
    "another's": {"provision.id": "9999ffff", "provision.project": "/home/me/clone"},
    "of Compose": {"com.docker.compose.project": "dev-0123abcd",
                   "com.docker.compose.project.working_dir": "/srv/shop"},
}  # fmt: skip


@pytest.mark.parametrize("labels", ALIEN)
@pytest.mark.parametrize("kind", ["containers", "volumes", "networks", "others"])
def test_whatever_does_not_carry_the_id_is_in_the_way(kind: str, labels: str) -> None:
    alien = replace(container("x"), labels=ALIEN[labels])
    found: dict[str, Any] = {
        "containers": {"x": alien},
        "volumes": {"x": alien.labels},
        "networks": {"x": alien.labels},
    }
    seen = NOTHING if kind == "others" else replace(NOTHING, **{kind: found[kind]})
    with pytest.raises(EnvironmentFailed) as caught:
        refuse_strangers("0123abcd", seen, [alien] if kind == "others" else [])
    (line,) = caught.value.evidence
    assert line.startswith(f"the {'container' if kind == 'others' else kind[:-1]} x")
    folder = ALIEN[labels].get("provision.project", "") or ALIEN[labels].get(
        "com.docker.compose.project.working_dir", ""
    )
    assert line.endswith(f" in {folder}" if folder else " x")


def test_an_image_that_provision_did_not_build_is_in_the_way() -> None:
    with pytest.raises(EnvironmentFailed, match="is taken by something else"):
        refuse_strangers("0123abcd", replace(NOTHING, images={"provision/dev:1": image({})}))


def test_ones_own_is_not_in_the_way() -> None:
    own = replace(container("x"), labels=MINE)
    seen = Objects(
        containers={"x": own}, images={"i": image(MINE)}, volumes={"v": MINE}, networks={"n": MINE}
    )
    refuse_strangers("0123abcd", seen, [own])
    refuse_strangers("0123abcd", replace(NOTHING, images={"i": image({"provision.recipe": "of a clone"})}))


@pytest.mark.parametrize(
    ("needs", "groups"),
    [
        ({"a": "", "b": ""}, [["a", "b"]]),
        ({"db": "", "web": "db", "proxy": "web"}, [["proxy"], ["web"], ["db"]]),
        ({"db": "", "web-1": "db", "web-2": "db"}, [["web-1", "web-2"], ["db"]]),
        ({"a": "b", "b": "a"}, [["a", "b"]]),  # no spec says so; it ends all the same
        ({"web": "gone"}, [["web"]]),
    ],
)
def test_whoever_needs_another_ends_before_it(needs: dict[str, str], groups: list[list[str]]) -> None:
    containers = [
        container(name, provision_machine=name, provision_needs=need) for name, need in needs.items()
    ]
    assert [[each.name for each in group] for group in in_order_of_ending(containers)] == groups


@pytest.mark.parametrize(
    ("case", "wanted", "there", "made", "said"),
    [
        ("new", {"dev": {"data": "d.data"}}, (), (), []),
        ("as it was", {"dev": {"data": "d.data"}}, ("d.data",), ("dev",), []),
        ("down and up", {"dev": {"data": "d.data"}}, ("d.data",), (), []),
        ("renamed", {"dev": {"new": "d.new"}}, ("d.data",), ("dev",), ["empty volume new", "d.data"]),
        ("added", {"dev": {"new": "d.new"}}, (), ("dev",), ["empty volume new"]),
        ("taken out", {"dev": {}}, ("d.data",), ("dev",), ["d.data any more"]),
        ("one to several", {"web": {"data": "d.web.data"}}, ("d.data",), (), ["empty volume data", "d.data"]),
    ],
)  # fmt: skip
def test_what_is_said_of_volumes(
    case: str,
    wanted: dict[str, dict[str, str]],
    there: tuple[str, ...],
    made: tuple[str, ...],
    said: list[str],
) -> None:
    notes = notes_on_volumes(wanted, there, made)
    assert len(notes) == len(said), case
    assert all(part in note for part, note in zip(said, notes, strict=True)), notes


def test_the_variables_of_compose_are_data() -> None:
    assert env_file({"A": "plain", "B": 'q"\\$x${y}\n#'}) == 'A="plain"\nB="q\\"\\\\\\$x\\${y}\\n#"\n'


@pytest.mark.parametrize(
    ("root", "place", "unreadable"),
    [
        ("/var/snap/docker/common/var-lib-docker", "/home/me/.local/state/provision", True),
        ("/var/snap/docker/common/var-lib-docker", "/home/me/provision", False),
        ("/var/lib/docker", "/home/me/.local/state/provision", False),
    ],
)
def test_an_engine_that_is_a_snap_reads_no_hidden_folder(
    root: str, place: str, unreadable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVISION_STATE_DIR", place)
    assert doctor._hidden_state(root) == (place if unreadable else "")
