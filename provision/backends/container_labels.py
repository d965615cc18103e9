"""The labels of an engine's objects: whose they are, and what they were made from."""

ID = "provision.id"
ENVIRONMENT = "provision.environment"
PROJECT = "provision.project"
OWNER = "provision.owner"
RECIPE = "provision.recipe"
RENDERING = "provision.rendering"
MACHINE = "provision.machine"  # which machine a container is
NEEDS = "provision.needs"
USER, WORKDIR = "provision.user", "provision.workdir"
