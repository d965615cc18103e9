"""A machine of aarch64, emulated: what the rendered script starts boots, answers, and comes back from memory.

An engine that emulates aarch64 would build its disk as it builds any, in ten minutes. So the layers are
built for this host, and then each package's files are replaced by those of its package for aarch64: what
Debian's packages configure is the same. Kernel, initial RAM disk and disk are made by the product's own
scripts, and all that follows is `provision up`.
"""

from __future__ import annotations

import io
import platform
import subprocess
import tarfile
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from provision import backends, spec
from provision.backends.vm.image import store
from provision.backends.vm.qemu.launch import DISKS
from provision.backends.vm.qemu.render import DISK
from provision.bases.catalogue import find
from provision.bases.image import ensure_image
from provision.progress import Silent
from provision.state import StateDir
from tests.conftest import make_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Project

pytestmark = pytest.mark.skipif(
    platform.machine() in ("aarch64", "arm64"), reason="here every machine of the suite is one of aarch64"
)
BASE = "debian:12"
LAYERS = "provision-test-aarch64-layers"
IMAGE = "provision-test-aarch64:12"  # stands for the base; its disk is there already
SERVE = """\
use Socket; socket(S, PF_INET, SOCK_STREAM, 6); setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);
bind(S, sockaddr_in(8000, INADDR_ANY)); listen(S, 5); chomp(my $is = `uname -m`);
while (accept(C, S)) { sysread(C, $_, 4096); print C "HTTP/1.0 200 OK\\r\\n\\r\\nhello from $is"; close C }
"""
SPEC = """\
version: 1
name: arm
base: {image: "IMAGE", family: apt}
resources: {memory: 512MiB}
workspace: {source: ., path: /workspace}
files:
  /srv/serve: {source: serve}
run:
  - {name: built, script: "echo built >/srv/built"}
services:
  web: {command: perl /srv/serve, ready: {tcp: 8000}}
ports: ["8000"]
checks:
  - {command: uname -m, stdout: aarch64}
"""
DOCKERFILE = """\
FROM BASE AS tools
RUN --mount=type=bind,source=tools.sh,target=/run/tools.sh sh /run/tools.sh e2fsprogs qemu-utils

FROM BASE AS kernel
RUN --mount=type=bind,target=/run/guest sh /run/guest/kernel.sh arm64

FROM BASE AS root
RUN dpkg --add-architecture arm64 && apt-get update -q && mkdir /packages
WORKDIR /packages
RUN --mount=type=bind,from=LAYERS,target=/layers \\
    apt-get download -q $( \\
      dpkg-query --admindir=/layers/var/lib/dpkg -W -f '${Package} ${Architecture}\\n' | \\
      sed -n 's/ amd64$/:arm64/p') && \\
    cp -a /layers /root-of-it && \\
    for package in *.deb; do \\
      dpkg-deb --fsys-tarfile "$package" | \\
        tar -x -C /root-of-it --keep-directory-symlink --exclude './etc/*' || exit 1; \\
    done && \\
    cd /root-of-it && rm -rf usr/lib/x86_64-linux-gnu usr/lib64/* etc/ld.so.cache && \\
    sed -i 's/^Architecture: amd64$/Architecture: arm64/' var/lib/dpkg/status

FROM tools AS disk
RUN --mount=type=bind,target=/run/guest --mount=type=bind,from=kernel,source=/kernel,target=/kernel \\
    --mount=type=bind,from=root,source=/root-of-it,target=/rootfs,rw \\
    sh /run/guest/disk.sh /rootfs /kernel GIB /disk

FROM scratch
COPY --from=disk /disk/ /
"""


def docker(*words: str, stdin: bytes | None = None) -> None:
    done = subprocess.run(["docker", *words], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def make_disk(project: Project) -> None:
    """Have the disk of the project's machine where `up` looks for it."""
    ensure_image(find(BASE), Silent())
    environment = spec.load(project.folder / "provision.yaml", backend="vm", settings={}, host={})
    state_dir = StateDir.of(environment.project, environment.name, "vm")
    rendering = backends.find("vm").render(environment, state_dir.rendering)
    rendering.write(project.folder / "rendering")
    context = project.folder / "rendering" / "arm"
    dockerfile = context / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace(f"FROM {IMAGE} ", f"FROM {BASE} "))
    docker("buildx", "build", "--target", "machine", "--load", "--tag", LAYERS, str(context))
    words = {"BASE": BASE, "LAYERS": LAYERS, "GIB": str(DISK)}
    text = DOCKERFILE
    for word, value in words.items():
        text = text.replace(word, value)
    dockerfile.write_text(text)
    made = DISKS.get("aarch64")
    docker("buildx", "build", "--file", str(dockerfile), "--output", f"type=local,dest={made.folder}",
           str(context / "guest"))  # fmt: skip
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    docker("import", "--platform", "linux/arm64", "-", IMAGE, stdin=empty.getvalue())
    recipe = DISKS.folder / "recipes" / store._recipe(environment.machines[0], rendering)
    recipe.parent.mkdir()
    recipe.write_text(made.name)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """It runs, for the first time."""
    folder = tmp_path_factory.mktemp("aarch64")
    project = make_project(folder / "project", "vm")
    project.environment = {"PROVISION_ARCHITECTURE": "aarch64", "XDG_CACHE_HOME": str(folder / "cache")}
    project.write("serve", SERVE)
    project.spec(SPEC.replace("IMAGE", IMAGE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        make_disk(project)
    try:
        project.up()
        yield project
    finally:
        down = project.run("down", "--volumes", "--images")
        docker("rmi", "--force", IMAGE, LAYERS)
        assert down.code == 0, down.all


def answer(machine: Project) -> str:
    """What its service says, through the port of the host."""
    port = machine.state()["ports"][0]["host"]
    with urlopen(f"http://127.0.0.1:{port}/", timeout=60) as said:
        return str(said.read().decode())


def test_it_is_what_the_spec_says(machine: Project) -> None:
    assert answer(machine) == "hello from aarch64"
    assert machine.inside("cat /srv/built") == "built\n"
    assert set(machine.checks().values()) == {"passed"}


def test_the_workspace_is_live(machine: Project) -> None:
    machine.inside("uname -m >/workspace/inside")
    assert (machine.folder / "inside").read_text() == "aarch64\n"


def test_it_starts_from_memory(machine: Project) -> None:
    machine.inside("echo lost >/srv/written")
    machine.good("down")
    said = machine.run("up")
    assert said.code == 0, said.all
    assert "from the saved state" in said.all
    assert answer(machine) == "hello from aarch64"
    assert machine.inside("ls /srv") == "built\nserve\n"


def test_it_goes_on_where_stop_ended(machine: Project) -> None:
    machine.inside("echo kept >/dev/shm/written")
    machine.good("stop")
    machine.up()
    assert machine.inside("cat /dev/shm/written") == "kept\n"
