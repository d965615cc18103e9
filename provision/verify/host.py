"""Testinfra's host on top of a target: the same in a container and in a VM."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host
from testinfra.modules.base import Module

from provision import guest_paths
from provision.verify.processes import Process, processes
from provision.verify.sockets import Listening, listening, wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provision.target import Target

STATE = guest_paths.STATE


class TargetBackend(BaseBackend):  # type: ignore[misc] # testinfra has no types
    """Runs testinfra's commands in the open shell of a target.

    Answers that are known already (`remember`) cost nothing; they hold until `forget`.
    """

    NAME = "provision"

    def __init__(self, target: Target, user: str) -> None:
        super().__init__(target.machine)
        self._encoding = "utf-8"
        self._target = target
        self._user = user
        self._known: dict[str, tuple[int, bytes]] = {}

    def remember(self, answers: Mapping[str, tuple[int, bytes]]) -> None:
        """Take exit code and stdout of commands as known."""
        self._known.update(answers)

    def forget(self) -> None:
        """Know nothing: something inside may have changed."""
        self._known.clear()

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        """Run a command as testinfra writes it: text for `sh`, and arguments to be quoted."""
        text = self.get_command(command, *args)
        if text in self._known:
            code, stdout = self._known[text]
            return self.result(code, text.encode(), stdout, b"")
        # Testinfra reads stat's English words, whatever the machine's language is.
        script = f"LC_ALL=C {text}" if text.startswith("stat ") else text
        output = self._target.run(script, user=self._user)
        return self.result(output.code, text.encode(), output.stdout, output.stderr)

    def decode(self, data: bytes) -> str:
        """Text of bytes; what is no UTF-8 stays readable and never raises."""
        return data.decode("utf-8", "backslashreplace")


class MachineHost(Host):  # type: ignore[misc] # testinfra has no types
    """A machine as testinfra sees it, with three things asked in our own way.

    `service` knows the services of the spec, which run under another manager in each
    backend; `socket` and `process` read /proc, so nothing has to be installed to be asked.
    """

    backend: TargetBackend

    def __init__(self, target: Target, user: str, services: frozenset[str]) -> None:
        super().__init__(TargetBackend(target, user))
        self.backend.set_host(self)
        self._services = services

    @cached_property
    def service(self) -> Callable[[str], Module]:
        """`host.service(name)`: one of the spec's, or else one that testinfra finds."""
        others = Host.__getattr__(self, "service")
        self.__dict__.pop("service", None)  # testinfra keeps its own there
        ours = type("SpecService", (SpecService,), {"_host": self})

        def service(name: str) -> Module:
            module: Module = ours(name) if name in self._services else others(name)
            return module

        return service

    @cached_property
    def socket(self) -> Callable[[str], Module]:
        """`host.socket("tcp://8080")`."""
        return type("ProcSocket", (ProcSocket,), {"_host": self})

    @cached_property
    def process(self) -> ProcProcess:
        """`host.process.get(comm="nginx", user="root")`, and `filter` for all of them."""
        module: ProcProcess = type("ProcProcess", (ProcProcess,), {"_host": self})()
        return module


class SpecService(Module):  # type: ignore[misc] # testinfra has no types
    """A service of the spec, by testinfra's names."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__()

    @property
    def state(self) -> str:
        """Running, starting, stopped or failed, in lower case."""
        return str(self.check_output(f"{STATE} %s", self.name)).strip()

    @property
    def exists(self) -> bool:
        """The machine has it."""
        return bool(self.run("test -d %s", f"{guest_paths.SERVICES}/{self.name}").rc == 0)

    @property
    def is_running(self) -> bool:
        """It runs now."""
        return self.state == "running"

    @property
    def is_enabled(self) -> bool:
        """It starts with the machine, as all services of a spec do."""
        return self.exists

    @property
    def is_masked(self) -> bool:
        """Never so."""
        return False

    def __repr__(self) -> str:
        return f"<service {self.name}>"


class ProcSocket(Module):  # type: ignore[misc] # testinfra has no types
    """A listening socket, found in /proc/net."""

    def __init__(self, socketspec: str) -> None:
        self.socketspec = socketspec
        super().__init__()

    @property
    def is_listening(self) -> bool:
        """Something listens there: on all addresses, or on the one that is named."""
        protocol, address, port = wanted(self.socketspec)
        return any(socket.takes(protocol, address, port) for socket in self._sockets())

    @classmethod
    def get_listening_sockets(cls) -> list[str]:
        """All of them, as `tcp://0.0.0.0:22`."""
        return [str(socket) for socket in cls._sockets()]

    @classmethod
    def _sockets(cls) -> tuple[Listening, ...]:
        return listening(cls._host)

    def __repr__(self) -> str:
        return f"<socket {self.socketspec}>"


class ProcProcess(Module):  # type: ignore[misc] # testinfra has no types
    """Processes by the attributes of `Process`, found in /proc."""

    def filter(self, **attributes: object) -> list[Process]:  # testinfra's own way of asking
        """Those with all of these attributes."""
        return [
            process
            for process in processes(self._host)
            if all(getattr(process, name) == value for name, value in attributes.items())
        ]

    def get(self, **attributes: object) -> Process:
        """The only process with these attributes.

        Raises:
            RuntimeError: there is none, or more than one.
        """
        matching = self.filter(**attributes)
        if len(matching) != 1:
            raise RuntimeError(f"{len(matching)} processes with {attributes}, expected one")
        return matching[0]

    def __repr__(self) -> str:
        return "<process>"
