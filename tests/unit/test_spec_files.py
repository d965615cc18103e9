"""The files of a machine: content, sources, templates, links."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from provision.errors import SpecError
from provision.spec import everything, load
from provision.spec.demands import nothing
from provision.spec.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from provision.model import File
    from provision.spec.demands import Allows

HEAD = "version: 1\nname: files\nbase: debian:12\n"


def read(folder: Path, text: str, *, allows: Allows = nothing) -> tuple[File, ...]:
    project = folder / "project"
    (project / ".git").mkdir(parents=True, exist_ok=True)
    spec = project / "spec.yaml"
    spec.write_text(HEAD + text)
    return load(spec, backend="docker", host={}, allows=allows).machines[0].files


def messages(folder: Path, text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read(folder, text)
    return [problem.message for problem in caught.value.problems]


def put(folder: Path, path: str, content: bytes = b"x") -> Path:
    file = folder / "project" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def test_content_arrives_as_written(tmp_path: Path) -> None:
    text = "a'b\"c\n$HOME `id` #{x} {{ y }} %s \\n ü 🎉\r\n"
    (file,) = read(tmp_path, f"files: {{/etc/x: {{content: {json.dumps(text, ensure_ascii=False)}}}}}\n")
    assert file.content.decode() == text
    assert (file.kind, file.owner, file.group, file.mode) == ("content", "root", None, None)


def test_a_source_keeps_its_bytes(tmp_path: Path) -> None:
    put(tmp_path, "data.bin", bytes(range(256)))
    put(tmp_path, "run.sh", b"#!/bin/sh\necho\r\n").chmod(0o755)
    plain, script = read(tmp_path, "files: {/etc/data: {source: data.bin}, /etc/run: {source: run.sh}}\n")
    assert plain.content == bytes(range(256))
    assert plain.mode is None
    assert script.content == b"#!/bin/sh\necho\r\n"
    assert script.mode == 0o755


@pytest.mark.parametrize(
    ("content", "runs"),
    [(b"#!/bin/sh\r\necho\r\n", False), (b"#!/usr/bin/env python3 \xff\r\n", False), (b"#!/bin/sh\r", False),
     (b"#!/bin/sh\necho\r\n", True), (b"# a note\r\n", True), (b"#!/bin/sh", True), (b"", True)],
)  # fmt: skip
@pytest.mark.parametrize(
    "files",
    ["{source: bin/run.sh}", "{source: bin}", "{template: bin/run.sh}"],
    ids=["file", "folder", "template"],
)
def test_a_script_has_an_interpreter_that_exists(
    tmp_path: Path, content: bytes, files: str, *, runs: bool
) -> None:
    if "template" in files:
        content = content.replace(b"\xff", b"")
    put(tmp_path, "bin/run.sh", content)
    text = f"files: {{/opt/x: {files}}}\n"
    if runs:
        read(tmp_path, text)
        return
    expected = "run.sh cannot run: its first line begins with #! and ends with CRLF"
    assert messages(tmp_path, text) == [expected]


def test_a_source_folder_becomes_a_tree(tmp_path: Path) -> None:
    put(tmp_path, "site/index.html", b"hello")
    put(tmp_path, "site/bin/run", b"run").chmod(0o755)
    put(tmp_path, "shared/more.txt", b"more")
    (tmp_path / "project" / "site" / "linked").symlink_to("../shared")
    (file,) = read(tmp_path, "files: {/srv/site: {source: site}}\n")
    assert file.kind == "folder"
    assert file.tree == (
        (PurePosixPath("bin/run"), b"run", True),
        (PurePosixPath("index.html"), b"hello", False),
        (PurePosixPath("linked/more.txt"), b"more", False),
    )


def test_refuses_links_out_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    put(tmp_path, "site/index.html")
    site = tmp_path / "project" / "site"
    (site / "out").symlink_to(tmp_path / "secret")
    (site / "broken").symlink_to("nowhere")
    (site / "around").symlink_to("..")
    (tmp_path / "project" / "direct").symlink_to(tmp_path / "secret")
    text = "files: {/srv/site: {source: site}, /srv/direct: {source: direct}}\n"
    found = messages(tmp_path, text)
    project = (tmp_path / "project").resolve()
    assert sorted(found) == sorted(
        [
            f"{project}/site/around is a link to a folder that contains it",
            f"{project}/site/broken is a broken link",
            f"{project}/site/out is a link, and its target is outside the project folder {project}",
            f"the source direct is outside the project folder {project}",
        ]
    )


def test_takes_sources_from_outside_where_allowed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("outside")
    text = "files: {/srv/x: {source: ../outside}}\n"
    assert read(tmp_path, text, allows=everything)[0].content == b"outside"
    project = (tmp_path / "project").resolve()
    assert messages(tmp_path, text) == [f"the source ../outside is outside the project folder {project}"]


def test_a_template_sees_what_the_page_says(tmp_path: Path) -> None:
    put(
        tmp_path,
        "all.j2",
        b"{{ vars.port }} {{ env.APP_ENV }} {{ env.name }} {{ machine.name }}\n"
        b"{{ machine.hostname }} {{ machine.base }} {{ machine.user }}\n"
        b"{{ machines.files.name }} {{ backend }}\n{# no #}end\n\n",
    )
    (file,) = read(
        tmp_path,
        "vars: {port: 8080}\nenv: {APP_ENV: dev}\nhostname: files.example.org\n"
        "files: {/etc/all: {template: all.j2}}\n",
    )
    assert file.content == (b"8080 dev files files\nfiles.example.org debian:12 root\nfiles docker\nend\n\n")


def test_a_template_keeps_its_line_ends(tmp_path: Path) -> None:
    put(tmp_path, "dos.j2", b"{{ env.A }}\r\nend\r\n")
    (file,) = read(tmp_path, "env: {A: b}\nfiles: {/etc/dos: {template: dos.j2}}\n")
    assert file.content == b"b\r\nend\r\n"


def test_a_template_reaches_no_python(tmp_path: Path) -> None:
    put(tmp_path, "bad.j2", b"fine\n{{ vars.__class__.__mro__ }}\n")
    assert messages(tmp_path, "vars: {a: b}\nfiles: {/x: {template: bad.j2}}\n") == [
        "access to attribute '__class__' of 'SimpleNamespace' object is unsafe"
    ]


def test_a_problem_of_a_template_stands_in_the_template(tmp_path: Path) -> None:
    put(tmp_path, "bad.j2", b"fine\n{% for x in [1] %}\n{{ env.HOEM }}{% endfor %}\n")
    with pytest.raises(SpecError) as caught:
        read(tmp_path, "env: {HOME: x}\nfiles: {/x: {template: bad.j2}}\n")
    (problem,) = caught.value.problems
    assert problem.message == "env.HOEM is not defined"
    assert problem.hint == "did you mean env.HOME?"
    assert str(problem.origin) == f"{tmp_path}/project/bad.j2:3:1"


def test_refuses_a_template_that_is_no_text(tmp_path: Path) -> None:
    put(tmp_path, "bad.j2", b"\xff\xfe")
    assert messages(tmp_path, "files: {/x: {template: bad.j2}}\n") == ["the template bad.j2 is not UTF-8"]


def test_the_other_kinds(tmp_path: Path) -> None:
    folder, link, absent = read(
        tmp_path,
        "files:\n  /srv/dir/: {dir: true, mode: '0700', owner: daemon, group: adm}\n"
        "  /srv/link: {link: ../x y}\n  /srv/absent: {absent: true}\n",
    )
    assert (folder.path, folder.kind, folder.mode) == ("/srv/dir", "dir", 0o700)
    assert (folder.owner, folder.group) == ("daemon", "adm")
    assert (link.kind, link.target) == ("link", "../x y")
    assert absent.kind == "absent"


@pytest.mark.parametrize("what", ["file", "folder", "key", "certificate"])
def test_what_was_judged_is_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """A machine that writes the folder puts a link there between the two."""
    place = put(tmp_path, "data/inner/file", b"ours")
    secret = tmp_path / "secret"
    secret.write_bytes(b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    keys = {
        "file": "files: {/x: {source: data/inner/file}}\n",
        "folder": "files: {/x: {source: data}}\n",
        "key": "repositories: {x: {url: 'http://x.example/', suite: x, key: data/inner/file}}\n",
        "certificate": "proxy: {ca: data/inner/file}\n",
    }

    def after(judge: Callable[..., Any]) -> Callable[..., Any]:
        def judged(*words: Any, **more: Any) -> Any:
            found = judge(*words, **more)
            place.unlink()
            place.symlink_to(secret)
            return found

        return judged

    if what == "folder":
        looked_at = Path.is_symlink
        swap = after(looked_at)
        monkeypatch.setattr(Path, "is_symlink", lambda path: (swap if path == place else looked_at)(path))
    else:
        monkeypatch.setattr(Scope, "host_path", after(Scope.host_path))
    assert messages(tmp_path, keys[what])
