"""Vagrant's own words, as they were seen, and the error that each becomes."""

from __future__ import annotations

import pytest

from provision.backends.vm.vagrant.errors import FAULTS, fault, legible
from provision.errors import EnvironmentFailed, HostLacks

SAID = {
    "no space left": "==> dev: An error occurred while downloading the remote file.\n"
    "Failure writing output to destination",
    "there is no box a/b": "==> dev: Box 'a/b' could not be found. Attempting to find and install...\n"
    "The box 'a/b' could not be found or could not be accessed in the remote catalog.",
    "the box cannot be downloaded": "An error occurred while downloading the remote file. The error\n"
    "message, if any, is reproduced below.\nCouldn't open file /nowhere.box",
    "Vagrant cannot use virtualbox": "The provider 'virtualbox' that was requested to back the machine\n"
    "'dev' is reporting that it isn't usable on this system.",
    "Vagrant cannot use parallels": "The provider 'parallels' could not be found, but was requested",
    "libvirtd does not answer": "Error while connecting to Libvirt: Error making a connection to libvirt",
    "this host has KVM, but no guest boots": "/gems/fog/start.rb:16:in `create': Call to "
    "virDomainCreateWithFlags failed: error: failed to set MSR 0x10a to 0x0 (Libvirt::Error)\n"
    "\tfrom /gems/fog/start.rb:16:in `vm_action'",
    "another vagrant process": "An action 'up' was attempted on the machine 'dev',\n"
    "but another process is already executing an action on the machine.",
    "a disk is left": "Volume for domain is already created. Please run 'vagrant destroy' first.",
    "a machine dev-dev that does not belong": "Name `dev-dev` of domain about to create is already taken.",
    "the machine did not answer": "Timed out while waiting for the machine to boot. This means that",
}
LACKING = ("Vagrant cannot", "libvirtd", "this host has KVM")


@pytest.mark.parametrize("message", SAID)
def test_words_become_an_error_with_evidence_and_hint(message: str) -> None:
    error = fault(SAID[message].splitlines(), "libvirt", (), "/log.txt")
    assert message in error.message
    assert not error.message.endswith(".")
    assert error.evidence
    assert "/log.txt" in error.hint
    assert isinstance(error, HostLacks) == message.startswith(LACKING)


def test_every_hint_and_message_is_written_for_people() -> None:
    for known in FAULTS:
        assert "{{" not in known.hint + known.message
        assert known.hint


def test_words_that_nobody_knows_are_shown() -> None:
    error = fault(["something else"], "libvirt", (), "/log.txt")
    assert isinstance(error, EnvironmentFailed)
    assert error.evidence == ("something else",)


def test_a_boot_that_took_too_long_shows_the_console() -> None:
    error = fault(["Timed out while waiting for the machine to boot."], "libvirt", ["login:"], "/l")
    assert error.evidence == ("login:",)


def test_frames_of_ruby_and_bars_are_left_out() -> None:
    said = [
        "/g/start.rb:16:in `create': Call to virDomainCreateWithFlags failed: no (Libvirt::Error)",
        "\tfrom /g/start.rb:16:in `vm_action'",
        "Progress: 1%\r\x1b[KProgress: 42%\r\x1b[Kdone",
        "    dev: \r\x1b[KProgress: 42%",
    ]
    assert legible(said) == ("Call to virDomainCreateWithFlags failed: no (Libvirt::Error)", "done")


def test_a_box_that_is_found_after_all_is_not_blamed() -> None:
    said = [
        "==> dev: Box 'a/b' could not be found. Attempting to find and install...",
        "Volume for domain is already created.",
    ]
    assert "a disk is left" in fault(said, "libvirt", (), "/log.txt").message
