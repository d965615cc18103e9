"""The other side of a verb that was handed over: what is done before it begins."""

from __future__ import annotations

import json
import os
import select
import signal
import threading
from pathlib import Path

VARIABLES = "PROVISION_HANDED_OVER"  # the file with the caller's variables, which is read once
NAME = "PROVISION_HANDED_OVER_AS"  # what the caller calls this host
STDOUT = 1


def begin() -> None:
    """Take the caller's variables, and end when the caller has gone; nothing unless handed over."""
    file = os.environ.pop(VARIABLES, "")
    if not file:
        return
    path = Path(file)
    variables = json.loads(path.read_bytes())
    path.unlink()
    path.parent.rmdir()
    os.environ.update(variables)
    if not os.isatty(STDOUT):  # a terminal tells by SIGHUP
        threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    poll = select.poll()
    poll.register(STDOUT, 0)  # errors and hang-ups are always told
    poll.poll()
    os.kill(os.getpid(), signal.SIGTERM)  # which nohup does not ignore
