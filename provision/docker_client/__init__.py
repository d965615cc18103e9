"""The one client of Docker: nothing else starts `docker`, or talks to its engine.

`queries` reads what the engine has, as typed values. `commands` changes it, builds, and runs commands
in containers. Both raise the same errors for an engine that does not answer (`refusal`). Queries and
short commands go over the engine's socket where it is a local one (`api`), and through the command
line everywhere else: contexts, DOCKER_HOST with ssh:// or tcp://, and TLS work as they do for `docker`.
"""
