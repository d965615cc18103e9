"""Containers: one per machine, built by BuildKit, converged by Compose."""

from provision.backends.docker.backend import Docker

BACKEND = Docker()
