"""Renderings, remembered: what has been rendered once from the same environment needs no templates."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision import memo, resources
from provision.rendering import RenderedFile, Rendering

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provision.model import Environment

LARGEST = 1024 * 1024  # bytes of an environment's own files: comparing more takes longer than rendering


def remembered(
    environment: Environment, location: Path, choices: object, render: Callable[[], Rendering]
) -> Rendering:
    """The rendering of an environment; `render` is called where it is not known yet.

    Importing the templates' engine and running it is a third of an `up` that changes nothing.

    Args:
        environment: what is rendered.
        location: the folder for which.
        choices: all else that decides about it, with a `repr` that says all of it.
        render: makes it, from these alone and from this package's own files.
    """
    contents = (file.content for machine in environment.machines for file in machine.files)
    if sum(map(len, contents)) > LARGEST:
        return render()
    mounts = [mount.source.is_file() for machine in environment.machines for mount in machine.mounts]
    question = repr((type(choices).__module__, choices, str(location), mounts, environment))
    known = memo.key(_renderer(), question.encode("utf-8", "surrogateescape"))
    if (answer := memo.recall(known)) is not None:
        return _read(json.loads(answer))
    rendering = render()
    memo.keep(known, json.dumps(_written(rendering), separators=(",", ":")).encode())
    return rendering


@cache
def _renderer() -> bytes:
    """All that decides what an environment is rendered to, besides itself: the code and the templates."""
    folders = (Path(__file__).parent, resources.folder("templates"))
    own = "\0".join(line for folder in folders for line in memo.state_of(folder))
    return own.encode() + memo.library("jinja2")


def _written(rendering: Rendering) -> Mapping[str, object]:
    """A rendering for JSON, each of its files once."""
    known: dict[tuple[bytes, bool], int] = {}

    def numbered(files: Mapping[str, RenderedFile]) -> Mapping[str, int]:
        return {
            path: known.setdefault((file.content, file.executable), len(known))
            for path, file in files.items()
        }

    return {
        "files": numbered(rendering.files),
        "made_of": {machine: numbered(files) for machine, files in rendering.made_of.items()},
        "digest": rendering.digest,
        "digests": {**rendering.digests},
        "recipes": {**rendering.recipes},
        "outside": {**rendering.outside},
        "known": [(content.decode("latin-1"), executable) for content, executable in known],
    }


def _read(written: dict[str, Any]) -> Rendering:
    known = [
        RenderedFile(content=text.encode("latin-1"), executable=executable)
        for text, executable in written.pop("known")
    ]

    def files(numbers: Mapping[str, int]) -> Mapping[str, RenderedFile]:
        return {path: known[number] for path, number in numbers.items()}

    made_of = {machine: files(numbers) for machine, numbers in written.pop("made_of").items()}
    return Rendering(files=files(written.pop("files")), made_of=made_of, **written)
