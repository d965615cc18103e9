"""The secrets of a machine: where each comes from, who can read it, and who uses it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from provision.model import Secret
from provision.spec.paths import may_be_used, real_path
from provision.spec.problems import did_you_mean
from provision.spec.variables import ask_for_variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from provision.model import Service
    from provision.spec.scope import Scope
    from provision.spec.tree import Node
    from provision.spec.users import KnownUsers

MODE = 0o400


class KnownSecrets:
    """The secrets that a machine gets, and those who may name one.

    Args:
        declared: `secrets` of the spec.
        wanted: which of them the machine gets; all where it is None.
        scope: takes a name that is none of them.
    """

    def __init__(self, declared: Mapping[str, Node], wanted: Sequence[Node] | None, scope: Scope) -> None:
        self._scope = scope
        self._declared = declared
        self._nodes = declared
        if wanted is not None:
            names = self.named(wanted)
            self._nodes = {name: node for name, node in declared.items() if name in names}

    def named(self, nodes: Iterable[Node]) -> tuple[str, ...]:
        """The secrets that a list names; a problem for each unknown name."""
        secrets = []
        for node in nodes:
            if not isinstance(node.value, str):
                continue  # the schema has said so
            if node.value in self._nodes:
                secrets.append(node.value)
            elif node.value in self._declared:
                self._scope.problems.add(
                    f"the machine does not get the secret {node.value}", node, "put it into its list secrets"
                )
            else:
                hint = did_you_mean(node.value, self._declared) if self._declared else "declare it in secrets"
                self._scope.problems.add(f"there is no secret {node.value}", node, hint)
        return tuple(dict.fromkeys(secrets))

    def variables(self, nodes: Mapping[str, Node]) -> dict[str, str]:
        """Of the variables of a service or step, those that are `{secret: NAME}`, with NAME."""
        variables = {}
        for variable, node in nodes.items():
            reference = self._scope.fields(node).node("secret")
            if reference is not None and (names := self.named([reference])):
                variables[variable] = names[0]
        return variables

    def read(self, services: Sequence[Service], user: str, users: KnownUsers) -> tuple[Secret, ...]:
        """The secrets, each with its owner.

        Args:
            services: of the machine, which may name some.
            user: who works in it.
            users: who may own one.
        """
        return tuple(self._secret(name, node, services, user, users) for name, node in self._nodes.items())

    def _secret(
        self, name: str, node: Node, services: Sequence[Service], user: str, users: KnownUsers
    ) -> Secret:
        fields = self._scope.fields(node)
        owner = fields.text("owner") or _needs_it(name, services, user)
        if (owner_node := fields.node("owner")) is not None:
            users.refuse_unknown(owner, owner_node)
        source = fields.node("file")
        path = None
        if source is not None and isinstance(source.value, str):
            path = self._path(source, source.value)
        variable = fields.node("env")
        if variable is not None and isinstance(variable.value, str):
            ask_for_variable(f"the secret {name}", variable.value, variable, self._scope.demands)
        mode = fields.data("mode")
        try:
            bits = int(mode, 8) if isinstance(mode, str) else MODE
        except ValueError:
            bits = MODE  # the schema has said so
        return Secret(
            name=name,
            variable=fields.text("env") or None,
            file=path,
            written=fields.text("env") or fields.text("file"),
            owner=owner,
            mode=bits,
            origin=(source or fields.node("env") or node).origin,
        )

    def _path(self, node: Node, text: str) -> Path:
        """Where a secret's file is, or will be: only who delivers it must find it there."""
        path = real_path(Path(node.file).absolute().parent / text)
        scope = self._scope
        may_be_used(path, f"the file {text}", node, "the secret", scope.project, scope.demands)
        return path


def _needs_it(name: str, services: Sequence[Service], user: str) -> str:
    """The user of the services that name a secret; else who works in the machine, or runs all in it."""
    naming = {service.user for service in services if name in service.secret_env.values()}
    running = {service.user for service in services}
    if len(naming) == 1:
        return naming.pop()
    if user == "root" and len(running) == 1:
        return running.pop()
    return user
