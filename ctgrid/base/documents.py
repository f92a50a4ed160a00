"""JSON, YAML and text of a user's files: read with one boundary for all that can be wrong, written as valid UTF-8."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from ctgrid.base.causes import check_regular, reading
from ctgrid.base.errors import CtgridError

MOST_BYTES = 64 << 20
"""Of a document; none of those that ctgrid reads is a hundredth of it."""


def legible(text: str) -> str:
    r"""Return text that any program can read and any terminal print, from a file name of whatever bytes.

    Python holds bytes of a name that are not in the file system's encoding as surrogates, which are no text: bytes
    that make UTF-8 after all (where that encoding is ASCII) become it, others are written out as ``\xff``.

    Args:
        text: Such as a path.
    """
    if text.isascii():
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that no name holds
        return text.encode("utf-8", "backslashreplace").decode()


def name_of(text: str) -> str:
    """Return a legible name as Python holds it for the file system here, so that a file can bear it.

    Args:
        text: Such as a name that a record holds.
    """
    return text if text.isascii() else os.fsdecode(legible(text).encode("utf-8"))


def plain(value: Any) -> Any:
    """Turn paths, tuples, NumPy scalars and arrays into JSON values; NaN and infinities into text, text into UTF-8."""
    if isinstance(value, dict):
        return {legible(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return legible(str(value))


def as_json(value: Any, indent: int | None = None) -> str:
    """Return JSON that is valid UTF-8, whatever file names are in it.

    Args:
        value: Anything that :func:`plain` makes plain.
        indent: Spaces of each level; None puts all in one line.
    """
    return json.dumps(plain(value), indent=indent)


def text_of(path: str | os.PathLike[str], what: str = "text", remedy: str = "") -> str:
    """Return a document's text.

    Args:
        path: The file.
        what: What it should be, for messages.
        remedy: What to do where it is not.

    Raises:
        CtgridError: It cannot be read, is no regular file, is larger than any such document, or is no UTF-8 text.
    """  # noqa: DOC501
    path = Path(path)
    with reading(path, what, remedy):
        check_regular(path)
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise CtgridError(f"{path} is not {what}: it is larger than {MOST_BYTES >> 20} MiB")
        text = content.decode("utf-8-sig")
        if "\0" in text:
            raise ValueError("it holds NUL characters")
        return text


def json_of(path: str | os.PathLike[str], what: str = "JSON", remedy: str = "") -> Any:
    """Return what a JSON file holds.

    Args:
        path: The file.
        what: What it should be, for messages.
        remedy: What to do where it is not.

    Raises:
        CtgridError: As :func:`text_of`, or it is not JSON.
    """
    text = text_of(path, what, remedy)
    with reading(path, what, remedy):
        return json.loads(text)


def dict_of(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the object that a JSON file holds, empty where there is no such file or it is anything else.

    Args:
        path: The file, of which the caller can do without.
    """
    try:
        content = json_of(path)
    except CtgridError:
        return {}
    return content if isinstance(content, dict) else {}


def yaml_of(path: str | os.PathLike[str], what: str = "YAML", remedy: str = "") -> Any:
    """Return what a YAML file holds.

    Args:
        path: The file.
        what: What it should be, for messages.
        remedy: What to do where it is not.

    Raises:
        CtgridError: As :func:`text_of` and :func:`parsed_yaml`.
    """
    return parsed_yaml(text_of(path, what, remedy), path, what, remedy)


def parsed_yaml(text: str, where: str | os.PathLike[str], what: str = "valid YAML", remedy: str = "") -> Any:
    """Return what a YAML text holds.

    Args:
        text: The text.
        where: What to name in messages.
        what: What it should be.
        remedy: What to do where it is not.

    Raises:
        CtgridError: It is not YAML, holds too much, or its anchors multiply or repeat each other without end.
    """
    from ctgrid.base.bounded_yaml import load

    with reading(where, what, remedy):
        return load(text)
