"""One YAML spec, the same environment as containers or virtual machines."""

__version__ = "0.1.0"
