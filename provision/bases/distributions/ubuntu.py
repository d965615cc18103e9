"""Ubuntu, the releases with long support."""

from provision.bases.archive import Archive
from provision.model import Base

ARCHIVE = Archive(
    keyring="ubuntu-archive-keyring.gpg",
    keyring_package="ubuntu-keyring",
    mirror="http://archive.ubuntu.com/ubuntu",
    security="http://security.ubuntu.com/ubuntu",
    dated_mirror="http://snapshot.ubuntu.com/ubuntu/{snapshot}",
    dated_security="http://snapshot.ubuntu.com/ubuntu/{snapshot}",
    ports="http://ports.ubuntu.com/ubuntu-ports",
)

BASES = tuple(
    Base(
        name=f"ubuntu:{version}",
        family="apt",
        image=f"ubuntu:{version}",
        box=f"cloud-image/ubuntu-{version}",
        suite=suite,
        mirror=ARCHIVE.mirror,
        components=("main", "restricted", "universe", "multiverse"),
    )
    for version, suite in (("22.04", "jammy"), ("24.04", "noble"))
)

ALIASES = {"ubuntu:jammy": "ubuntu:22.04", "ubuntu:noble": "ubuntu:24.04"}
