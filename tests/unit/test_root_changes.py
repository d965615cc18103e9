"""What a step changed in a root file system, and whether another may get it instead of the step."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from provision import resources

pytestmark = pytest.mark.processes

SCRIPT = resources.folder("templates") / "vm" / "image" / "changes.sh"
ODD = "etc/a\tname \\with\nall"


def changes(root: Path, *words: object) -> tuple[int, str]:
    completed = subprocess.run(
        ["sh", str(SCRIPT), *map(str, words)], env={**os.environ, "ROOT": str(root)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert completed.stderr == ""
    return completed.returncode, completed.stdout


def plant(root: Path) -> Path:
    """A root as the steps begin with it."""
    for folder in ("etc/conf.d", "usr/bin", "var/log", "tmp"):
        (root / folder).mkdir(parents=True)
    for name, text in {"etc/passwd": "root\n", "etc/old": "old\n", "etc/conf.d/one": "1\n", ODD: "odd\n",
                       "etc/kept": "kept\n", "etc/passwd-": "backup\n",
                       "etc/shadow": "root:*:20419:0:99999:7:::\n",
                       "etc/passwd.d": ""}.items():  # fmt: skip
        (root / name).write_text(text)
    (root / "etc/link").symlink_to("passwd")
    return root


def install(root: Path) -> None:
    """What the step changes: a file is rewritten, others come, go, or are another kind."""
    (root / "etc/passwd").write_text("root\nsshd\n")
    (root / "etc/passwd-").write_text("root\n")
    (root / "etc/shadow").write_text("root:*:20419:0:99999:7:::\nsshd:!:20419::::::\n")
    (root / "etc/passwd.d").unlink()
    (root / "usr/bin/sshd").write_text("program\n")
    (root / "etc/old").unlink()
    (root / ODD).write_text("odder\n")
    shutil.rmtree(root / "etc/conf.d")
    (root / "etc/link").unlink()
    (root / "etc/link").symlink_to("kept")
    (root / "tmp/rest").write_text("left out\n")


@pytest.fixture
def noted(tmp_path: Path) -> Path:
    """The noted changes of a root."""
    before, after = plant(tmp_path / "before"), tmp_path / "after"
    shutil.copytree(before, after, symlinks=True)
    install(after)
    assert changes(after, "note", before, tmp_path / "noted") == (0, "")
    return tmp_path / "noted"


def test_another_root_gets_what_was_changed(noted: Path, tmp_path: Path) -> None:
    root = plant(tmp_path / "root")
    (root / "etc/kept").write_text("a step changed what the other did not touch\n")
    os.utime(root / "etc/passwd", (1, 1))  # of another hour, with the same in it
    (root / "etc/shadow").write_text("root:*:20420:0:99999:7:::\n")  # made on another day
    assert changes(root, "fit", noted) == (0, "")
    assert changes(root, "make", noted) == (0, "")
    assert (root / "etc/passwd").read_text() == "root\nsshd\n"
    assert "sshd:!" in (root / "etc/shadow").read_text()
    assert (root / "usr/bin/sshd").read_text() == "program\n"
    assert (root / ODD).read_text() == "odder\n"
    assert (root / "etc/link").readlink() == Path("kept")
    assert (root / "etc/kept").read_text().startswith("a step")
    assert not any((root / name).exists() for name in ("etc/old", "etc/conf.d", "tmp/rest"))


# Text for `sh` in a root that no other step touched, and the path that it changes.
TOUCHED = {
    "what is in it": ("echo user >etc/passwd", "/etc/passwd"),
    "a password": ("sed -i s/root:[*]/root:x/ etc/shadow", "/etc/shadow"),
    "how long a password holds": ("sed -i s/99999/30/ etc/shadow", "/etc/shadow"),
    "its mode": ("chmod 0600 etc/passwd", "/etc/passwd"),
    "a file that goes": ("echo new >etc/old", "/etc/old"),
    "a file that is gone": ("rm etc/old", "/etc/old"),
    "a file that comes": ("echo >usr/bin/sshd", "/usr/bin/sshd"),
    "another link": ("ln -sfn old etc/link", "/etc/link"),
    "a file instead of a link": ("rm etc/link; echo root >etc/link", "/etc/link"),
    "a link instead of a folder": ("mv etc/conf.d etc/moved; ln -s moved etc/conf.d", "/etc/conf.d"),
    "a name that holds all": ('for file in etc/a*; do echo other >"$file"; done', f"/{ODD}"),
}


@pytest.mark.parametrize("case", TOUCHED)
def test_a_root_in_which_a_step_touched_the_same_does_not_fit(case: str, noted: Path, tmp_path: Path) -> None:
    script, path = TOUCHED[case]
    root = plant(tmp_path / "root")
    subprocess.run(["sh", "-euc", script], cwd=root, check=True)
    assert changes(root, "fit", noted) == (1, f"changed by a step: {path} \n")


def test_at_most_three_changes_are_named(noted: Path, tmp_path: Path) -> None:
    root = plant(tmp_path / "root")
    shutil.rmtree(root / "etc")
    code, output = changes(root, "fit", noted)
    assert code == 1
    assert output.count("/etc/") == 3
