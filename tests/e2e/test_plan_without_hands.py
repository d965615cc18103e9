"""`plan` with clients that refuse every write: it asks, and changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from provision import docker_client, engine, rendering, runtime
from provision.docker_client import api, commands
from provision.engine import Request
from provision.leftovers import TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.conftest import Project

SPEC = """
    version: 1
    name: handless
    base: debian:12
    services: {{web: {{command: sleep {seconds}}}}}
    volumes: {{data: /data}}
    {more}
"""
# What programs may be asked: none of these changes anything.
ASKING = {
    "docker": {"buildx version", "compose version", "context inspect", "image inspect", "image ls", "info",
               "inspect", "network ls", "ps", "system df", "version", "volume ls", "exec"},
    "virsh": {"version", "domstate", "vol-list", "list"},
}  # fmt: skip
MAY_RUN = {"qemu-system-x86_64", "qemu-img"}  # with --version
TRIED = {"passt", "pasta"}  # started for a moment, in a folder of its own, to see whether it works here
watching: list[str | None] = [None]  # the folder in which writing is fine, while a test watches


def _may_write(path: str, cache: str) -> bool:
    """Whether it is in the cache, or in a trial's own folder, which goes with the trial."""
    return path.startswith(cache) or any(
        part.parent == runtime.SOCKETS and TEMPORARY.fullmatch(part.name)
        for part in (Path(path), *Path(path).parents)
    )


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what writes; a hook cannot be taken away, so it looks only while a test watches."""
    cache = watching[0]
    if cache is None:
        return
    if event == "open" and isinstance(arguments[0], str | bytes) and arguments[2] is not None:
        writes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        path = os.fsdecode(arguments[0])
        if writes and not path.startswith("/dev/") and not _may_write(path, cache):
            raise AssertionError(f"plan opened {path} to write")
    if event in ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.symlink", "os.link"):
        path = os.fsdecode(arguments[0])
        folder = arguments[-1]  # a descriptor, where the path is relative to one
        if not path.startswith("/") and isinstance(folder, int) and folder >= 0:
            path = f"{Path(f'/proc/self/fd/{folder}').readlink()}/{path}"
        if not _may_write(path, cache):
            raise AssertionError(f"plan did {event} to {path}")


sys.addaudithook(_hook)


def _is_asking(words: Sequence[str]) -> bool:
    program = Path(words[0]).name
    if program in TRIED:
        return True
    if program in MAY_RUN:
        return "--version" in words
    said = [word for word in words[1:] if not word.startswith("-")]
    return any(" ".join(said).startswith(known) for known in ASKING.get(program, ())) or (
        program == Path(sys.executable).name  # the sandbox that fills in Jinja
    )


@pytest.fixture
def handless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Clients that refuse every write; the cache of what was found may be written."""
    popen: Any = subprocess.Popen

    def start(words: Sequence[str], *more: Any, **options: Any) -> Any:
        assert _is_asking(words), f"plan started {words}"
        return popen(words, *more, **options)

    def refuse(*words: Any, **_options: Any) -> Any:
        raise AssertionError(f"plan called a command of the engine: {words}")

    monkeypatch.setattr(subprocess, "Popen", start)
    for name in ("start", "restart", "unpause", "stop", "remove_containers", "remove_networks",
                 "remove_volumes", "remove_images", "pull", "import_image", "compose", "build",
                 "prune_build_record", "run_inside", "begin_inside"):  # fmt: skip
        assert hasattr(commands, name), f"{name} is called otherwise now"
        monkeypatch.setattr(commands, name, refuse)
    request = api._request

    def ask(method: str, path: str, content: Any, timeout: float) -> Any:
        # An exec is how a machine is asked; it is created and started by POST.
        assert method == "GET" or "/exec" in path, f"plan sent {method} {path}"
        return request(method, path, content, timeout)

    monkeypatch.setattr(api, "_request", ask)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "cache"))  # a trial has a folder of its own there
    (tmp_path / "cache" / "provision").mkdir(parents=True)
    rendering._jinja.cache_clear()  # it keeps compiled templates in the cache of another test
    yield
    watching[0] = None


def _plan(project: Project, cache: Path) -> tuple[str, str]:
    request = Request(spec=project.folder / "provision.yaml", backend=project.backend, settings={})
    environment = engine.load(request)
    watching[0] = str(cache)
    try:
        plan = engine.plan(environment, project.backend)
    finally:
        watching[0] = None
    return plan.machines[0].action, plan.machines[0].loses


def test_the_watch_sees_a_write(tmp_path: Path) -> None:
    watching[0] = str(tmp_path / "cache")
    try:
        with pytest.raises(AssertionError, match="to write"):
            (tmp_path / "file").write_text("x")
        with pytest.raises(AssertionError, match=r"os\.mkdir"):
            (tmp_path / "folder").mkdir()
    finally:
        watching[0] = None
    assert not _is_asking(["docker", "rm", "x"])
    assert not _is_asking(["qemu-img", "create", "x"])
    assert docker_client.__doc__


@pytest.mark.usefixtures("handless")
def test_a_plan_of_what_is_not_there(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(runtime, "SOCKETS", tmp_path / "tmp")  # of a host that never had an environment
    project.spec(SPEC.format(seconds=1, more=""))
    assert _plan(project, tmp_path / "cache") == ("create", "")
    project.backend = "vm"
    assert _plan(project, tmp_path / "cache") == ("create", "")


def test_a_plan_of_what_runs(own: Project, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    own.spec(SPEC.format(seconds=1000, more=""))
    own.up("--no-verify")
    request.getfixturevalue("handless")
    assert _plan(own, tmp_path / "cache")[0] == "none"
    own.spec(SPEC.format(seconds=2000, more=""))
    assert _plan(own, tmp_path / "cache")[0] == "change"
    own.spec(SPEC.format(seconds=1000, more='ports: ["8080"]'))
    action, loses = _plan(own, tmp_path / "cache")
    assert action == "recreate"
    assert "outside its volumes" in loses
