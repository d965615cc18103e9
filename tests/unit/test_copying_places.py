"""Where a copy lands, by the table of `docker cp`, and what the words of `provision cp` mean."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from provision.copying.inside import assigned
from provision.copying.outside import look_outside
from provision.copying.places import Kind, Place, Source, destination_of, landing, place_of, read_inside
from provision.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("word", "place"),
    [
        (":/etc/hosts", Place(machine="", path="/etc/hosts")),
        ("web:/etc", Place(machine="web", path="/etc")),
        ("web:etc", Place(machine="web", path="etc")),
        ("web:a:b", Place(machine="web", path="a:b")),
        ("/a:b", Place(path="/a:b")),
        ("./a:b", Place(path="./a:b")),
        ("../a:b", Place(path="../a:b")),
        ("file", Place(path="file")),
        ("-", Place(path="-")),
        ("./-", Place(path="./-")),
        ("web:-", Place(machine="web", path="-")),
    ],
)
def test_a_word_is_a_path_outside_or_inside(word: str, place: Place) -> None:
    assert place_of(word) == place
    assert place.is_stream == (word == "-")


@pytest.mark.parametrize("word", ["", ":", "web:"])
def test_a_word_without_a_path_is_refused(word: str) -> None:
    with pytest.raises(UsageError):
        place_of(word)


# source, its end is `/.`, what is there, the destination ends with `/`: where it lands, or why not
TABLE: list[tuple[Kind, bool, Kind, bool, str]] = [
    ("file", False, "none", False, "as"),
    ("file", False, "none", True, "there is no such folder"),
    ("file", False, "file", False, "as"),
    ("file", False, "file", True, "it is a file, not a folder"),
    ("file", False, "folder", False, "under"),
    ("file", False, "folder", True, "under"),
    ("link", False, "none", False, "as"),
    ("link", False, "folder", False, "under"),
    ("folder", False, "none", False, "as"),
    ("folder", False, "none", True, "as"),
    ("folder", True, "none", False, "as"),
    ("folder", False, "file", False, "it is a file, and a folder cannot replace it"),
    ("folder", True, "file", False, "it is a file, and a folder cannot replace it"),
    ("folder", False, "folder", False, "under"),
    ("folder", False, "folder", True, "under"),
    ("folder", True, "folder", False, "into"),
    ("file", False, "special", False, "it is a device, a pipe or a socket"),
    ("folder", False, "special", False, "it is a device, a pipe or a socket"),
]


@pytest.mark.parametrize(("source", "contents", "there", "slash", "lands"), TABLE)
def test_where_a_source_lands(source: Kind, contents: bool, there: Kind, slash: bool, lands: str) -> None:
    assert landing(source, there, contents=contents, slash=slash) == lands
    asked = Source(kind=source, folder="/from", name="own", called="src", contents=contents)
    places = {"as": ("/to", "dst"), "under": ("/to/dst", "src"), "into": ("/to/dst", None)}
    if lands in places:
        assert destination_of(asked, there, "/to/dst", slash=slash, shown="dst") == places[lands]
    else:
        with pytest.raises(UsageError, match=f"cannot copy to dst: {lands}"):
            destination_of(asked, there, "/to/dst", slash=slash, shown="dst")


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("/srv", ("/srv", False, False)),
        ("srv", ("/srv", False, False)),
        ("//srv//a/", ("/srv/a", True, False)),
        ("/srv/.", ("/srv", True, True)),
        ("/srv/./", ("/srv", True, True)),
        ("/srv/../etc", ("/etc", False, False)),
        ("../../etc", ("/etc", False, False)),
        (".", ("/", True, True)),
        ("/", ("/", True, False)),
        ("-", ("/-", False, False)),
    ],
)
def test_a_path_inside_counts_from_the_root(path: str, read: tuple[str, bool, bool]) -> None:
    assert read_inside(path) == read


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "file").write_text("text")
    (tmp_path / "to-folder").symlink_to("folder")
    (tmp_path / "to-file").symlink_to("file")
    (tmp_path / "to-nothing").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "follow", "kind", "name", "called", "contents"),
    [
        ("file", False, "file", "file", "file", False),
        ("folder", False, "folder", "folder", "folder", False),
        ("folder/", False, "folder", "folder", "folder", False),
        ("folder/.", False, "folder", "folder", "folder", True),
        ("folder/inner/..", False, "folder", "folder", "folder", False),
        ("to-folder", False, "link", "to-folder", "to-folder", False),
        ("to-folder", True, "folder", "folder", "to-folder", False),
        ("to-folder/", False, "folder", "folder", "to-folder", False),
        ("to-folder/.", False, "folder", "folder", "to-folder", True),
        ("to-file", False, "link", "to-file", "to-file", False),
        ("to-file", True, "file", "file", "to-file", False),
        ("to-nothing", False, "link", "to-nothing", "to-nothing", False),
    ],
)
def test_a_source_of_this_host(
    tree: Path, path: str, follow: bool, kind: Kind, name: str, called: str, contents: bool
) -> None:
    assert look_outside(path, follow=follow) == Source(
        kind=kind, folder=str(tree), name=name, called=called, contents=contents
    )


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("path", "follow", "said"),
    [
        ("nothing", False, "nothing does not exist on this host"),
        ("to-nothing", True, "to-nothing does not exist on this host"),
        ("file/", False, "file/ leads through a file on this host"),
        ("file/inner", False, "file/inner leads through a file on this host"),
        ("pipe", False, "pipe is a device, a pipe or a socket: it cannot be copied"),
    ],
)
def test_a_source_that_cannot_be_copied(path: str, follow: bool, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        look_outside(path, follow=follow)
    assert caught.value.message == said


@pytest.mark.processes
@pytest.mark.parametrize("path", ["/a", "/it's $(x) `y` \\ %s", "/-n", "/ä\udcff\n\n", "/x\n", "/"])
def test_a_path_reaches_a_shell_as_it_is(path: str) -> None:
    script = f'P=other; {assigned(path)}; printf %s "$P"'
    assert script.isascii()
    said = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert said.stdout == os.fsencode(path)
