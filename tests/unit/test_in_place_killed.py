"""A change in place that was killed: whatever the spec says next, what may differ is applied again."""

from __future__ import annotations

import pytest

from provision.backends import in_place
from provision.backends.in_place import CHANGING, MachineParts
from provision.rendering import RenderedFile

OLD = {"same": "s", "run": "old", "gone": "g"}
NEW = {"same": "s", "run": "new", "added": "a"}
THIRD = {"same": "s", "run": "third"}


@pytest.mark.parametrize(
    ("now", "former"),
    [
        # As it was meant: what was to change is what it was, so it is changed again.
        (NEW, OLD),
        # Back to what it was: each part that the change touched may be either.
        (OLD, {"same": "s", "run": CHANGING, "gone": CHANGING, "added": CHANGING}),
        # Something else: likewise; a part that neither has is not in it.
        (THIRD, {"same": "s", "run": CHANGING, "gone": "g", "added": CHANGING}),
    ],
    ids=["as it was meant", "back", "something else"],
)
def test_after_a_kill_what_may_differ_differs(now: dict[str, str], former: dict[str, str]) -> None:
    made = MachineParts(instance="i", made=CHANGING, parts=OLD, pending=NEW)
    assert in_place.former_parts(made, now) == former
    assert all(former.get(path) != now.get(path) for path in {*OLD, *NEW} if OLD.get(path) != NEW.get(path))


def test_without_a_kill_the_parts_are_what_was_noted() -> None:
    made = MachineParts(instance="i", made="hash", parts=OLD)
    assert in_place.former_parts(made, NEW) == OLD


def test_the_hash_of_a_step_is_no_part_of_what_a_machine_is_made_of() -> None:
    """Without BuildKit it is in the Dockerfile: else no change could be applied to a running machine."""
    one, two = (
        f"RUN --mount=type=cache,id=debian-12-var-cache-apt{digest},target=/var/cache/apt \\\n"
        f"    sh /run/provision/steps/040-machine.sh # {digest}\n"
        for digest in ("a" * 32, "b" * 32)
    )
    parts = [
        in_place.parts_of({"Dockerfile": RenderedFile(content=text.encode())}, "") for text in (one, two)
    ]
    assert parts[0] == parts[1]
    other = RenderedFile(content=one.replace("040-machine", "050-machine").encode())
    assert in_place.parts_of({"Dockerfile": other}, "") != parts[0]
