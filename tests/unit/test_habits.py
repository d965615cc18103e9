"""What people bring from other tools is answered with what it is called here."""

from __future__ import annotations

import click
import pytest

from provision.cli import VERBS, commands
from provision.cli.habits import ANYWHERE, OPTIONS, hint
from provision.cli.habits import VERBS as THEIRS


def answer(*typed: str) -> str | None:
    with pytest.raises(click.UsageError) as raised:
        commands.main(list(typed), prog_name="provision", standalone_mode=False)
    return hint(raised.value)


@pytest.mark.parametrize(("typed", "ours"), THEIRS.items())
def test_a_verb_of_another_tool(typed: str, ours: str) -> None:
    assert answer(typed, "spec.yaml") == f"here it is `provision {ours}`"
    assert ours.split()[0] in {*VERBS, "--version"}


@pytest.mark.parametrize(("verb", "option"), [(verb, option) for verb in OPTIONS for option in OPTIONS[verb]])
def test_an_option_of_another_tool(verb: str, option: str) -> None:
    message = answer(verb, option)
    assert message == OPTIONS[verb][option]
    options = {name for parameter in command_of(verb).params for name in parameter.opts}
    named = {word for word in message.replace(":", " ").split() if word.startswith("--")} - {"--"}
    assert named <= options


@pytest.mark.parametrize("option", ANYWHERE)
def test_an_option_that_other_tools_have_everywhere(option: str) -> None:
    assert answer("status", option, "x") == ANYWHERE[option].format(verb="status")


def test_what_nobody_brings_has_no_hint() -> None:
    assert answer("no-such-verb") is None
    assert answer("up", "--no-such-option") is None


def command_of(verb: str) -> click.Command:
    found = commands.get_command(click.Context(commands), verb)
    assert found is not None
    return found
