"""The times that services have, in the machine's own scripts and to whoever waits for it."""

from __future__ import annotations

ONESHOT = 3600  # seconds that others wait for one that ends
BEGINS = 30  # seconds for an init to begin a service whose turn it is; its own time counts from then
CRASHES = 5  # ends, each soon after its start, that make a crash loop
SOON = 15  # seconds
