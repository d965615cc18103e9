"""Kill for an hour: `python -m tests.soak`.

SOAK_MINUTES, SOAK_KILLS, SOAK_SEED and SOAK_BACKEND say otherwise; with SOAK_KEEP_GOING=true a
finding does not end it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.conftest import make_project
from tests.soak.containers import Containers
from tests.soak.engines import PrivateEngine
from tests.soak.machines import Machines
from tests.soak.rounds import Finding, Soak


def main() -> int:
    """Strike until the time or the number of kills is over; 1 where something did not hold."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores the first
        signal.signal(number, signal.default_int_handler)
    minutes = float(os.environ.get("SOAK_MINUTES") or 60)
    kills = int(os.environ.get("SOAK_KILLS") or 10**9)
    seed = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))
    stops = os.environ.get("SOAK_KEEP_GOING") != "true"
    print(f"SOAK_SEED={seed} brings the same kills again", flush=True)
    deadline, done, found = time.monotonic() + minutes * 60, Counter[str](), 0
    while time.monotonic() < deadline and done.total() < kills:
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="soak-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            soak = _soak(stack, folder, random.Random(seed + found))
            while time.monotonic() < deadline and done.total() < kills:
                try:
                    struck = soak.round()
                except Finding as finding:
                    found += 1
                    print(f"FOUND {found} at kill {done.total() + 1}: {finding}", flush=True)
                    if stops:
                        return 1
                    done["found"] += 1
                    break  # with another environment, engine and seed
                if struck.in_time:
                    done[f"{struck.words[0]} by {struck.by}"] += 1
                print(f"{done.total()}: {struck}", flush=True)
            else:
                soak.good("down", "--volumes", "--images")
                soak.require_nothing_left()
    for what, count in sorted(done.items()):
        print(f"{count:5} {what}")
    print(f"{done.total()} kills, {found} findings")
    return 1 if found else 0


def _soak(stack: ExitStack, folder: Path, chance: random.Random) -> Soak:
    project = make_project(folder / "project", os.environ.get("SOAK_BACKEND") or "docker")
    temporary = folder / "tmp"
    temporary.mkdir()
    os.environ["PROVISION_STATE_DIR"] = str(folder / "state")
    project.environment = {
        "TMPDIR": str(temporary), "PROVISION_STATE_DIR": str(folder / "state"),
        "XDG_CACHE_HOME": str(folder / "cache"), "SOAK_TOKEN": "secret", "PROVISION_ALLOW": "host-env",
    }  # fmt: skip
    soak: Soak
    if project.backend == "docker":
        engine = stack.enter_context(PrivateEngine(name=f"soak{os.getpid()}", folder=folder / "engine"))
        project.environment |= engine.variables
        soak = Containers(project=project, random=chance, temporary=temporary, engine=engine)
    else:
        soak = Machines(project=project, random=chance, temporary=temporary)
        soak.lasts |= {"up": 30.0, "snapshot restore": 8.0}
    soak.set_version(0)
    stack.callback(soak.remove)
    return soak


if __name__ == "__main__":
    sys.exit(main())
