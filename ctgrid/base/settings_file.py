"""Settings from a file: YAML with a command's settings by name, or the record of an earlier run of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ctgrid.base.documents import yaml_of
from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.base.files import sha256_of
from ctgrid.base.plain_settings import by_any_name, plain_settings
from ctgrid.base.settings import Known

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
    """
    content = yaml_of(path, "a file of settings")
    if not isinstance(content, Mapping):
        raise CtgridError(f"{path}: settings are a mapping of names to values, such as steps: 20")
    if "argv" in content and "settings" in content:
        content = _of_record(content, path, command, by_any_name(cls))
    return plain_settings(cls, content, str(path))


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
