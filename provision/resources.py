"""Where things are: schemas/ and templates/, and the user's state, cache and configuration."""

from __future__ import annotations

import os
from pathlib import Path

NAME = "provision"
_PACKAGE = Path(__file__).parent


def configuration() -> Path:
    """The folder of the user's own configuration."""
    from platformdirs import user_config_path

    return user_config_path("provision")


def folder(name: str) -> Path:
    """The folder `schemas` or `templates`: next to the package in a checkout, inside it in a wheel."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def cache() -> Path:
    """The user's folder for what was made or found out on this host and may be thrown away."""
    import platformdirs

    given = os.environ.get("XDG_CACHE_HOME")
    return Path(given) / NAME if given else platformdirs.user_cache_path(NAME, appauthor=False)


def state() -> Path:
    """The user's folder for what must be remembered of environments; links to it are followed."""
    import platformdirs

    given = os.environ.get("PROVISION_STATE_DIR")
    return Path(os.path.realpath(given or platformdirs.user_state_path(NAME, appauthor=False)))
