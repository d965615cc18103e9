"""Machines of QEMU alone: no daemon, no root, no Vagrant."""
