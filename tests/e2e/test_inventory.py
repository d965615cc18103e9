"""Two machines of one environment compared; one of them has busybox' tools in the place of GNU's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conftest import as_yaml

if TYPE_CHECKING:
    from tests.conftest import Project

ODD = r"""
ln -s "$(printf 'a\nb -> c')" /opt/link
touch "$(printf '/opt/x\ny')" "/opt/a b" "/opt/é" "/opt/'q'"
chmod 4755 /opt/é
"""
TOOLS = r"""
for tool in cat date find grep id readlink sed sha256sum sort stat tr uname xargs; do
  ln -s /bin/busybox "/usr/local/sbin/$tool"
done
"""
SPEC = {
    "version": 1,
    "name": "tools",
    "base": "debian:12",
    "packages": ["busybox"],
    "machines": {"gnu": {"run": [ODD]}, "box": {"run": [ODD, TOOLS]}},
}


def test_busybox_tells_what_gnu_tells(own: Project) -> None:
    own.write("provision.yaml", as_yaml(SPEC).replace('"version": "1"', '"version": 1'))
    own.up("--no-verify")
    said = own.run("diff", "--between", "gnu", "box", "--format", "json")
    assert said.code == 1, said.all
    found = {(each["section"], each["subject"]) for each in said.json()["differences"] if not each["reason"]}
    tools = {key for key in found if key[1].startswith("/usr/local/sbin/")}
    assert len(tools) == len(TOOLS.split(" in ")[1].split(";")[0].split())
    names = {("environment", f"{whose}: HOSTNAME") for whose in ("exec", "exec as root", "login")}
    names |= {("system", "hostname"), ("hosts", "gnu"), ("hosts", "box")}
    assert found - tools == names
    explained = {(each["section"], each["subject"]) for each in said.json()["differences"] if each["reason"]}
    assert explained >= {("files", "/etc/hosts"), ("files", "/etc/hostname")}, "what they say is told above"
