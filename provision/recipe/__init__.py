"""Environment → steps: what turns a base into a machine, the same in every backend."""
