"""Services of a Docker Swarm: the same images as containers, spread over the nodes by its managers."""

from provision.backends.swarm.backend import Swarm

BACKEND = Swarm()
