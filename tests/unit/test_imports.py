"""The law of imports: who may know whom in provision/, read from the source."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parent.parent.parent / "provision"

# From the top of the house to its ground: a room imports from its own floor and from those below.
FLOORS = (
    {"__main__"},
    {"cli"},
    {"aftermath", "selection", "comparison", "drift", "matrix", "listing", "locking", "measure", "page"}
    | {"jobs", "shards", "garbage", "outdated"},
    {"engine", "sharing"},
    {"backends", "inventory", "verify", "installed", "lockfile"},
    {"applied", "attach", "copying", "lent", "recipe", "relay", "rendered", "rendering"}
    | {"spec", "sshd", "state", "forwarding", "handover"},
    {"bases"},
    {"oci", "docker_client", "records", "runtime", "trust", "leftovers", "ssh_address"},
    {"target", "model", "errors", "fetch_errors", "files", "lock", "process", "progress", "resources"}
    | {"guest_paths", "secrets", "confined", "walls", "hints", "registry", "memo", "fetching", "changes"}
    | {"quick_dataclasses", "log", "log_listener"},
)
STRANGERS = ({"backends", "verify"}, {"backends", "inventory"}, {"inventory", "verify"})

# What only some rooms may import from outside, whoever else might find it handy.
KEPT = {
    "subprocess": {"process"},
    "logging": {"log", "log_listener"},  # slow: only where somebody listens
    "pty": {"process"},
    "asyncssh": {"sshd"},
    "multiprocessing": {"process"},
    "testinfra": {"verify"},
    "pytest": {"verify"},
    "_pytest": {"verify"},
    "docker": {"docker_client"},  # its SDK
    "requests": {"oci"},
    "backports": {"oci"},
    "vagrant": {"backends"},
    "jsonschema": {"spec", "lockfile"},
    "click": {"__main__", "cli"},
    "rich": {"cli", "progress"},
}
SPEAKERS = {"__main__", "cli", "progress"}
ENDERS = {"__main__", "cli"}


@dataclass(frozen=True, kw_only=True)
class Import:
    """An import statement: who, what, where; `typing` where only types are wanted."""

    importer: str
    imported: str
    line: int
    typing: bool

    def __str__(self) -> str:
        return f"{self.importer} (line {self.line}) imports {self.imported}"


def module_name(path: Path) -> str:
    words = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(words[:-1] if words[-1] == "__init__" else words)


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in SOURCES.items()}


def room(module: str) -> str:
    """The room of a module of ours; nothing of the package itself, which holds the version."""
    return ([*module.split("."), ""])[1]


def imports(name: str, tree: ast.AST, *, typing: bool = False) -> Iterator[Import]:
    """Every import of a module, late ones too; each name of `from` that is a module, as one."""
    for node in ast.iter_child_nodes(tree):
        for_types = typing or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} (line {node.lineno}): imports are absolute"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [each for each in inner if each in SOURCES]
            found = modules if len(modules) == len(inner) else [*modules, str(node.module)]
        else:
            yield from imports(name, node, typing=for_types)
            continue
        for imported in found:
            yield Import(importer=name, imported=imported, line=node.lineno, typing=typing)


ALL = [found for name, tree in TREES.items() for found in imports(name, tree)]
OURS = [each for each in ALL if each.imported.split(".")[0] == "provision"]


def floor(module: str) -> int:
    return next(n for n, rooms in enumerate(FLOORS) if room(module) in rooms)


def owner(module: str, parent: str) -> str:
    """Which child of a folder of equals a module belongs to; nothing for what they share."""
    inner = module.removeprefix(parent + ".")
    child = inner.split(".")[0]
    return child if inner != module and f"{parent}.{child}" in SOURCES else ""


def test_every_module_has_a_room() -> None:
    assert {room(name) for name in SOURCES} - {""} == set().union(*FLOORS)


def test_imports_go_downwards_only() -> None:
    assert OURS
    assert [str(e) for e in OURS if room(e.imported) and floor(e.imported) < floor(e.importer)] == []


def test_backends_and_checks_are_strangers() -> None:
    met = [
        str(each)
        for each in OURS
        for strangers in STRANGERS
        if {room(each.importer), room(each.imported)} == strangers
    ]
    assert met == []


@pytest.mark.parametrize(
    ("parent", "shared"),
    [
        (
            "provision.backends",
            {
                "base",
                "build_errors",
                "build_lines",
                "host_faults",
                "build_problems",
                "causes",
                "container_entry",
                "container_image",
                "container_offline",
                "container_labels",
                "container_logs",
                "in_place",
                "journal",
                "locked",
                "log_view",
                "machines",
                "offline",
                "order",
                "ports",
                "readiness",
                "watching",
                "volumes",
                "requirements",
                "snapshots",
                "starting",
                "starts",
                "unmet",
            },
        ),
        ("provision.bases.distributions", {"debian"}),  # the archives that Ubuntu has too
    ],
)
def test_equals_do_not_know_each_other(parent: str, shared: set[str]) -> None:
    known = [
        str(each)
        for each in OURS
        if each.importer.startswith(parent)
        and owner(each.imported, parent) not in {"", owner(each.importer, parent), *shared}
    ]
    assert known == []


VM = "provision.backends.vm"
# Below each room of the VM backend: what it may know of the others. The modules beside them are "".
VM_ROOMS = {
    "": {"guest"},  # a driver is found by its name, and known by its contract alone
    "guest": {""},
    "image": {""},
    "qemu": {"", "guest", "image"},
    "vagrant": {"", "guest", "image"},
}


def vm_room(module: str) -> str:
    """The room of a module of the VM backend."""
    inner = module.removeprefix(f"{VM}.").split(".")
    return inner[0] if inner[0] in VM_ROOMS else ""


def test_each_room_of_the_vm_backend_knows_only_those_below() -> None:
    within = [each for each in OURS if each.importer.startswith(VM) and each.imported.startswith(f"{VM}.")]
    assert {vm_room(each.importer) for each in within} == set(VM_ROOMS)
    strayed = [
        str(each)
        for each in within
        if not each.typing
        and vm_room(each.imported) not in {vm_room(each.importer), *VM_ROOMS[vm_room(each.importer)]}
    ]
    assert strayed == []


def test_the_modules_of_the_vm_backend_form_no_circle() -> None:
    above: dict[str, set[str]] = {}
    for each in OURS:
        if each.importer.startswith(VM) and each.imported.startswith(f"{VM}.") and not each.typing:
            above.setdefault(each.importer, set()).add(each.imported)
    TopologicalSorter(above).prepare()


# What reaches the host, an engine or a guest: a module that decides is given what these have found.
HANDS = {"process", "progress", "state", "records", "runtime", "confined", "files", "engine", "guest"}


@pytest.mark.parametrize("name", [name for name in SOURCES if name.endswith(".decide")])
def test_what_decides_has_no_hands(name: str) -> None:
    """A plan is a pure function: only types come from what observes and acts."""
    used = [each for each in ALL if each.importer == name and not each.typing]
    modules = {each.imported.split(".")[-1] for each in used} | {
        word for each in used for word in each.imported.split(".")
    }
    assert modules & {*HANDS, "apply", "observe", "os", "pathlib", "subprocess", "socket", "time"} == set()


@pytest.mark.parametrize("form", ["docker", "swarm", "vm"])
def test_a_plan_reaches_nothing_that_changes(form: str) -> None:
    """No module that `plan` is made by knows the one that carries it out."""
    folder = f"provision.backends.{form}"
    assert {f"{folder}.{name}" for name in ("observe", "decide", "apply", "planning")} <= set(SOURCES)
    above: dict[str, set[str]] = {}
    for each in OURS:
        if not each.typing:
            above.setdefault(each.importer, set()).add(each.imported)
    reached, found = set(), [f"{folder}.planning"]
    while found:
        module = found.pop()
        reached.add(module)
        found += above.get(module, set()) - reached
    assert not reached & {f"{folder}.apply", f"{folder}.shutdown", f"{folder}.removal", f"{folder}.backend"}


def test_rooms_form_no_circle() -> None:
    above: dict[str, set[str]] = {}
    for each in OURS:
        if room(each.imported) and room(each.imported) != room(each.importer) and not each.typing:
            above.setdefault(room(each.importer), set()).add(room(each.imported))
    TopologicalSorter(above).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("library", KEPT)
def test_a_library_stays_in_its_rooms(library: str) -> None:
    outside = [
        str(each)
        for each in ALL
        if each.imported.split(".")[0] == library
        and room(each.importer) not in KEPT[library]
        and not each.typing
    ]
    assert outside == []


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def begins_with_docker(node: ast.AST) -> bool:
    """Whether these are the words of a command, or a call's arguments, that begin with `docker`."""
    words = node.elts if isinstance(node, ast.List | ast.Tuple) else getattr(node, "args", [])
    first = words[0] if isinstance(words, list) and words else None
    return isinstance(first, ast.Constant) and first.value == "docker"


