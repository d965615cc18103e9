"""A builder's output, made readable while it works: the step's name, then its last line."""

from __future__ import annotations

import re

from provision import guest_paths

FOR_US = "provision: "  # what a step tells `build_problems`, not a person
_BEGINS = re.compile(r"#(\d+) \[(?:[^\]]*?(\d+)/(\d+)|[^\]]*)\] (.*)")
_DONE = re.compile(r"#(\d+) DONE (\d+\.\d)s")
TOLD = 1.0  # seconds: a step that took less is not worth a line of its own
_OURS = re.compile(rf"target={guest_paths.BUILDS}/(?:steps/\d+-|guest/)([\w-]+)\.sh")
_WORDS = re.compile(r"#(\d+) (?:\d+\.\d+ )?(.*)")
# Of a step that is none of the spec's, its instruction says little, and its options less.
_OPTIONS = re.compile(r"^RUN( +--\S+)+ *")


class BuildLines:
    """Reads BuildKit's plain progress line by line; the log has the lines as they are."""

    def __init__(self) -> None:
        self._steps: dict[str, str] = {}
        self._places: dict[str, str] = {}

    def done(self, line: str) -> str:
        """What to say of a step that has ended by this line: its place and duration; else nothing."""
        match = _DONE.fullmatch(line)
        step = self._steps.get(match[1]) if match else None
        if match is None or not step or float(match[2]) < TOLD:
            return ""
        return f"{step}{self._places[match[1]]}: {match[2]} s"

    def readable(self, line: str) -> str:
        """The line without the builder's numbers and mounts, after the name of its step."""
        if begins := _BEGINS.fullmatch(line):
            number, place, of, instruction = begins.groups()
            ours = _OURS.search(instruction)
            self._steps[number] = f"step {ours[1]}" if ours else ""
            self._places[number] = f" ({place} of {of})" if place else ""
            if self._steps[number]:
                return self._steps[number] + self._places[number]
            return _OPTIONS.sub("RUN ", instruction)
        words = _WORDS.fullmatch(line)
        if words is None:
            return line
        step = self._steps.get(words[1], "")
        if words[2].startswith(FOR_US):
            return step
        return f"{step}: {words[2]}" if step else words[2]
