"""What the `.git` of a workspace points to, and where that must be inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from provision.spec import everything, load
from provision.spec.demands import nothing
from provision.spec.workspace import NO_GIT, git_beside

if TYPE_CHECKING:
    from pathlib import Path

INSIDE = "/workspace"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A workspace at HERE/work: the text of its `.git`, and other files; what is mounted, or lacks."""

    name: str
    git: str = ""
    files: tuple[tuple[str, str], ...] = ()
    folder: str = ""
    path: str = ""
    lacks: str = ""


def repository(folder: str) -> tuple[tuple[str, str], ...]:
    return (
        (f"{folder}/HEAD", "ref: refs/heads/main\n"),
        (f"{folder}/objects/x", ""),
        (f"{folder}/config", ""),
    )


def worktree(folder: str) -> tuple[tuple[str, str], ...]:
    return (*repository(folder), (f"{folder}/worktrees/work/commondir", "../..\n"))


CASES = (
    Case(name="no git"),
    Case(name="its own folder", files=repository("work/.git")),
    Case(
        name="a worktree",
        git="HERE/main/.git/worktrees/work",
        files=worktree("main/.git"),
        folder="main/.git",
        path="HERE/main/.git",
    ),
    Case(
        name="a relative worktree",
        git="../main/.git/worktrees/work",
        files=worktree("main/.git"),
        folder="main/.git",
        path="/main/.git",
    ),
    Case(
        name="a bare repository's",
        git="HERE/.bare/worktrees/work",
        files=worktree(".bare"),
        folder=".bare",
        path="HERE/.bare",
    ),
    Case(
        name="a folder apart", git="HERE/apart", files=repository("apart"), folder="apart", path="HERE/apart"
    ),
    Case(name="one within, relative", git=".bare", files=repository("work/.bare")),
    Case(
        name="one within",
        git="HERE/work/.bare",
        files=repository("work/.bare"),
        lacks="has the absolute path HERE/work/.bare",
    ),
    Case(
        name="a submodule",
        git="../.git/modules/work",
        files=(
            *repository(".git/modules/work"),
            (".git/modules/work/config", "[core]\n\tworktree = ../../../work\n"),
        ),
        lacks="it is a submodule; make the repository around it the workspace",
    ),
    Case(name="gone", git="HERE/main/.git/worktrees/work", lacks="points to a folder that does not exist"),
    Case(
        name="none",
        git="HERE/other",
        files=(("other/note", ""),),
        lacks="leads to HERE/other, which is not a git repository",
    ),
    Case(name="nothing named", git="\n", lacks="points to a folder that does not exist"),
    Case(
        name="a start's",
        git="../run/main",
        files=repository("run/main"),
        lacks="would have to be at /run/main inside",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_where_git_works(tmp_path: Path, case: Case) -> None:
    def here(text: str) -> str:
        return text.replace("HERE", str(tmp_path))

    (tmp_path / "work").mkdir()
    for path, text in case.files:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    if case.git:
        (tmp_path / "work" / ".git").write_text(here(f"gitdir: {case.git}\n"))
    found = git_beside(tmp_path / "work", INSIDE)
    assert found.source == (tmp_path / case.folder if case.folder else None)
    assert found.path == here(case.path)
    assert here(case.lacks) in found.lacks
    assert bool(found.lacks) == bool(case.lacks)


def test_a_worktrees_repository_needs_a_word(tmp_path: Path) -> None:
    for path, text in worktree("main/.git"):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    project = tmp_path / "work"
    project.mkdir()
    (project / ".git").write_text(f"gitdir: {tmp_path}/main/.git/worktrees/work\n")
    spec = project / "spec.yaml"
    head = "version: 1\nname: work\nbase: debian:12\nusers: {dev: {}}\n"
    spec.write_text(f"{head}workspace: {{source: ., user: dev}}\n")
    [machine] = load(spec, backend="docker", host={}, allows=everything).machines
    git = tmp_path / "main" / ".git"
    assert [(mount.path, mount.source, mount.user) for mount in machine.mounts] == [(str(git), git, "dev")]
    refused = load(spec, backend="docker", host={}, allows=nothing)
    assert refused.machines[0].mounts == ()
    assert [(each.word, each.what, each.otherwise) for each in refused.demands] == [
        ("outside", f"the git folder of the workspace {git}", NO_GIT)
    ]
    # Whoever mounts it by hand has it once.
    spec.write_text(
        f"{head}workspace: {{source: .}}\nmounts: {{{git}: {{source: {git}, read_only: true}}}}\n"
    )
    [machine] = load(spec, backend="docker", host={}, allows=everything).machines
    assert [(mount.path, mount.read_only) for mount in machine.mounts] == [(str(git), True)]


@pytest.mark.parametrize(
    ("volume", "owner"),
    [
        ("/home/dev/.cache", "dev"),
        ("/home/dev/.cache/pip", "dev"),
        ("{path: /home/dev/x, owner: app}", "app"),
        ("/srv/app/data", "app"),
        ("/srv/application", None),
        ("/home/other/x", None),
        ("/root/.cache", None),
        ("/home/dev/work/node_modules", "app"),
    ],
)
def test_a_volume_in_a_home_is_its_users(volume: str, owner: str | None, tmp_path: Path) -> None:
    file = tmp_path / "dev.yaml"
    file.write_text(
        "version: 1\nname: dev\nbase: debian:12\nusers: {dev: {}, app: {home: /srv/app/}}\n"
        "workspace: {source: ., path: /home/dev/work, user: app}\n"
        f"volumes: {{one: {volume}}}\n"
    )
    assert load(file, backend="docker", host={}).machines[0].volumes[0].owner == owner
