"""Settings from plain values, as YAML and JSON hold them: of the types and in the ranges of a dataclass, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from ctgrid.base.errors import CtgridError
from ctgrid.base.families import unknown
from ctgrid.base.settings import Known, all_settings

_KINDS = {bool: "true or false", int: "a whole number", float: "a number", Path: "a path"}
_TEXT = "a text, in quotes if it looks like something else"


def plain_settings(cls: type, values: Mapping[Any, Any], where: str) -> dict[str, Any]:
    """Return settings by name as the dataclass takes them.

    Args:
        cls: the dataclass.
        values: by name, as it is or was, or as options are written.
        where: what to name in errors.

    Raises:
        CtgridError: for a name that there is not, or a value of another type or out of range.
    """  # noqa: DOC501
    names, found = by_any_name(cls), {}
    for key, value in values.items():
        known = names.get(str(key).replace("-", "_"))
        if known is None:
            raise unknown(key, "setting", all_settings(cls), where)
        try:
            found[known.name] = _as_typed(known, value)
        except CtgridError as error:
            words = str(error)
            raise CtgridError(f"{where}: {words if words.startswith(known.name) else f'{key}: {words}'}") from error
    return found


def by_any_name(cls: type) -> dict[str, Known]:
    """Return a dataclass's settings by the names that they have and had."""
    return {key: known for known in all_settings(cls).values() for key in (known.name, known.said.was) if key}


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
