"""What scripts/host-setup accepts is what the product needs."""

from __future__ import annotations

import re

from provision.backends.docker.doctor import OLDEST_ENGINE
from tests.conftest import ROOT


def test_the_oldest_engine_is_the_products_own() -> None:
    text = (ROOT / "scripts" / "host-setup").read_text()
    assert re.findall(r"^OLDEST_ENGINE=(\d+)", text, re.MULTILINE) == [str(OLDEST_ENGINE)]
