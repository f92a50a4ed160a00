"""What records may say of files, and outputs of patients: names and paths often hold a patient's name.

Two switches, set by ``ctgrid --no-paths`` and ``ctgrid --strip`` or by the environment, so that worker processes have
them too.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import full_suffix

NO_PATHS, STRIP = "CTGRID_NO_PATHS", "CTGRID_STRIP"
"""Environment variables: records without names and paths; outputs without their source's header texts or study."""

_OFF = ("", "0", "no", "false")
_DIGITS = 12
_KEY_BYTES = 32
_NAMED = ("path", "source", "file", "name", "input", "inputs", "out", "volume", "argv", "working_folder", "metadata")
_SHORTEST, _LONGEST = 3, 9  # characters of a name, of a suffix
_ALIAS = r"file-[0-9a-f]{12}"
_OURS = ("command", "status", "kind", "protocol", "method", "format", "mode", "orientation", "python", "platform")
_PATH = re.compile(r"(?<![\w.])(?:~|\.{1,2}|[A-Za-z]:)?[/\\][^\s'\",;:()\[\]{}<>|]+")


def hides() -> bool:
    """Tell whether records shall hold no names and paths."""
    return os.environ.get(NO_PATHS, "").strip().lower() not in _OFF


def strips() -> bool:
    """Tell whether outputs shall keep no texts of their source's header, and no patient or study."""
    return os.environ.get(STRIP, "").strip().lower() not in _OFF


def alias(name: str) -> str:
    """Return what stands for a name or path: the same for the same, and of no use to who lacks the key.

    The key is this user's alone, ``~/.ctgrid/alias.key``, made here where there is none: a plain hash of a patient's
    name could be found by trying names.

    Args:
        name: Of a file, or its path; its last part's suffix stays.

    Raises:
        CtgridError: The key cannot be made or read.
    """
    if re.fullmatch(_ALIAS + r"(\.\w+)*", name):  # it stands for one already
        return name
    digest = hmac.new(_key(), name.encode("utf-8", "surrogateescape"), "sha256").hexdigest()
    suffix = full_suffix(name)
    plain = suffix[1:].replace(".", "").isalnum() and len(suffix) <= _LONGEST
    return f"file-{digest[:_DIGITS]}{suffix if plain else ''}"


def without_paths(value: Any, *known: str) -> Any:
    """Return JSON values in which every name and path of a file has become its :func:`alias`.

    Names are those under keys that name files, with their folders' and stems; they are replaced wherever they stand,
    in messages too, and so is whatever else looks like a path. What was typed and where goes altogether.

    Args:
        value: Of a record.
        known: Further paths.
    """
    names = sorted({name for text in (*known, *_texts(value)) for name in _parts(text)}, key=len, reverse=True)
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names)) if names else None

    def clean(text: str) -> str:
        found = text if pattern is None else pattern.sub(lambda match: alias(match[0]), text)
        return _PATH.sub(lambda match: alias(match[0]), found)

    def kept(key: str, item: Any) -> Any:
        return item if key in _OURS and isinstance(item, str) else walk(item)

    def name_of(key: str) -> str:
        return clean(key) if "." in key or "/" in key else key

    def walk(item: Any) -> Any:
        if isinstance(item, dict):
            gone: dict[str, Any] = {"argv": [], "working_folder": None}
            return {name_of(key): gone[key] if key in gone else kept(key, inner) for key, inner in item.items()}
        if isinstance(item, list | tuple):
            return [walk(inner) for inner in item]
        return clean(item) if isinstance(item, str) else item

    return walk(value)


def aliases_for_paths(value: Any) -> Any:
    """Return a record's settings with the alias of every :class:`~pathlib.Path` in them, however it looks.

    Args:
        value: Of any nesting.
    """
    if isinstance(value, Path):
        return alias(str(value))
    if isinstance(value, dict):
        return {key: aliases_for_paths(item) for key, item in value.items()}
    return [aliases_for_paths(item) for item in value] if isinstance(value, list | tuple) else value


def _texts(value: Any, named: bool = False) -> Iterator[str]:
    """Yield the texts under keys that name files."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, key in _NAMED)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, named)
    elif named and isinstance(value, str) and not value.startswith("-"):
        yield value


def _parts(text: str) -> Iterator[str]:
    """Yield a path, its folders' names, its own, and that without suffix; names of commands and options are none."""
    path = Path(text)
    if re.match(_ALIAS, text):
        return
    if "/" not in text and "\\" not in text and not full_suffix(text):
        return
    stem = path.name[: len(path.name) - len(full_suffix(path))]
    for part in (text, path.name, stem, *path.parts):
        if len(part.strip("/.~")) >= _SHORTEST:
            yield part


def _key() -> bytes:
    path = Path.home() / ".ctgrid" / "alias.key"
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            _make_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise CtgridError(f"cannot use the key {path} of --no-paths: {error.strerror or error}") from error
    if len(key) < _KEY_BYTES:
        raise CtgridError(
            f"the key {path} of --no-paths is damaged; remove it for a new one, under which names get other aliases"
        )
    return key


def _make_key(path: Path) -> None:
    """Make a key that is whole when it has its name; where another process was quicker, its key stays."""
    new = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(secrets.token_bytes(_KEY_BYTES))
        try:
            os.link(new, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            new.replace(path)
    finally:
        new.unlink(missing_ok=True)
