"""Checks of packages."""

from __future__ import annotations

import shlex
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.model import Check
    from provision.verify.context import CheckContext

FIELDS = frozenset({"version"})
_PROVIDED = {
    "apt": "dpkg-query -f '${db:Status-Abbrev} ${Provides},\\n' -W"
    " | sed -n 's/^[ih]i  *//p' | tr ',' '\\n' | sed 's/ *(.*//; s/^ *//' | grep -Fxq -- %s",
    "dnf": "rpm -q --quiet --whatprovides %s",
    "apk": "apk info -q -e %s",
}


def package(context: CheckContext, check: Check) -> Iterator[str]:
    """Installed by its name, or provided by one that is; its version, where it is pinned."""
    installed = context.host.package(check.subject)
    if not installed.is_installed:
        provided = _PROVIDED[context.machine.base.family] % shlex.quote(check.subject)
        if "version" in check.fields or context.host.run(provided).rc != 0:
            yield "is not installed"
        return
    expected = check.fields.get("version")
    if expected is None:
        return
    versions = [str(installed.version)]
    if context.machine.base.family != "apt":
        versions.append(f"{versions[0]}-{installed.release}")
    if not any(_agrees(version, str(expected)) for version in versions):
        yield f"version is {versions[-1]}, expected {expected}"


def _agrees(found: str, expected: str) -> bool:
    """The whole version, its beginning up to a separator, or a pattern with `*`.

    Debian's epoch (`1:`) may be left out.
    """
    for version in {found, found.partition(":")[2] or found}:
        if fnmatchcase(version, expected):
            return True
        rest = version.removeprefix(expected)
        if rest != version and not rest[0].isalnum():
            return True
    return False
