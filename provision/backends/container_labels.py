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
MACHINES = "provision.machines"  # those of a service, by their slots
SERVICES, SECRETS = "provision.services", "provision.secrets"
STACK_ID = "provision.stack"  # instead of ID, where machines are services and not containers
