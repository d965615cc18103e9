"""Answers as pages that people show each other: one file each, and drawings of an environment."""
