"""One judgement: what `plan`, `render` and `up` refuse of a spec, `validate` refuses in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision import engine
from provision.cli import commands
from provision.engine import Request
from provision.errors import SpecError
from provision.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

HEAD = "version: 1\nname: judged\nbase: debian:12\n"
LIBVIRT, VIRTUALBOX, VMWARE = (
    f"backends: {{vm: {{provider: {name}}}}}\n" for name in ("libvirt", "virtualbox", "vmware_desktop")
)
QEMU = "backends: {vm: {provider: qemu}}\n"
# The backend, the spec, and how the message begins.
REFUSED: Mapping[str, tuple[str, str, str]] = {
    "kernel in a container": ("docker", "requires: [kernel]\n", "judged requires a kernel of its own"),
    "gpu in a machine": ("vm", f"{QEMU}requires: [gpu]\n", "judged requires a GPU"),
    "systemd on Alpine": (
        "docker",
        "base: alpine:3.22\nrequires: [systemd]\n",
        "judged requires systemd: alpine:3.22 has no systemd",
    ),
    "init on Alpine": (
        "docker", "base: alpine:3.22\nbackends: {docker: {init: systemd}}\n",
        "judged cannot have systemd as its init",
    ),
    "no such provider": ("vm", "backends: {vm: {provider: nope}}\n", "there is no provider nope"),
    "two providers": (
        "vm",
        "machines:\n  a: {backends: {vm: {provider: qemu}}}\n  b: {backends: {vm: {provider: libvirt}}}\n",
        "all machines of an environment need one provider, these have libvirt and qemu",
    ),
    "udp": ("vm", f"{VIRTUALBOX}ports: [{{guest: 53, address: '::1'}}]\n", "virtualbox cannot bind port 53"),
    "volumes": ("vm", f"{VMWARE}volumes: {{data: /data}}\n", "vmware_desktop has no volumes"),
    "a file as a mount": ("vm", f"{QEMU}mounts: {{/srv/a: {{source: a.txt}}}}\n", "a.txt is a file"),
    "several machines": ("vm", f"{VMWARE}machines: {{a: {{}}, b: {{}}}}\n", "vmware_desktop cannot conn"),
    "accelerator": (
        "vm", "backends: {vm: {provider: virtualbox, accelerator: kvm}}\n", "virtualbox cannot run judged",
    ),
    "a small disk": ("vm", f"{LIBVIRT}resources: {{disk: 1GiB}}\n", "machine judged wants a disk of"),
    "a missing secret": ("docker", "secrets: {key: {file: nowhere}}\n", "the secret key cannot be read"),
}  # fmt: skip


def asked(folder: Path, case: str) -> Request:
    backend, text, _ = REFUSED[case]
    (folder / "a.txt").touch()
    spec = folder / "provision.yaml"
    spec.write_text((HEAD.replace("base: debian:12\n", "") if "base:" in text else HEAD) + text)
    return Request(spec=spec, backend=backend, settings={})


def judged(act: Callable[[], object]) -> list[tuple[str, str, str]]:
    with pytest.raises(SpecError) as caught:
        act()
    return [(each.message, str(each.origin), each.hint) for each in caught.value.problems]


@pytest.mark.parametrize("case", REFUSED)
def test_every_verb_refuses_what_validate_refuses(case: str, tmp_path: Path) -> None:
    request = asked(tmp_path, case)
    backend, _, begins = REFUSED[case]
    environment = engine.load(request)

    def validate() -> None:
        commands.main(["validate", str(request.spec), "-b", backend], standalone_mode=False)

    said = judged(validate)
    assert [message[: len(begins)] for message, _, _ in said] == [begins]
    assert all(place.startswith(str(request.spec)) for _, place, _ in said)
    assert judged(lambda: engine.plan(environment, backend)) == said
    assert judged(lambda: engine.up(environment, backend, Silent(), rebuild=False, timeout=1.0)) == said
    if "secret" not in case:  # a rendering holds none
        assert judged(lambda: engine.render(request, None)) == said


ONE_WILL_DO = {
    "kernel in a container": ("valid: judged, for vm", "not for docker: judged requires a kernel"),
    "no such provider": ("valid: judged, for docker", "not for vm: there is no provider nope"),
}


@pytest.mark.parametrize("case", ONE_WILL_DO)
def test_without_a_backend_all_are_judged_and_one_is_enough(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provision.backends.vm.drivers.first_usable", lambda **_: "qemu")
    commands.main(["validate", str(asked(tmp_path, case).spec)], standalone_mode=False)
    said = capsys.readouterr().out
    assert all(words in said for words in ONE_WILL_DO[case])


def test_what_no_backend_can_make_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provision.backends.vm.drivers.first_usable", lambda **_: "qemu")
    spec = tmp_path / "provision.yaml"
    spec.write_text(HEAD + "requires: [kernel, gpu]\n")
    words = ["validate", str(spec), "--allow", "privileges"]
    said = judged(lambda: commands.main(words, standalone_mode=False))
    assert [place for _, place, _ in said] == [f"{spec}:4:12", f"{spec}:4:20"]
