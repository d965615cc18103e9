"""Debian."""

from provision.bases.archive import Archive
from provision.model import Base

ARCHIVE = Archive(
    keyring="debian-archive-keyring.gpg",
    keyring_package="debian-archive-keyring",
    mirror="http://deb.debian.org/debian",
    security="http://deb.debian.org/debian-security",
    dated_mirror="http://snapshot.debian.org/archive/debian/{snapshot}",
    dated_security="http://snapshot.debian.org/archive/debian-security/{snapshot}",
)

BASES = tuple(
    Base(
        name=f"debian:{version}",
        family="apt",
        image=f"debian:{version}",
        box=f"cloud-image/debian-{version}",
        suite=suite,
        mirror=ARCHIVE.mirror,
        components=("main",),
    )
    for version, suite in (("11", "bullseye"), ("12", "bookworm"), ("13", "trixie"))
)

ALIASES = {
    "debian:bullseye": "debian:11",
    "debian:bookworm": "debian:12",
    "debian:trixie": "debian:13",
}
