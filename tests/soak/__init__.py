"""Commands, machines and engines are killed at random moments; after each, all must be well or be mended."""
