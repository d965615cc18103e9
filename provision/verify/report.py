"""Results for programs: JSON, and JUnit XML for CI servers."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from provision.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from provision.model import Result

# What XML 1.0 cannot say, not even escaped.
_UNSPEAKABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_json(name: str, backend: str, results: Sequence[Result]) -> dict[str, object]:
    """The results as data for JSON: counts, and each check with its seconds."""
    counts = Counter(result.outcome for result in results)
    return {
        "name": name,
        "backend": backend,
        "passed": counts["passed"],
        "failed": counts["failed"],
        "skipped": counts["skipped"],
        "checks": [
            {
                "machine": result.machine,
                "check": result.check,
                "outcome": result.outcome,
                "message": result.message,
                "seconds": round(result.seconds, 4),
            }
            for result in results
        ],
    }


def write_junit(
    path: Path, name: str, runs: Mapping[str, Sequence[Result]], notes: Sequence[str] = ()
) -> None:
    """Write the results of each backend as JUnit's XML, making the file's folder if need be.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_junit(name, runs, notes))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", hint="give --junit another file"
        ) from error


def as_junit(name: str, runs: Mapping[str, Sequence[Result]], notes: Sequence[str] = ()) -> bytes:
    """The results as JUnit's XML: a testsuite for each machine of each backend, a testcase a check.

    `notes` say which of a spec's environments these are; they are part of the whole report's name.
    """
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    whole = [result for results in runs.values() for result in results]
    root = Element("testsuites", _counts(f"{name} ({', '.join([*runs, *notes])})", whole))
    for backend, results in runs.items():
        for machine in dict.fromkeys(result.machine for result in results):
            own = [result for result in results if result.machine == machine]
            suite = SubElement(root, "testsuite", _counts(f"{backend}: {machine}", own))
            properties = SubElement(suite, "properties")
            for key, value in (("environment", name), ("backend", backend), ("machine", machine)):
                SubElement(properties, "property", {"name": key, "value": value})
            for result in own:
                _add_case(suite, f"{name}.{backend}.{machine}", result)
    indent(root)
    text: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _add_case(suite: Element, classname: str, result: Result) -> None:
    from xml.etree.ElementTree import SubElement

    attributes = {"classname": classname, "name": _spoken(result.check), "time": f"{result.seconds:.4f}"}
    case = SubElement(suite, "testcase", attributes)
    message = _spoken(result.message)
    if result.outcome == "failed":
        SubElement(case, "failure", {"message": message, "type": "check"}).text = message
    elif result.outcome == "skipped":
        SubElement(case, "skipped", {"message": message})


def _counts(name: str, results: Sequence[Result]) -> dict[str, str]:
    counts = Counter(result.outcome for result in results)
    return {
        "name": name,
        "tests": str(len(results)),
        "failures": str(counts["failed"]),
        "errors": "0",
        "skipped": str(counts["skipped"]),
        "time": f"{sum(result.seconds for result in results):.4f}",
    }


def _spoken(text: str) -> str:
    return _UNSPEAKABLE.sub("\N{REPLACEMENT CHARACTER}", text)
