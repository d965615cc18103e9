"""Files that a container mounts alone: which of them the host has replaced, by what the kernel says."""

from __future__ import annotations

import pytest

from provision.backends.docker.file_mounts import replaced_in

FILES = {"/etc/app.conf": "app.conf", "/etc/a b": "my file"}
LINE = "617 600 254:1 {source} {path} rw,relatime - ext4 /dev/vda1 rw"


@pytest.mark.parametrize(
    ("source", "path", "replaced"),
    [
        ("/project/app.conf", "/etc/app.conf", []),
        ("/app.conf", "/etc/app.conf", []),  # of a file system of its own
        ("/project/app.conf//deleted", "/etc/app.conf", ["/etc/app.conf"]),
        ("/project/app.conf~", "/etc/app.conf", ["/etc/app.conf"]),
        ("/project/my\\040file", "/etc/a\\040b", []),
        ("/project/my\\040file//deleted", "/etc/a\\040b", ["/etc/a b"]),
        ("/project/other//deleted", "/etc/other", []),
    ],
)
def test_the_kernel_follows_a_mounted_file(source: str, path: str, replaced: list[str]) -> None:
    lines = ["600 599 0:50 / / rw - overlay overlay rw", LINE.format(source=source, path=path), "", "x"]
    assert replaced_in("\n".join(lines), FILES) == replaced
