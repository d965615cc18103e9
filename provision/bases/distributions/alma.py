"""AlmaLinux."""

from provision.model import Base

BASES = (Base(name="alma:9", family="dnf", image="almalinux:9", box="cloud-image/almalinux-9"),)

ALIASES = {"almalinux:9": "alma:9"}
