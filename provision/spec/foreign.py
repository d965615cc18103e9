"""What other tools write, in the words of a spec: their keys, and their forms of a value."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Part = tuple[str, str, bool]

LONGEST = 120  # characters of a value that a hint writes out
SPEC = "spec"  # where the keys of a spec and of a machine stand in the table


@cache
def _keys() -> Mapping[str, Mapping[str, str]]:
    """The table: by place and foreign key, our key or a sentence."""
    import yaml  # only what is wrong has a hint

    path = Path(__file__).with_name("foreign_keys.yaml")
    table: Mapping[str, Mapping[str, str]] = yaml.safe_load(path.read_text("utf-8"))
    return table


def foreign_key(place: str, key: str) -> str:
    """What another tool's key is here: our key, or a sentence; empty if no known tool has it."""
    return _keys().get(place, {}).get(key, "")


def key_hint(place: str, key: str, value: object) -> str:
    """How a key that another tool has is written in a spec; empty where no tool is known to have it.

    Args:
        place: the key of the spec in whose maps it stands, or `spec`.
        key: as it is written.
        value: what it has, which the hint takes over where that is short.
    """
    ours = foreign_key(place, key)
    if " " in ours:
        return ours
    if not ours:
        return ""
    form = value_hint(ours, value) or (_if_short(ours, value) if ours in _FORMS else "")
    return form or f"{key} is `{ours}` here"


def value_hint(key: str, value: object) -> str:
    """How to write the value of one of our keys that has another tool's form; empty if not known."""
    if key == "volumes":
        return _volumes_hint(value)
    if key == "socket":
        return _if_short("port", _socket(value))
    change = _FORMS.get(key)
    changed = change(value) if change else None
    return "" if changed is None else _if_short(key, changed)


def _volumes_hint(value: object) -> str:
    """Compose's volumes: folders of the host among them are mounts here."""
    parts = _parts(value)
    if parts is None:
        return ""
    volumes = {source: path for source, path, _ in parts if not _is_folder(source)}
    mounts = _as_mounts([part for part in parts if _is_folder(part[0])])
    hints = [_if_short("volumes", volumes), _if_short("mounts", mounts)]
    return " and ".join(hint for hint in hints if hint).replace(" and write ", " and ")


def _if_short(key: str, value: object) -> str:
    """A hint to write this, which can be pasted; empty where it would be long, or says nothing."""
    if value in (None, "", [], {}):
        return ""
    written = flow(key, value)
    return f"write `{written}`" if len(written) <= LONGEST and "\n" not in written else ""


def flow(key: str, value: object) -> str:
    """A key with its value as one line of YAML."""
    import yaml

    dumped = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    scalar = dumped.removesuffix("...\n")  # the document's end, which follows a scalar
    return f"{key}: {scalar.strip()}"


def _pairs(value: object, separator: str) -> dict[str, str] | None:
    """A list of `NAME=VALUE` as a map; None where it is no such list."""
    if not isinstance(value, list) or not value:
        return None
    pairs = [str(item).partition(separator) for item in value if isinstance(item, str)]
    if len(pairs) != len(value) or not all(name and sign for name, sign, _ in pairs):
        return None
    return {name: text for name, _, text in pairs}


def _env(value: object) -> object:
    """A list of pairs, or a map some of whose values have to be quoted here."""
    if isinstance(value, dict) and any(isinstance(each, bool | float) for each in value.values()):
        return {name: _as_text(each) for name, each in value.items()}
    return _pairs(value, "=")


def _as_text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, float) else value


def _sysctls(value: object) -> object:
    return _pairs(value, "=")


def _url(value: object) -> object:
    if not isinstance(value, str) or "://" in value or not re.match(r"[\w.-]+(:\d+)?(/|$)", value):
        return None
    return f"http://{value}"


def _hosts(value: object) -> object:
    return _pairs(value, ":") or _pairs(value, "=")


def _packages(value: object) -> object:
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return list(value) if isinstance(value, dict) else None


def _names(value: object) -> object:
    """A name alone, or names with more about each, as a list of names."""
    if isinstance(value, dict):
        return list(value)
    return [value] if isinstance(value, str | int) and not isinstance(value, bool) else None


def _ports(value: object) -> object:
    if isinstance(value, dict):
        plain = [isinstance(guest, int | str) for guest in value.values()]
        return [f"{host}:{guest}" for host, guest in value.items()] if all(plain) else None
    return [value] if isinstance(value, str | int) and not isinstance(value, bool) else value


