"""Fedora."""

from provision.model import Base

BASES = tuple(
    Base(
        name=f"fedora:{version}",
        family="dnf",
        image=f"fedora:{version}",
        box=f"cloud-image/fedora-{version}",
    )
    for version in ("42", "43")
)

ALIASES: dict[str, str] = {}
