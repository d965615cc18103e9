"""The paths of provision's own inside a machine, each named once.

The scripts in `templates/` spell theirs out, so that they can be read and checked as scripts. A unit test
holds that what is named here is there too, and that no other module spells such a path.
"""

from __future__ import annotations

HOME = "/usr/lib/provision"
"""The machine's own scripts."""
RUN = "/run/provision"
"""What exists from one start to the next."""
KEPT = "/var/lib/provision"
"""What is kept for the life of the machine: records of steps, and what was delivered."""
GUEST = "/usr/lib/provision-guest"
"""What a virtual machine has beyond a container."""

AGENT = f"{HOME}/agent"
AS = f"{HOME}/as"
CONTROL = f"{HOME}/control"
ENTER = f"{HOME}/enter"
HEALTHY = f"{HOME}/healthy"
SECRETS = f"{HOME}/secrets"
SERVICES = f"{HOME}/services"
SETUP = f"{HOME}/setup"
STATE = f"{HOME}/state"
UNITS = f"{HOME}/units"
WAIT = f"{HOME}/wait"
QUIESCE = f"{GUEST}/quiesce"
RESUME = f"{GUEST}/resume"

AGENT_SOCKET = f"{RUN}/agent/host/socket"
AUTHORIZED_KEYS = "/run/provision-guest/authorized_keys"
BUILDS = RUN  # where a build step finds what it is built with
DELIVERED = f"{RUN}/delivered"
DELIVERED_SECRETS = f"{RUN}/secrets"
GITCONFIG = f"{RUN}/gitconfig"
GUEST_BUILD = f"{RUN}/guest"
PROCESSES = f"{RUN}/services"
PROXY = f"{RUN}/proxy"
QUIESCED = "/run/provision-guest/quiesced"
SETUP_RUNS = f"{RUN}/setup.d"
SETUP_STATE = f"{RUN}/setup"
STARTS = f"{RUN}/starts"

APPLIED = f"{KEPT}/applied"
ENABLED_UNITS = f"{KEPT}/enabled-units"
KEPT_IDENTITY = f"{KEPT}/identity"
KEPT_PROXY = f"{KEPT}/proxy"
KEPT_RENDERING = f"{KEPT}/rendering"
KEPT_UNITS = f"{KEPT}/units"
SETUP_DONE = f"{KEPT}/setup"
STEPS = f"{KEPT}/steps"
