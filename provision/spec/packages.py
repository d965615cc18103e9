"""The packages of a machine: names, versions, architectures, and nothing that a manager would act on.

Package managers read more than names: `curl-` removes a package, `vim*` installs all that match.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from provision.model import Package

if TYPE_CHECKING:
    from provision.model import Base, Family, Repository
    from provision.spec.fields import Fields
    from provision.spec.scope import Scope
    from provision.spec.tree import Node

_WORD = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9.+_-]*?)(?::(?P<architecture>[a-z][a-z0-9_-]*))?(?:=(?P<version>~?\w[\w.+:~^*-]*))?"
)
_NO_ARCHITECTURES = ("all", "any", "native", "noarch")  # dpkg's and rpm's words for none in particular
_SEARCH: dict[Family, str] = {"apt": "apt-cache search", "dnf": "dnf search", "apk": "apk search"}
_FILES: dict[Family, str] = {
    "apt": "apt-get install -y ./FILE.deb", "dnf": "dnf install -y FILE", "apk": "apk add FILE",
}  # fmt: skip
_REMOVALS: dict[Family, str] = {"apt": "apt-get purge -y", "dnf": "dnf remove -y", "apk": "apk del"}


def read_packages(
    fields: Fields, base: Base, repositories: tuple[Repository, ...], scope: Scope
) -> tuple[Package, ...]:
    """The packages that a machine of this base gets, each once, in the order of the spec."""
    packages: dict[tuple[str, str | None], Package] = {}
    for package in _all(fields.items("packages"), base.family, scope):
        first = packages.get((package.name, package.architecture))
        if first is not None and (first.version, first.release) != (package.version, package.release):
            scope.problems.add(
                f"the package {package.name} is listed twice with different versions, "
                f"first in line {first.origin.line}",
                package.origin,
                "keep one of them",
            )
        if package.release is not None:
            _require_release(package, base, repositories, scope)
        packages.setdefault((package.name, package.architecture), package)
    return tuple(packages.values())


def comes_with_base(base: Base, release: str) -> bool:
    """Whether a release is on the base's own mirror: its backports, for example."""
    return bool(base.mirror and base.suite) and release.startswith(f"{base.suite}-")


def _all(items: list[Node], family: Family, scope: Scope) -> list[Package]:
    """The packages for one family; those for another are read too, so that each is right."""
    packages = []
    for item in items:
        fields = scope.fields(item)
        if not isinstance(item.value, dict) or "name" in fields:
            packages += _package(item, family, scope)
            continue
        for other in _SEARCH:
            inner = [each for node in fields.items(other) for each in _package(node, other, scope)]
            packages += inner if other == family else []
    return packages


def _package(item: Node, family: Family, scope: Scope) -> list[Package]:
    """A string or a map as a package; None if it is a problem."""
    fields = scope.fields(item)
    if "name" in fields and (others := [other for other in _SEARCH if other in fields]):
        scope.problems.add(
            f"an item of packages has name and {' and '.join(others)}", item, "make it two items"
        )
        return []
    word = fields.node("name") or item
    package = _read(word, family, scope) if isinstance(word.value, str) else None
    if package is None:
        return []
    release = fields.text("release") or None
    if release is not None and family != "apt":
        scope.problems.add(
            f"{family} has no releases to choose from",
            fields.node("release") or item,
            "name a repository that has the package: `repositories: {NAME: {url: …}}`",
        )
    return [replace(package, release=release)]


def _read(node: Node, family: Family, scope: Scope) -> Package | None:
    text = str(node.value)
    match = _WORD.fullmatch(text)
    fuzzy = family != "apk" and "=~" in text  # apk's "a version that begins so"
    wrong = _wrong(text, family) if match is None or match["name"].endswith("-") or fuzzy else None
    if match is None or wrong:
        message, hint = wrong or (f"{text} is not a package", "write NAME, NAME=VERSION or NAME:ARCH")
        scope.problems.add(message, node, hint)
        return None
    architecture = match["architecture"]
    if architecture in _NO_ARCHITECTURES or (architecture and family == "apk"):
        why = (
            "apk installs those of the machine's own" if family == "apk" else "there is no such architecture"
        )
        scope.problems.add(
            f"{text} names the architecture {architecture}: {why}", node, f"write {match['name']}"
        )
        return None
    return Package(
        name=match["name"], version=match["version"], architecture=architecture, origin=node.origin
    )


def _wrong(text: str, family: Family) -> tuple[str, str]:
    """What a string that is not a package would do, and what to write instead."""
    plain = re.sub(r"^[-!@]+|[-*?/=<>~@:].*$", "", text) or "NAME"
    if "://" in text or text.startswith(("/", "./", "../")) or text.endswith((".deb", ".rpm", ".apk")):
        return (
            f"{text} is a file, not a package",
            f"install it in a step: `run: [{_FILES[family]}]`, or name a repository that has it",
        )
    if text.startswith("!") or (text.startswith("-") and family != "apt") or text.endswith("-"):
        return (
            f"{text} would remove a package",
            f"leave it out, or remove it in a step: `run: [{_REMOVALS[family]} {text.strip('!-')}]`",
        )
    if text.startswith("-"):
        return f"{text} is an option, not a package", "write NAME, NAME=VERSION or NAME:ARCH"
    if re.search(r"[*?\[\]^$|\\]", text.partition("=")[0]):
        return (
            f"{text} is a pattern: it would install all that match",
            f"name each package; `{_SEARCH[family]} {plain}` in a machine lists them",
        )
    if text.startswith("@"):
        return (
            f"{text} is a group of packages",
            f"name its packages, or install it in a step: `run: [dnf group install -y {text[1:]}]`"
            if family == "dnf"
            else "name its packages",
        )
    if family == "apt" and "/" in text:
        name, _, release = text.partition("/")
        return f"{text} is not a package's name", f"write {{name: {name}, release: {release}}}"
    if "@" in text:
        return (
            f"{text} names a tagged repository",
            f"write {plain}, and declare the repository: `repositories: {{NAME: {{url: …}}}}`",
        )
    if match := re.fullmatch(r"([\w.+-]+?)\s*[<>~=]+\s*([\w.:+~-]+)", text):
        return f"{text} compares versions", f"write {match[1]}={match[2]} for that version, or {match[1]}"
    return f"{text} is not a package's name", "write NAME, NAME=VERSION or NAME:ARCH"


def _require_release(
    package: Package, base: Base, repositories: tuple[Repository, ...], scope: Scope
) -> None:
    """Add a problem if nothing says where to find the release."""
    release = str(package.release)
    if base.family != "apt" or not base.image or release == base.suite or comes_with_base(base, release):
        return
    if any(repository.suite == release for repository in repositories):
        return
    url = base.mirror or "URL"
    scope.problems.add(
        f"{base.name} has no release {release}",
        package.origin,
        f"declare it: `repositories: {{{re.sub('[^a-z0-9-]', '-', release)}: "
        f"{{url: {url!r}, suite: {release}, pin: 100}}}}`".replace("'", '"'),
    )
