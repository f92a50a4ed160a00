"""Tell whether an input is the one a volume was made of: quickly by size and time, surely by content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import full_suffix, sha256_of
from ctgrid.base.inside import is_inside
from ctgrid.base.privacy import alias, hides
from ctgrid.scan.formats.itk.detached import data_files
from ctgrid.scan.hu.sidecar import find_sidecar

if TYPE_CHECKING:
    from ctgrid.scan.hu.metadata import MetadataTable

_DETACHED = {".mhd": rb"^\s*ElementDataFile\s*=\s*(.+?)\s*$", ".nhdr": rb"^\s*data ?file\s*:\s*(.+?)\s*$"}


def stamp(path: Path, metadata: MetadataTable | None) -> dict[str, Any]:
    """Return what is cheap to know of an input: files, bytes, latest change, its row of the table and its JSON.

    Args:
        path: A file or a DICOM series folder.
        metadata: The collection's table.

    Raises:
        CtgridError: The input cannot be looked at.
    """
    sidecar = find_sidecar(path) if path.is_file() else None
    try:
        status = [part.stat() for part in _parts(path)]
        said = None if sidecar is None else sidecar.stat().st_mtime_ns
    except OSError as error:
        raise CtgridError(f"cannot read {path}: {error.strerror or error}") from error
    return {
        "files": len(status),
        "bytes": sum(s.st_size for s in status),
        "mtime_ns": max((s.st_mtime_ns for s in status), default=0),
        "metadata": _row(path, metadata),
        "sidecar_mtime_ns": said,
    }


def identity(path: Path, metadata: MetadataTable | None, series: str | None = None) -> dict[str, Any]:
    """Return what an input is by its content, wherever it lies: this goes into the store.

    Args:
        path: A file or a DICOM series folder.
        metadata: The collection's table.
        series: SeriesInstanceUID, where one of several series is meant.

    Returns:
        ``name``, ``bytes``, ``sha256`` (of a file; of several, that of the list of their names and hashes),
        ``sidecar`` (hash of the JSON beside it) and ``metadata`` (its row) where there are such.

    Raises:
        CtgridError: The input cannot be read.
    """
    parts = _parts(path)
    digests = [sha256_of(part) for part in parts]
    digest = digests[0]
    if path.is_dir() or len(parts) > 1:
        base = path if path.is_dir() else path.parent
        lines = (f"{d}  {part.relative_to(base).as_posix()}\n" for d, part in zip(digests, parts, strict=True))
        digest = sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    name = alias(path.name) if hides() else path.name
    found: dict[str, Any] = {"name": name, "bytes": sum(part.stat().st_size for part in parts), "sha256": digest}
    if path.is_dir():
        found["files"] = len(parts)
    if series is not None:
        found["series"] = series
    sidecar = find_sidecar(path) if path.is_file() else None
    if sidecar is not None:
        found["sidecar"] = {"name": sidecar.name, "sha256": sha256_of(sidecar)}
    row = _row(path, metadata)
    if row:
        found["metadata"] = row
    return found


def difference(was: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Say in what two identities differ, or None where they are of the same input.

    Args:
        was: The one in the store.
        now: That of the input at hand.
    """
    if (was.get("bytes"), was.get("sha256")) != (now.get("bytes"), now.get("sha256")):
        return f"{was.get('bytes')} bytes then, {now.get('bytes')} bytes of other content now"
    if was.get("series") != now.get("series"):
        return f"series {was.get('series') or 'by choice'} then, {now.get('series') or 'by choice'} now"
    if was.get("sidecar", {}).get("sha256") != now.get("sidecar", {}).get("sha256"):
        return "another _metadata.json beside it"
    if was.get("metadata") != now.get("metadata"):
        return f"metadata row {was.get('metadata') or 'none'} then, {now.get('metadata') or 'none'} now"
    return None


def _parts(path: Path) -> list[Path]:
    """Return the files that make up an input."""
    if path.is_dir():
        return sorted(part for part in path.rglob("*") if part.is_file() and not part.name.startswith("."))
    pattern = _DETACHED.get(full_suffix(path))
    if pattern is None or not path.is_file():
        return [path]
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
    match = re.search(pattern, head, re.MULTILINE | re.IGNORECASE)
    said = match[1].decode("utf-8", "replace") if match else ""
    if match and (said.upper().startswith("LIST") or "%" in said):
        with suppress(CtgridError):  # told when it is read
            return [path, *data_files(path, said, head[match.end() :].decode("utf-8", "replace").splitlines())]
        return [path]
    detached = path.parent / said if match else path
    if not is_inside(detached, path.parent):  # refused when it is read; nothing of it is to be known before
        return [path]
    return [path, detached] if detached != path and detached.is_file() else [path]


def _row(path: Path, metadata: MetadataTable | None) -> dict[str, str]:
    row = metadata.row(path) if metadata is not None else None
    return dict(row.fields) if row else {}
