"""Whose a volume is, and where it lies in a live folder: tables and real folders."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from provision import spec
from provision.errors import SpecError
from provision.walls import make_mount_points

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Machine

HEAD = """
version: 1
name: kept
base: debian:12
users: {dev: {}, app: {}}
workspace: {source: %s, user: dev}
"""
NM = "/workspace/node_modules"

# Volumes and files of a spec; the volume's owner and mode; what a file at its path has.
TABLE = (
    ("volumes: {v: /data}", (None, None), None),
    ("volumes: {v: {path: /data}}", (None, None), None),
    ("volumes: {v: {path: /data, owner: app}}", ("app", None), None),
    ('volumes: {v: {path: /data, mode: "0750"}}', (None, 0o750), None),
    ("volumes: {v: /workspace/node_modules}", ("dev", None), None),
    ("volumes: {v: {path: /workspace/a/b, owner: app}}", ("app", None), None),
    ("volumes: {v: /workspaces/data}", (None, None), None),
    (
        f"volumes: {{v: {NM}}}\nfiles: {{{NM}: {{dir: true}}}}",
        ("dev", None),
        ("dev", None),
    ),
    (
        f"volumes: {{v: {NM}}}\nfiles: {{{NM}/: {{dir: true, owner: app, mode: '0700'}}}}",
        ("app", 0o700),
        ("app", 0o700),
    ),
    (
        "volumes: {v: {path: /data, owner: app, mode: '0700'}}\nfiles: {/data: {dir: true}}",
        ("app", 0o700),
        ("app", 0o700),
    ),
    ("volumes: {v: /data}\nfiles: {/data: {dir: true}}", (None, None), ("root", None)),
    (f"volumes: {{v: {NM}}}\nfiles: {{{NM}/a/b: {{content: x}}}}", ("dev", None), ("root", None)),
)

REFUSED = (
    ("files: {/workspace/a: {dir: true}}", "/workspace/a would be hidden by the workspace"),
    ("files: {/workspace: {content: x}}", "/workspace would be hidden by the workspace"),
    (
        "volumes: {v: /data}\nmounts: {/data/m: {source: .}}\nfiles: {/data/m/x: {dir: true}}",
        "/data/m/x would be hidden by the mount /data/m",
    ),
    (
        "volumes: {v: {path: /data, owner: app}}\nfiles: {/data: {dir: true, owner: dev}}",
        "the volume v has the owner app, and /data in files has another",
    ),
    ("volumes: {v: {path: /data, owner: nobdy}}", "no user is called nobdy"),
    ("volumes: {v: {owner: app}}", "v has no path"),
    ("volumes: {v: {path: /workspace}}", "the volume v and the workspace are at the same path /workspace"),
)


def machine_of(text: str, folder: Path, workspace: str = ".") -> Machine:
    path = folder / "spec.yaml"
    path.write_text(f"{HEAD % workspace}{text}\n")
    return spec.load(path, backend="docker", host={}).machines[0]


@pytest.mark.parametrize(("text", "owned", "file"), TABLE)
def test_whose_a_volume_is(
    text: str, owned: tuple[str | None, int | None], file: tuple[str, int | None] | None, tmp_path: Path
) -> None:
    machine = machine_of(text, tmp_path)
    (volume,) = machine.volumes
    assert (volume.owner, volume.mode) == owned
    assert [(each.owner, each.mode) for each in machine.files] == ([] if file is None else [file])


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_what_contradicts_itself_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as refused:
        machine_of(text, tmp_path)
    assert any(said in problem.message for problem in refused.value.problems), refused.value.problems


VOLUMES = """
volumes:
  a: /workspace/a/b/c
  link: /workspace/link/inside
  file: /workspace/file/inside
  nested: /data/cache/deep
  data: /data/cache
  other: /elsewhere/x
mounts:
  /workspace/more/config: {source: file, read_only: true}
  /data: {source: data}
"""


def test_mount_points_are_made_for_the_folders_owner(tmp_path: Path) -> None:
    for path in ("outside", "project/work", "project/data", "project/.git"):
        (tmp_path / path).mkdir(parents=True)
    project, work = tmp_path / "project", tmp_path / "project/work"
    (project / "file").write_text("kept")
    (work / "file").write_text("kept")
    (work / "link").symlink_to(tmp_path / "outside")
    owner = (4321, 4322) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    os.chown(work, *owner)
    machine = machine_of(VOLUMES, project, "work")
    for _ in range(2):
        make_mount_points([machine])
        made = [work / path for path in ("a", "a/b", "a/b/c", "more", "more/config")]
        assert [(path.stat().st_uid, path.stat().st_gid) for path in made] == [owner] * 5
        assert (work / "more/config").is_file()
        assert [path.name for path in (project / "data").rglob("*")] == ["cache"]
        assert list((tmp_path / "outside").iterdir()) == []
        assert (work / "file").read_text() == "kept"
