"""`provision compare` of both forms: QEMU's machine beside the container."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision.measure.rows import ROWS
from tests.conftest import Project, make_project
from tests.e2e.test_compare import SPEC

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WITHOUT_VALUE = {"docker": {"saved"}, "vm": set[str]()}  # rows of which a form has no value


@pytest.fixture
def weighed(tmp_path: Path) -> Iterator[Project]:
    project = make_project(tmp_path / "project", "vm")
    project.environment["PROVISION_PROVIDER"] = "qemu"
    project.spec(SPEC.replace("costs", "weighed"))
    try:
        yield project
    finally:
        for backend in ("docker", "vm"):
            project.run("down", "--name", "weighed-compare", "-b", backend, "--volumes", "--images")


def test_both_forms_have_every_row_and_nothing_stays_up(weighed: Project) -> None:
    page = weighed.folder.parent / "page.html"
    said = weighed.run("compare", "--runs", "1", "--format", "json", "--html", str(page))
    assert said.code == 0, said.all
    report = said.json()
    assert [form["missing"] for form in report["forms"]] == ["", ""]
    assert {row["name"] for row in report["rows"]} == {row.name for row in ROWS if not row.asked_for}
    for backend, without in WITHOUT_VALUE.items():
        cells = {row["name"]: row["values"][backend] for row in report["rows"]}
        assert {name for name, cell in cells.items() if not cell["values"] and not cell["text"]} == without
        status = weighed.run("status", "--name", "weighed-compare", "-b", backend, "--format", "json").json()
        assert [machine["state"] for machine in status["machines"]] == ["absent"]
    kernels = next(row["values"] for row in report["rows"] if row["name"] == "kernel")
    assert kernels["docker"]["text"].startswith("the host's, shared: ")
    assert kernels["vm"]["text"].startswith("its own: ")
    assert report["sentence"].endswith("; a virtual machine gives it its own kernel.")
    assert page.stat().st_size > 20_000
