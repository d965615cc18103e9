"""Each backend's options are typed, and are the keys of its own schema."""

from __future__ import annotations

import dataclasses

import pytest

from provision import registry
from provision.backends.docker.options import DockerOptions
from provision.backends.swarm.options import SwarmOptions
from provision.backends.vm.options import VmOptions


@pytest.mark.parametrize(
    ("name", "kind"), [("docker", DockerOptions), ("swarm", SwarmOptions), ("vm", VmOptions)]
)
def test_the_options_are_the_keys_of_the_schema(name: str, kind: type) -> None:
    fields = {each.name for each in dataclasses.fields(kind)}
    assert fields == set(registry.options_schema(name))


@pytest.mark.parametrize(
    ("name", "kind"), [("docker", DockerOptions), ("swarm", SwarmOptions), ("vm", VmOptions)]
)
def test_a_default_of_the_schema_is_the_default(name: str, kind: type) -> None:
    options = kind()
    for key, schema in registry.options_schema(name).items():
        if "default" in schema and getattr(options, key) is not None:
            assert getattr(options, key) == schema["default"], key
