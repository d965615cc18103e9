"""What a person's own configuration says of registries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision.errors import SpecError
from provision.spec.personal import RegistrySettings, registry_settings

if TYPE_CHECKING:
    from pathlib import Path

REPOSITORY = "registry.example.org/team/environments"


def read(folder: Path, text: str) -> RegistrySettings:
    file = folder / "config.yaml"
    file.write_text(text)
    return registry_settings(file)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cache: {limit: 1GiB}\n", RegistrySettings()),
        (f"registry: {REPOSITORY}\n", RegistrySettings(repository=REPOSITORY)),
        (f"registry: {{repository: {REPOSITORY}}}\n", RegistrySettings(repository=REPOSITORY)),
        ("registry: {memory: true}\n", RegistrySettings(memory=True)),
        ("registry: {memory: false}\n", RegistrySettings()),
        ("registry: {sign: awskms://key}\n", RegistrySettings(sign="awskms://key")),
    ],
)
def test_what_is_said_is_read(tmp_path: Path, text: str, expected: RegistrySettings) -> None:
    assert read(tmp_path, text) == expected


def test_files_are_those_beside_it(tmp_path: Path) -> None:
    found = read(tmp_path, "registry: {ca: ca.pem, verify: keys/cosign.pub, sign: /keys/cosign.key}\n")
    assert found.ca == tmp_path / "ca.pem"
    assert found.verify == str(tmp_path / "keys" / "cosign.pub")
    assert found.sign == "/keys/cosign.key"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("registry: {memory: yes please}\n", "memory of registry must be true or false"),
        ("registry: {memroy: true}\n", "registry has no key memroy"),
        ("registry: {ca: 1}\n", "ca of registry must be a text"),
        ("registry: {repository: 'a b'}\n", "a b is not a repository in a registry"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SpecError) as raised:
        read(tmp_path, text)
    problem = raised.value.problems[0]
    assert message in problem.message
    assert problem.origin.line == 1
