"""The list of the volumes in a folder: what they were made with, so that a long run can be taken up again."""

from __future__ import annotations

import errno
import json
import os
import zlib
from pathlib import Path
from typing import Any

from ctgrid.base.documents import as_json, name_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.base.links import open_record
from ctgrid.base.locks import lock
from ctgrid.base.privacy import alias, hides, without_paths

Entry = dict[str, Any]

CHECK = "crc32"
"""Key of a line's check sum: of a line that is JSON still, but not as it was written, nothing is believed."""


class _Entries(dict[str, Entry]):
    """Entries by the name of their file; where names are hidden, by what stands for it."""

    def get(self, name: str, default: Any = None) -> Any:
        """Return the entry of a file."""
        return super().get(self._listed(name), default)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(self._listed(str(name)))

    def _listed(self, name: str) -> str:
        return alias(name) if hides() and not super().__contains__(name) else name


class Journal:
    """``manifest.jsonl``: one JSON object per volume, appended when the volume is complete.

    Processes may append at once. A line that was cut short by a kill or a full disk, or changed since, is no line, and
    a volume's last line counts. The line is written before the volume gets its name, so a volume without a line was
    not made here.
    """

    def __init__(self, path: Path) -> None:
        """Stand for the file, which need not exist."""
        self.path = path

    def entries(self) -> dict[str, Entry]:
        """Return the last entry of every file by its name.

        Raises:
            CtgridError: where the file cannot be read, or is a link.
        """
        try:
            with open_record(self.path, "rb") as stream:
                lines = stream.read().split(b"\n")
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise CtgridError(f"cannot read {self.path}: {error.strerror or error}") from error
        entries: dict[str, Entry] = _Entries()
        for line in lines:
            try:
                entry = dict(json.loads(line))
                said = entry.pop(CHECK, None)  # lines of before have none
                if said is None or said == _check(entry):
                    entries[name_of(str(entry["file"]))] = entry
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
        return entries

    def append(self, entry: Entry) -> None:
        """Add an entry, whole or not at all.

        Raises:
            CtgridError: where the system refuses to write, or the file is a link.
        """  # noqa: DOC501
        if hides():
            entry = {**without_paths(entry), "file": alias(str(entry["file"]))}
        line = as_json({**entry, CHECK: _check(entry)}).encode() + b"\n"
        try:
            with open_record(self.path, "ab+", buffering=0) as stream:
                lock(stream, wait=True)
                size = stream.seek(0, os.SEEK_END)
                if size:
                    stream.seek(size - 1)
                    line = line if stream.read(1) == b"\n" else b"\n" + line
                try:
                    if stream.write(line) != len(line):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    os.fsync(stream.fileno())
                except OSError:
                    os.ftruncate(stream.fileno(), size)
                    raise
        except FileNotFoundError as error:
            raise CtgridError(f"{self.path.parent} was removed while ctgrid worked in it; run it again") from error
        except OSError as error:
            raise CtgridError(f"cannot write {self.path}: {error.strerror or error}") from error


def is_done(path: Path, entry: Entry | None, identity: dict[str, Any], manifest: Path, overwrite: bool) -> bool:
    """Tell whether a volume is there, whole, and what is asked for.

    Args:
        path: the volume's file.
        entry: its entry in the manifest.
        identity: what the entry must say: seed, checkpoint and settings.
        manifest: path of the manifest, for messages.
        overwrite: whether a volume that is there but cannot be taken over may be made anew.

    Raises:
        CtgridError: where a file is in the way that is not what is asked for.
    """  # noqa: DOC501
    if not path.exists():
        return False
    if entry is None:
        reason = unlisted(manifest)
    elif differing := [name for name, value in _flat(identity).items() if _flat(entry).get(name) != value]:
        had, wanted = (_flat(facts).get(differing[0]) for facts in (entry, identity))
        more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
        reason = f"was made with other settings: {differing[0]} {had} instead of {wanted}{more}"
    elif entry.get("bytes") != path.stat().st_size or entry.get("sha256") != sha256_of(path):
        reason = f"is not the file that {manifest.name} lists: it was changed or damaged"
    else:
        return True
    if overwrite:
        return False
    raise in_the_way(path, reason)


def unlisted(manifest: Path) -> str:
    """Say that a file was not made by the run that a manifest belongs to."""
    return f"exists, but {manifest.name} does not list it"


def in_the_way(path: Path, reason: str) -> CtgridError:
    """Return the error for a file that is there and cannot be taken over."""
    return CtgridError(f"{path} {reason}; pass --overwrite to make it anew, or name another --out")


def _check(entry: Entry) -> int:
    """Return the sum of a line's other keys, which JSON keeps in their order."""
    return zlib.crc32(as_json(entry).encode())


def _flat(entry: Entry) -> dict[str, Any]:
    """Return an entry with its settings beside the other facts; settings that are none are one fact more."""
    settings = entry.get("settings", {})
    return {k: v for k, v in entry.items() if k != "settings"} | (
        settings if isinstance(settings, dict) else {"settings": settings}
    )
