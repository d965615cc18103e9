"""Values of a spec are data: whatever bytes they hold arrive inside, and none is run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import as_yaml

if TYPE_CHECKING:
    from tests.conftest import Project

NASTY = [
    'it\'s $5 "cash"',
    "$HOME ${HOME} $$ $(touch /ran) `touch /ran`",
    "#{system('touch /ran')} #$0 %x(touch /ran) %{a} %s %(a)s",
    "{{ 7 * 7 }} {% raw %} {# x #} <%= 1 %>",
    "back\\slash \\n \\x41 \\",
    "two\nlines\n\n and a tab\t.",
    "carriage\rreturn\r\n",
    " leading and trailing ",
    "- yaml: [no, on, 22:22, ~, null]",
    "# no comment ; nor this",
    "END\nEND\n'END'\nEOF",
    "ünïcödé 漢字 🎉 \u2028 \u00a0 \ufeff",
    "\x01\x1b[31m\x7f\x85",
    "'",
    '"',
    "''\"\"\\'\\\"",
    "",
]

SPEC = """
version: 1
name: values
base: debian:12
"""

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


def spec_of(variables: list[str], contents: list[str]) -> str:
    return as_yaml(
        {
            "version": 1,
            "name": "values",
            "base": "debian:12",
            "env": {f"VALUE_{n}": value for n, value in enumerate(variables)},
            "files": {f"/srv/values/{n}": {"content": text} for n, text in enumerate(contents)},
        },
    )


def written(project: Project, begins: str, count: int) -> list[bytes]:
    """The bytes of so many files whose paths begin so and end in a number: none holds a zero byte."""
    script = f'n=0; while [ "$n" -lt {count} ]; do cat {begins}"$n"; printf "\\0"; n=$((n + 1)); done'
    return project.raw("exec", "--", "sh", "-euc", script).split(b"\0")[:-1]


def bring(project: Project, variables: list[str], contents: list[str]) -> None:
    project.write("provision.yaml", spec_of(variables, contents))
    project.up()
    said = project.raw("exec", "--", "env", "-0").split(b"\0")
    inside = dict(pair.split(b"=", 1) for pair in said if b"=" in pair)
    for number, value in enumerate(variables):
        assert inside[f"VALUE_{number}".encode()] == value.encode()
    assert written(project, "/srv/values/", len(contents)) == [text.encode() for text in contents]
    assert project.run("exec", "--", "test", "-e", "/ran").code == 1


def test_values_that_mean_something_elsewhere(shared: Project) -> None:
    bring(shared, NASTY, NASTY)


@settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    variables=st.lists(TEXT, min_size=20, max_size=20),
    contents=st.lists(TEXT, min_size=20, max_size=20),
)
def test_any_value(shared: Project, variables: list[str], contents: list[str]) -> None:
    bring(shared, variables, contents)


def test_command_words_and_scripts_of_the_spec(shared: Project) -> None:
    shared.write(
        "provision.yaml",
        as_yaml(
            {
                "version": 1,
                "name": "values",
                "base": "debian:12",
                "run": [
                    {
                        "name": f"step-{n}",
                        "script": f"printf %s {shlex.quote(value)} > /srv/step-{n}",
                    }
                    for n, value in enumerate(NASTY)
                ],
                "services": {
                    "words": {
                        "command": "sh -c "
                        + shlex.quote(
                            'for word; do n=$((${n:--1} + 1)); printf %s "$word" > /srv/word-$n; done;'
                            " exec sleep infinity"
                        )
                        + " sh "
                        + shlex.join(NASTY)
                    }
                },
            }
        ),
    )
    shared.up()
    values = [value.encode() for value in NASTY]
    assert written(shared, "/srv/step-", len(NASTY)) == values
    assert written(shared, "/srv/word-", len(NASTY)) == values
    assert shared.run("exec", "--", "test", "-e", "/ran").code == 1


def test_variables_whose_names_the_scripts_inside_might_use(shared: Project) -> None:
    names = ("here", "log", "name", "step", "code", "user", "group", "home", "service", "record", "script")
    said = "|".join(f"${{{name}}}" for name in names)
    expected = "|".join(f"of {name}" for name in names)
    shared.write(
        "provision.yaml",
        as_yaml(
            {
                "version": 1,
                "name": "values",
                "base": "debian:12",
                "users": {"app": {}},
                "env": {name: f"of {name}" for name in names},
                "services": {
                    "one": {
                        "script": f'echo "{said}" >/tmp/one\nexec sleep infinity',
                        "user": "app",
                        "ready": {"script": 'test "$here" = "of here"'},
                    },
                    "two": {"command": "sleep infinity", "ready": {"command": "printenv here"}},
                },
                "setup": [
                    {"name": "root", "script": f'echo "{said}" >/tmp/root'},
                    {"name": "app", "user": "app", "script": f'echo "{said}" >/tmp/app'},
                ],
            }
        ),
    )
    shared.up()
    for writer in ("one", "root", "app"):
        assert shared.raw("exec", "--", "cat", f"/tmp/{writer}").decode().strip() == expected
    assert shared.raw("exec", "--", "sh", "-c", f'echo "{said}"').decode().strip() == expected
