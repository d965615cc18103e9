"""What provision logs: each command on the host, and each script in a machine.

`logging` takes longer to import than an engine takes to answer. Nobody listens before somebody has imported
it, so until then there is nothing to do.
"""

from __future__ import annotations

import sys

COMMANDS = "provision.process"  # INFO: each command; DEBUG: what a streamed one prints
SCRIPTS = "provision.target"  # DEBUG: each script that ran in a machine


def info(logger: str, message: str, *values: object) -> None:
    """Log a message and its values, as `logging.Logger.info` does, if anybody listens."""
    if _listened():
        import logging

        logging.getLogger(logger).info(message, *values)


def debug(logger: str, message: str, *values: object) -> None:
    """Log a message and its values, as `logging.Logger.debug` does, if anybody listens."""
    if _listened():
        import logging

        logging.getLogger(logger).debug(message, *values)


def _listened() -> bool:
    """Whether somebody has imported `logging`, or has begun to.

    Another thread may have begun: take the module by `import` alone, which waits for that thread. What stands
    in `sys.modules` may be half of it.
    """
    return "logging" in sys.modules
