"""A root file system becomes a disk or a box."""
