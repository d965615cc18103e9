"""What provision logs: each command on the host, and each script in a machine.

`logging` takes longer to import than an engine takes to answer. Nobody listens before somebody has imported
it, so until then there is nothing to do.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

COMMANDS = "provision.process"  # INFO: each command; DEBUG: what a streamed one prints
SCRIPTS = "provision.target"  # DEBUG: each script that ran in a machine


def info(logger: str, message: str, *values: object) -> None:
    """Log a message and its values, as `logging.Logger.info` does, if anybody listens."""
    if listened := _listened(logger):
        listened.info(message, *values)


def debug(logger: str, message: str, *values: object) -> None:
    """Log a message and its values, as `logging.Logger.debug` does, if anybody listens."""
    if listened := _listened(logger):
        listened.debug(message, *values)


def _listened(name: str) -> Logger | None:
    """The logger of this name; None while nobody has imported `logging`.

    Another thread may be importing it: `import` waits for that thread, `sys.modules` may hold half a module.
    """
    if "logging" not in sys.modules:
        return None
    import logging

    return logging.getLogger(name)