def test_only_the_client_of_docker_starts_docker() -> None:
    others = [
        f"{name} (line {node.lineno}) says {ast.unparse(node)}"
        for name, tree in TREES.items()
        if room(name) != "docker_client"
        for node in ast.walk(tree)
        if isinstance(node, ast.List | ast.Tuple | ast.Call) and begins_with_docker(node)
    ]
    assert others == []


# Which backend is taken by default, and the folder of templates that boxes are made of.
NAMES_OF_BACKENDS = {"provision.registry", "provision.bases.scripts", "provision.bases.packing"}


BACKENDS = {"docker", "swarm", "vm"}


def test_no_module_outside_a_backend_spells_its_name() -> None:
    """So that what holds for one holds for any, one of another package too."""
    spelled = [
        f"{name} (line {node.lineno}) says {node.value!r}"
        for name, tree in TREES.items()
        if not name.startswith(
            ("provision.backends.docker", "provision.backends.swarm", "provision.backends.vm")
        )
        and name not in NAMES_OF_BACKENDS
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and node.value in {"docker", "swarm", "vm"}
        and room(name) != "docker_client"
    ]
    assert spelled == []


@pytest.mark.parametrize(
    ("words", "rooms"),
    [
        ({"print", "click.echo", "sys.stdout.write", "sys.stderr.write"}, SPEAKERS),
        ({"sys.exit", "exit", "quit", "os._exit"}, ENDERS),
        ({"os.system", "os.popen", "os.execvp", "os.execv", "os.fork", "os.posix_spawn"}, {"process"}),
        ({"eval", "exec"}, set()),
    ],
)
def test_only_some_rooms_say_these_words(words: set[str], rooms: set[str]) -> None:
    said = [
        f"{name} (line {call.lineno}) says {ast.unparse(call.func)}"
        for name, tree in TREES.items()
        for call in calls(tree)
        if ast.unparse(call.func) in words and room(name) not in rooms
    ]
    assert said == []
