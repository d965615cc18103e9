"""What `provision cp` refuses before it asks any engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from provision.cli.cp import command
from provision.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["one"], "Name two paths"),
        (["one", ":/tmp", "three"], "Name two paths"),
        (["spec.yaml", "one", ":/tmp", "three"], "Name two paths"),
        (["spec.yaml", "one"], "cp copies between this host and one machine"),
        (["one", "two"], "cp copies between this host and one machine"),
        (["-", "-"], "cp copies between this host and one machine"),
        (["./a:b", "/c:d"], "cp copies between this host and one machine"),
        (["web:/a", "db:/b"], "cp copies between this host and one machine"),
        (["web:", "x"], "web: names no path"),
        (["-a", "-u", "app", "one", ":/tmp"], "goes with no --user"),
    ],
)
def test_words_that_mean_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    (tmp_path / "provision.yaml").write_text("version: 1\nname: dev\nbase: debian:12\n")
    (tmp_path / "spec.yaml").write_text("version: 1\nname: dev\nbase: debian:12\n")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, words)
    message = result.exception.message if isinstance(result.exception, UsageError) else result.output
    assert said in message
    assert result.exit_code == (1 if isinstance(result.exception, UsageError) else 2)
