"""The list of a model's files with their SHA-256, written when the model comes, read whenever it is doubted."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ctgrid.base.causes import reading
from ctgrid.base.documents import json_of, text_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output, sha256_of
from ctgrid.base.progress import Progress, silent

MANIFEST_FILE = "ctgrid-manifest.json"
VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileEntry:
    """One file of a model.

    Attributes:
        size: bytes.
        sha256: 64 hexadecimal digits.
        checked: what the content was compared with when it came: ``sha256`` or ``sha1`` as the source stated it,
            ``pin`` as the user did; None where nobody stated a hash.
    """

    size: int
    sha256: str
    checked: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-able values."""
        return {"bytes": self.size, "sha256": self.sha256, "checked": self.checked}


@dataclass(frozen=True)
class Manifest:
    """Files by path (``/`` between folders, relative to the model's folder), and where they came from.

    Attributes:
        files: every file of the model.
        source: ``id``, ``commit`` and ``endpoint`` of a model from a hub; empty for others.
    """

    files: Mapping[str, FileEntry]
    source: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())

    @property
    def verified(self) -> bool:
        """Whether every file of weights was compared with a hash that somebody else stated."""
        weights = [entry for path, entry in self.files.items() if is_weights(path)]
        return bool(weights) and all(entry.checked for entry in weights)

    @property
    def sha256(self) -> str:
        """One hash over all: of the list of the files' hashes and paths, as ``sha256sum`` prints it."""
        return digest_of({path: entry.sha256 for path, entry in self.files.items()})

    def write(self, folder: Path) -> Path:
        """Write the manifest into a model's folder, replacing an older one."""
        path = folder / MANIFEST_FILE
        content = {"ctgrid_manifest": VERSION, "source": dict(self.source)}
        files = {name: self.files[name].as_dict() for name in sorted(self.files)}
        with atomic_output(path, overwrite=True) as temporary:
            temporary.write_text(json.dumps({**content, "files": files}, indent=1) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest from its file.

        Raises:
            CtgridError: where the file is missing, or holds something else.
        """
        if not path.exists():
            raise CtgridError(f"{path}: no such manifest")
        what, remedy = "a manifest of ctgrid", "fetch the model again"
        content = json_of(path, what, remedy)
        with reading(path, what, remedy):
            if content["ctgrid_manifest"] != VERSION:
                raise CtgridError(
                    f"{path}: manifest of version {content['ctgrid_manifest']}, this ctgrid reads {VERSION}"
                )
            files = {
                safe_path(name): FileEntry(int(entry["bytes"]), _checked_hash(entry["sha256"]), entry.get("checked"))
                for name, entry in content["files"].items()
            }
            return cls(files, dict(content.get("source") or {}))

    @classmethod
    def of_folder(cls, folder: Path) -> Manifest:
        """Hash the weights and configs in a folder; records of runs and hidden files are none of them."""
        paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
        own = {name: paths[name] for name in sorted(paths) if _is_part_of_model(name)}
        if not any(is_weights(name) for name in own):
            raise CtgridError(f"{folder}: no weights in this folder, so nothing to record")
        return cls({name: FileEntry(path.stat().st_size, sha256_of(path)) for name, path in own.items()})


def digest_of(hashes: Mapping[str, str]) -> str:
    """Return the SHA-256 of the list ``HASH  PATH`` of files, sorted by path."""
    listing = "".join(f"{hashes[path]}  {path}\n" for path in sorted(hashes))
    return hashlib.sha256(listing.encode()).hexdigest()


def is_weights(path: str) -> bool:
    """Whether a file holds tensors, by its suffix."""
    return PurePosixPath(path).suffix in (".safetensors", ".bin", ".pt", ".pth", ".ckpt")


def safe_path(name: str) -> str:
    """Return a relative path that stays inside its folder.

    Raises:
        CtgridError: for any other, which a hostile server might send.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or re.search(r'[\\:\x00-\x1f*?"<>|]', name):
        raise CtgridError(f"file name {name!r} leads out of the model's folder or cannot be written; it is refused")
    return name


def read_pins(texts: list[str], file: Path | None = None) -> dict[str, str]:
    """Read the hashes a user expects.

    Args:
        texts: ``FILE=HASH`` each, HASH being 64 hexadecimal digits.
        file: a manifest of ctgrid, or a list as ``sha256sum`` prints it.

    Raises:
        CtgridError: where one is neither.
    """
    pins = _pins_of_file(file) if file is not None else {}
    for text in texts:
        name, equals, digest = text.rpartition("=")
        if not (equals and name and _SHA256.fullmatch(digest.lower())):
            raise CtgridError(f"{text!r} is not FILE=HASH with 64 hexadecimal digits of SHA-256")
        pins[safe_path(name)] = digest.lower()
    return pins


def check_folder(
    folder: Path, files: Mapping[str, FileEntry], *, strict: bool = True, progress: Progress = silent
) -> list[dict[str, Any]]:
    """Hash the files of a folder again.

    Args:
        folder: the model's.
        files: what should be there; an entry's size of -1 is not compared.
        strict: report weights that the list does not know as well, save hidden ones, which no list holds.
        progress: called in megabytes.

    Returns:
        One record per file that differs: ``path``, ``problem``, and the hashes expected and found.
    """
    problems: list[dict[str, Any]] = []
    total, done = sum(max(entry.size, 0) for entry in files.values()), 0
    for name, entry in sorted(files.items()):
        path = folder / name
        found = sha256_of(path) if path.is_file() else None
        if found != entry.sha256:
            problem = "missing" if found is None else "changed"
            if found and entry.size >= 0 and path.stat().st_size != entry.size:
                problem = f"{path.stat().st_size} bytes instead of {entry.size}"
            problems.append({"path": name, "problem": problem, "expected": entry.sha256, "found": found})
        done += max(entry.size, 0)
        progress("hashing", megabytes(done), megabytes(total))
    if strict:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and is_weights(name) and _is_part_of_model(name) and name not in files:
                problems.append({"path": name, "problem": "not in the manifest", "expected": None, "found": None})
    return problems


def megabytes(size: int) -> int:
    """Bytes as whole megabytes, at least one, as progress bars show them."""
    return max(1, round(size / 1e6))


def _pins_of_file(file: Path) -> dict[str, str]:
    text = text_of(file, "a list of hashes", "give a manifest or what sha256sum prints")
    if text.lstrip().startswith("{"):
        return {name: entry.sha256 for name, entry in Manifest.read(file).files.items()}
    pins = {}
    for line in filter(str.strip, text.splitlines()):
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](?:\./)?(\S.*)", line)
        if match is None:
            raise CtgridError(f"{file}: {line[:80]!r} is not a line of sha256sum: HASH, two spaces, FILE")
        pins[safe_path(match[2])] = match[1].lower()
    return pins


def _checked_hash(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise ValueError(text)
    return text


def _is_part_of_model(name: str) -> bool:
    if any(part.startswith(".") for part in PurePosixPath(name).parts) or PurePosixPath(name).name == MANIFEST_FILE:
        return False
    return is_weights(name) or (name.endswith(".json") and not re.fullmatch(r"(.*/)?run(-\d+)?\.json", name))
