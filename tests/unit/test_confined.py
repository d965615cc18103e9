"""A rendering on disk: written and removed in its folder alone, whatever lies there."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from provision.confined import ConfinedFolder, is_confined
from provision.rendering import MANIFEST, RenderedFile, Rendering

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def rendering(*paths: str) -> Rendering:
    files = {path: RenderedFile(content=path.encode(), executable=path.endswith(".sh")) for path in paths}
    return Rendering(files=files, digest="", digests={}, recipes={})


FILES = ("compose.yaml", "web/steps/010.sh")


def a_link_for_a_file(folder: Path, victim: Path) -> None:
    (folder / "compose.yaml").symlink_to(victim / "file")


def a_link_for_a_folder(folder: Path, victim: Path) -> None:
    (folder / "web").symlink_to(victim)


def a_link_for_an_inner_folder(folder: Path, victim: Path) -> None:
    (folder / "web").mkdir()
    (folder / "web/steps").symlink_to(victim)


def a_dangling_link(folder: Path, victim: Path) -> None:
    (folder / "compose.yaml").symlink_to(victim / "new")


def a_hard_link(folder: Path, victim: Path) -> None:
    os.link(victim / "file", folder / "compose.yaml")


def a_folder_for_a_file(folder: Path, victim: Path) -> None:
    (folder / "compose.yaml").mkdir()
    (folder / "compose.yaml/inner").symlink_to(victim)


def a_file_for_a_folder(folder: Path, victim: Path) -> None:  # noqa: ARG001 - like the others
    (folder / "web").write_text("a file")


def a_pipe(folder: Path, victim: Path) -> None:  # noqa: ARG001 - like the others
    os.mkfifo(folder / "compose.yaml")


def a_link_where_it_is_written_first(folder: Path, victim: Path) -> None:
    (folder / ".compose.yaml.new").symlink_to(victim / "file")


def a_link_for_the_manifest(folder: Path, victim: Path) -> None:
    (folder / MANIFEST).symlink_to(victim / "file")


def a_manifest_that_names_others(folder: Path, victim: Path) -> None:
    lines = [
        "../victim/file",
        str(victim / "file"),
        "a/../../victim/file",
        "link/file",
        "link",
        "",
        ".",
        "a\0b",
    ]
    (folder / "link").symlink_to(victim)
    (folder / MANIFEST).write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize(
    "attack",
    [
        a_link_for_a_file,
        a_link_for_a_folder,
        a_link_for_an_inner_folder,
        a_dangling_link,
        a_hard_link,
        a_folder_for_a_file,
        a_file_for_a_folder,
        a_pipe,
        a_link_where_it_is_written_first,
        a_link_for_the_manifest,
        a_manifest_that_names_others,
    ],
)
def test_nothing_outside_is_written_or_removed(attack: Callable[[Path, Path], None], tmp_path: Path) -> None:
    folder, victim = tmp_path / "folder", tmp_path / "victim"
    folder.mkdir()
    victim.mkdir()
    (victim / "file").write_text("mine")
    attack(folder, victim)
    rendering(*FILES).write(folder)
    assert [path.name for path in victim.iterdir()] == ["file"]
    assert (victim / "file").read_text() == "mine"
    for path in FILES:
        assert (folder / path).read_text() == path
        assert not (folder / path).is_symlink()
        assert stat.S_IMODE((folder / path).stat().st_mode) == (0o755 if path.endswith(".sh") else 0o644)
    assert (folder / MANIFEST).read_text().splitlines() == list(FILES)


def test_what_was_rendered_before_goes_and_what_others_wrote_stays(tmp_path: Path) -> None:
    rendering("a", "gone/deep/b").write(tmp_path)
    (tmp_path / "mine").write_text("mine")
    rendering("a").write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [MANIFEST, "a", "mine"]


def test_an_equal_file_is_not_touched(tmp_path: Path) -> None:
    rendering("a").write(tmp_path)
    before = (tmp_path / "a").stat()
    rendering("a").write(tmp_path)
    after = (tmp_path / "a").stat()  # its reading may show, as the time of access
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_a_link_to_what_was_rendered_is_removed_and_not_followed(tmp_path: Path) -> None:
    folder, victim = tmp_path / "folder", tmp_path / "victim"
    rendering("a", "b/c").write(folder)
    victim.mkdir()
    (victim / "c").write_text("mine")
    (folder / "b/c").unlink()
    (folder / "b").rmdir()
    (folder / "b").symlink_to(victim)
    rendering("a").write(folder)
    assert (victim / "c").read_text() == "mine"


@pytest.mark.parametrize("path", ["", ".", "..", "/a", "a/../b", "a//b", "a/.", "a\0b", "../a"])
def test_a_path_that_leads_out_is_refused(path: str, tmp_path: Path) -> None:
    assert not is_confined(path)
    with ConfinedFolder(tmp_path) as confined, pytest.raises(ValueError, match="leads out"):
        confined.write(path, b"", 0o644)