def _items(value: object) -> object:
    """One step, or a map of scripts by name, as a list."""
    if isinstance(value, dict) and "script" in value:
        return [value]
    if isinstance(value, dict):
        texts = [isinstance(text, str) for text in value.values()]
        return [{"name": name, "script": text} for name, text in value.items()] if all(texts) else None
    return [value] if isinstance(value, str) else None


def _words(value: object) -> object:
    """A list of words as one string."""
    if not isinstance(value, list) or not all(isinstance(word, str | int) for word in value):
        return None
    words = [str(word) for word in value]
    if words[:2] == ["CMD-SHELL", *words[1:2]] and len(words) == 2:
        return words[1]
    return shlex.join(words[1:] if words[0] == "CMD" else words) if words else None


def _restart(value: object) -> object:
    if value in (False, "no"):
        return "never"
    text = str(value).partition(":")[0]
    return {"unless-stopped": "always", "on-failure": "on-failure"}.get(text)


def _size(value: object) -> object:
    """A size as Compose and QEMU write it, whose units are powers of 1024."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([mMgG])[bB]?", value) if isinstance(value, str) else None
    return f"{match[1]}{match[2].upper()}iB" if match else None


def _socket(value: object) -> object:
    """What testinfra and goss call a socket is a port, unless it is a path."""
    match = re.fullmatch(r"(?:(?:tcp|udp)6?:(?://)?)?(?:.*:)?(\d+)", str(value))
    return int(match[1]) if match and not isinstance(value, bool) else None


def _version(_: object) -> object:
    return 1


def _limit(value: object) -> object:
    """Compose's soft and hard limit; one is enough, the hard one bounds both."""
    return value.get("hard", value.get("soft")) if isinstance(value, dict) else None


def _groups(value: object) -> object:
    """Those of a user are a list, those of a machine a map."""
    return [value] if isinstance(value, str) else _by_name(value)


def _ready(value: object) -> object:
    """A URL, a port or a command alone."""
    if isinstance(value, int) and not isinstance(value, bool):
        return {"tcp": value}
    if isinstance(value, str):
        return {"http": value} if value.startswith(("http://", "https://")) else {"command": value}
    return None


def _limits(value: object) -> object:
    if not isinstance(value, dict):
        return None
    return {name: _limit(limit) or limit for name, limit in value.items()}


def _by_name(value: object) -> object:
    """Names as a list: each with nothing more about it."""
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return {name: {} for name in value}
    return None


def _workspace(value: object) -> object:
    if not isinstance(value, str):
        return None
    source, _, path = value.partition(":")
    return {"source": source} | ({"path": path.partition(":")[0]} if path.startswith("/") else {})


def _is_folder(source: str) -> bool:
    """Whether Compose reads it as a path of the host, not as the name of a volume."""
    return source.startswith((".", "/", "~"))


def _parts(value: object) -> list[Part] | None:
    """Compose's mounts: for each its source, the path inside, and whether it is read-only."""
    if not isinstance(value, list) or not value:
        return None
    parts = []
    for item in value:
        if isinstance(item, dict):
            source, path = item.get("source", item.get("src")), item.get("target", item.get("path"))
            read_only = item.get("read_only") is True
        elif isinstance(item, str):
            source, _, rest = item.partition(":")
            path, _, options = rest.partition(":")
            read_only = "ro" in options.split(",")
        else:
            return None
        if not isinstance(source, str) or not isinstance(path, str) or not source or not path.startswith("/"):
            return None
        parts.append((source, path, read_only))
    return parts


def _mounts(value: object) -> dict[str, object] | None:
    parts = _parts(value)
    return None if parts is None else _as_mounts(parts)


def _as_mounts(parts: Sequence[Part]) -> dict[str, object]:
    return {path: {"source": source} | ({"read_only": True} if ro else {}) for source, path, ro in parts}


_FORMS: Mapping[str, Callable[[object], object]] = {
    "aliases": _names,
    "command": _words,
    "core": _limit,
    "disk": _size,
    "env": _env,
    "extends": _names,
    "groups": _groups,
    "hosts": _hosts,
    "http": _url,
    "limits": _limits,
    "memlock": _limit,
    "memory": _size,
    "mounts": _mounts,
    "needs": _names,
    "nofile": _limit,
    "nproc": _limit,
    "packages": _packages,
    "ports": _ports,
    "ready": _ready,
    "requires": _names,
    "restart": _restart,
    "run": _items,
    "runtime_dirs": _names,
    "script": _words,
    "setup": _items,
    "shm_size": _size,
    "stack": _limit,
    "sysctls": _sysctls,
    "users": _by_name,
    "version": _version,
    "workspace": _workspace,
}
