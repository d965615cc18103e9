"""Rocky Linux; its image is the project's own, the one without a prefix is not kept up."""

from provision.model import Base

BASES = (Base(name="rocky:9", family="dnf", image="rockylinux/rockylinux:9", box="cloud-image/rocky-9"),)

ALIASES = {"rockylinux:9": "rocky:9"}
