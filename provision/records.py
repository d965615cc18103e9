"""Persisted records: versioned JSON of typed dataclasses, read by one loader."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import types
import typing
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, ClassVar, Protocol, TypeVar, cast

from provision.errors import EnvironmentFailed

VERSION = 1
GZIP = b"\x1f\x8b"
GZIP_FORMAT = 31  # as `zlib` numbers it; `gzip` takes longer to import than a record to read


class Record(Protocol):
    """A frozen dataclass of strings, bytes, numbers, booleans, paths, tuples, mappings and such dataclasses.

    A value of type `object` is what JSON can say: a sequence in it is read as a list.
    What else has to hold (a name that must not be a path) its `__post_init__` sees to, with ValueError.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]


R = TypeVar("R", bound=Record)


class DamagedRecord(EnvironmentFailed):
    """A record that cannot be read: damaged, of another version, or not ours to read."""

    def __init__(self, path: Path, reason: str, hint: str = "") -> None:
        super().__init__(f"the record {path} cannot be used: {reason}", hint=hint or f"remove {path}")
        self.path = path
        self.reason = reason


def load(path: Path, kind: type[R]) -> R | None:
    """The record in a file, compressed or not; None where there is none.

    Raises:
        DamagedRecord: it is not what `kind` says, or of another version.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamagedRecord(path, error.strerror or str(error)) from error
    try:
        content = json.loads(zlib.decompress(text, GZIP_FORMAT) if text.startswith(GZIP) else text)
        if not isinstance(content, dict):
            raise TypeError("it is not a map")  # noqa: TRY301 - one place says what is wrong
        version = content.pop("version", None)
        if version != VERSION:
            raise ValueError(f"it has version {version}, and this provision reads {VERSION}")  # noqa: TRY301
        return cast("R", _read(kind, content, "it"))
    except RecursionError as error:
        raise DamagedRecord(path, "it is nested too deep") from error
    except (ValueError, TypeError, zlib.error) as error:
        raise DamagedRecord(path, str(error).splitlines()[0]) from error


def save(path: Path, record: Record) -> None:
    """Write a record, whole or not at all; maps keep their order, which a rendering may show."""
    content = {"version": VERSION, **dataclasses.asdict(cast("Any", record))}
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    beside.write_text(json.dumps(content, indent=2, default=_plain) + "\n")
    os.replace(beside, path)  # noqa: PTH105 - the atomic one


def _plain(value: object) -> str:
    """A value that JSON has no word for."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"a record cannot hold {type(value).__name__}")


def require_name(value: str, what: str) -> None:
    """Raise ValueError where a recorded name is not one part of a path."""
    if not value or value in (".", "..") or "/" in value or "\0" in value:
        raise ValueError(f"{what} {value!r} is not a name")


# What JSON holds as text, and the names that a dataclass may have imported for its types alone.
_OF_TEXT: Mapping[object, Any] = {
    Path: Path,
    PurePosixPath: PurePosixPath,
    bytes: lambda text: base64.b64decode(text, validate=True),
}
_NAMES = {"Mapping": Mapping, "Path": Path, "PurePosixPath": PurePosixPath}


def _read(kind: Any, value: object, where: str) -> object:
    """A value of JSON as one of this type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _read_fields(kind, value, where)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _read(next(each for each in arguments if each is not type(None)), value, where)
    if origin is typing.Literal:
        if value in arguments:
            return value
    elif origin is tuple and arguments[1:] != (...,):
        if isinstance(value, list) and len(value) == len(arguments):
            return tuple(
                _read(argument, each, f"{where}[{at}]")
                for at, (argument, each) in enumerate(zip(arguments, value, strict=True))
            )
    elif origin is tuple:
        if isinstance(value, list):
            return tuple(_read(arguments[0], each, f"{where}[{at}]") for at, each in enumerate(value))
    elif origin is Mapping:
        if isinstance(value, dict):
            return {key: _read(arguments[1], each, f"{where}.{key}") for key, each in value.items()}
    elif isinstance(value, str) and kind in _OF_TEXT:
        return _OF_TEXT[kind](value)
    elif type(value) is kind or kind is object or (kind is float and type(value) is int):
        return value
    raise TypeError(f"{where} is not {_word(kind)}")


def _read_fields(kind: Any, value: object, where: str) -> object:
    if not isinstance(value, dict):
        raise TypeError(f"{where} is not a map")
    hints = typing.get_type_hints(kind, localns=_NAMES)
    unknown = value.keys() - {each.name for each in dataclasses.fields(kind)}
    if unknown:
        raise ValueError(f"{where} has an unknown {min(unknown)}")
    for each in dataclasses.fields(kind):
        needed = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        if needed and each.name not in value:
            raise ValueError(f"{where} lacks {each.name}")
    prefix = "" if where == "it" else f"{where}."
    return kind(**{name: _read(hints[name], each, f"{prefix}{name}") for name, each in value.items()})


def _word(kind: Any) -> str:
    return str(getattr(kind, "__name__", kind))
