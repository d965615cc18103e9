"""The other side of a verb that was handed over: what is done before it begins.

Every run imports this, so it imports late what only the other side needs.
"""

from __future__ import annotations

import os

VARIABLES = "PROVISION_HANDED_OVER"  # the file with the caller's variables, which is read once
NAME = "PROVISION_HANDED_OVER_AS"  # what the caller calls this host
STDOUT = 1


def begin() -> None:
    """Take the caller's variables, and end when the caller has gone; nothing unless handed over."""
    file = os.environ.pop(VARIABLES, "")
    if not file:
        return
    import json
    import threading
    from pathlib import Path

    path = Path(file)
    variables = json.loads(path.read_bytes())
    path.unlink()
    path.parent.rmdir()
    os.environ.update(variables)
    if not os.isatty(STDOUT):  # a terminal sends SIGHUP
        threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    import select
    import signal

    poll = select.poll()
    poll.register(STDOUT, 0)  # errors and hang-ups are always reported
    poll.poll()
    os.kill(os.getpid(), signal.SIGTERM)  # which nohup does not ignore
