"""One short module a distribution: BASES, ALIASES, and its ARCHIVE where it can be made."""
