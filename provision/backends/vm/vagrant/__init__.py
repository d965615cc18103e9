"""Machines through Vagrant: one Vagrantfile, a short file for each of its providers."""
