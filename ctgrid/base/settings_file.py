"""Settings from a file: YAML with a command's settings by name, or the record of an earlier run of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, get_args, get_origin

from ctgrid.base.documents import yaml_of
from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.base.families import unknown
from ctgrid.base.files import sha256_of
from ctgrid.base.settings import Known, all_settings

_KINDS = {bool: "true or false", int: "a whole number", float: "a number", Path: "a path"}
_TEXT = "a text, in quotes if it looks like something else"
_EACH_TIME = ("overwrite", "resume")
"""What an earlier run was allowed is asked for anew."""

_taken: ContextVar[dict[str, str] | None] = ContextVar("taken", default=None)


def read_settings(path: Path, cls: type, command: str) -> dict[str, Any]:
    """Return the settings that a file holds, by name, as the dataclass takes them; relative paths stay as they are.

    Args:
        path: YAML, or a ``run.json``; of the latter's settings those of the command, but for leave to overwrite.
        cls: dataclass of the command's settings.
        command: its name, which a record must bear.

    Raises:
        CtgridError: where the file cannot be read, names a setting that there is not, holds a value of another type
            or out of range, or is the record of another command.
    """  # noqa: DOC501
    content = yaml_of(path, "a file of settings")
    if not isinstance(content, Mapping):
        raise CtgridError(f"{path}: settings are a mapping of names to values, such as steps: 20")
    settings = all_settings(cls)
    names = {key: known for known in settings.values() for key in (known.name, known.said.was) if key}
    if "argv" in content and "settings" in content:
        content = _of_record(content, path, command, names)
    found: dict[str, Any] = {}
    for key, value in content.items():
        known = names.get(str(key).replace("-", "_"))  # as options are written, too
        if known is None:
            raise unknown(key, "setting", settings, str(path))
        try:
            found[known.name] = _as_typed(known, value)
        except CtgridError as error:
            words = str(error)
            raise CtgridError(f"{path}: {words if words.startswith(known.name) else f'{key}: {words}'}") from error
    return found


@contextmanager
def taken_from(path: Path | None) -> Iterator[None]:
    """Let the records of what is run meanwhile say that its settings came from a file; None for no file."""
    facts = None if path is None else {"path": str(path), "sha256": sha256_of(path)}
    token = _taken.set(facts)
    try:
        yield
    finally:
        _taken.reset(token)


def settings_file() -> dict[str, str] | None:
    """Return path and SHA-256 of the file that settings come from just now, or None."""
    return _taken.get()


def _of_record(record: Mapping[str, Any], path: Path, command: str, names: Mapping[str, Known]) -> dict[str, Any]:
    """Return the settings of a record that are the command's; what it leaves open is said."""
    if record.get("command") != command:
        raise CtgridError(f"{path} is the record of ctgrid {record.get('command')}, not of ctgrid {command}")
    held = {"seed": record.get("seed")} if "seed" in names and not names["seed"].optional else {}
    groups = [record["settings"]] if isinstance(record["settings"], Mapping) else []
    for group in groups:  # settings of a part stand in a group of their own
        groups += [inner for inner in group.values() if isinstance(inner, Mapping)]
        held |= {key: value for key, value in group.items() if key in names and not isinstance(value, Mapping)}
    told = {names[key].name for key in held} | set(_EACH_TIME)
    left = sorted({known.name for known in names.values() if not known.optional} - told)
    if left:
        warnings.warn(
            f"{path} tells nothing of {', '.join(left)}: the defaults count, or what is typed",
            CtgridWarning,
            stacklevel=3,
        )
    return {key: value for key, value in held.items() if key not in _EACH_TIME and value is not None}


def _as_typed(known: Known, value: Any) -> Any:
    """Return a value of a file as the dataclass takes it."""
    if value is None:
        if known.optional:
            return None
        raise CtgridError(f"{known.name} needs a value")
    if known.said.read is not None:
        parts = value if isinstance(value, list) else [value]
        made = known.said.read(",".join(str(part) for part in parts))
    elif get_origin(known.kind) in (tuple, list):
        kind = get_args(known.kind)[0]
        made = tuple(_plain(known.name, kind, part) for part in (value if isinstance(value, list) else [value]))
    else:
        made = _plain(known.name, known.kind, value)
    known.check(made)
    return made


def _plain(name: str, kind: Any, value: Any) -> Any:
    """Return a value of a plain type; numbers such as ``1e-4`` are texts to YAML."""
    if kind is float and not isinstance(value, bool | list | dict):
        try:
            return float(value)
        except ValueError:
            pass
    elif kind in (bool, int) and type(value) is kind:
        return value
    elif kind not in (bool, int, float) and isinstance(value, str):
        return Path(value).expanduser() if kind is Path else value
    raise CtgridError(f"{name} is {_KINDS.get(kind, _TEXT)}, got {value!r}")
