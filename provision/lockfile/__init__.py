"""NAME.lock.yaml: the versions of everything that a spec's machines are made of."""

from provision.lockfile.freeze import architecture, called, freeze, misfits, pinned_base
from provision.lockfile.model import BaseLock, Installed, Kernel, Lock, MachineLock, fingerprint
from provision.lockfile.needs import asks_of, base_key
from provision.lockfile.text import load, save, schema
from provision.spec.paths import lock_of as path_of

__all__ = [
    "BaseLock",
    "Installed",
    "Kernel",
    "Lock",
    "MachineLock",
    "architecture",
    "asks_of",
    "base_key",
    "called",
    "fingerprint",
    "freeze",
    "load",
    "misfits",
    "path_of",
    "pinned_base",
    "save",
    "schema",
]
