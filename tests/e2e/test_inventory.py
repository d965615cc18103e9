"""Two machines of one environment compared; one of them has busybox' tools in the place of GNU's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import Project

SPEC = r"""
    version: 1
    name: tools
    base: debian:12
    packages: [busybox]
    machines:
      gnu:
        run: [&odd {name: odd, source: odd.sh}]
      box:
        run: [*odd, {name: tools, source: tools.sh}]
"""
ODD = r"""
    ln -s "$(printf 'a\nb -> c')" /opt/link
    touch "$(printf '/opt/x\ny')" "/opt/a b" "/opt/é" "/opt/'q'"
    chmod 4755 /opt/é
"""
TOOLS = """
    for tool in cat date find grep id readlink sed sha256sum sort stat tr uname xargs; do
      ln -s /bin/busybox "/usr/local/sbin/$tool"
    done
"""


def test_busybox_tells_what_gnu_tells(own: Project) -> None:
    own.spec(
        SPEC.replace("source: odd.sh", f"script: {ODD!r}").replace("source: tools.sh", f"script: {TOOLS!r}")
    )
    own.up("--no-verify")
    said = own.run("diff", "--between", "gnu", "box", "--format", "json")
    found = [
        each for each in said.json()["differences"] if not each["subject"].startswith("/usr/local/sbin/")
    ]
    assert {(each["section"], each["subject"], each["attribute"]) for each in found} == set(), said.all
