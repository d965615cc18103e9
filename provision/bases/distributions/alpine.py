"""Alpine Linux."""

from provision.model import Base

BASES = tuple(
    Base(
        name=f"alpine:{version}",
        family="apk",
        image=f"alpine:{version}",
        box=f"cloud-image/alpine-{version}",
    )
    for version in ("3.22", "3.23")
)

ALIASES: dict[str, str] = {}
