"""Fetch a model from a hub into the catalogue: hashed, resumable, all or nothing. The only code that uses a network.

Listing and permissions go through ``huggingface_hub``, files through its HTTP session: plain HTTP with ``Range``,
as its own downloader (2.x) starts an interrupted file again from zero, and Xet needs another server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ctgrid.base.durable import settle
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import replace_folder
from ctgrid.base.progress import Progress, silent
from ctgrid.stages.models.catalogue import Catalogue, Entry, HubName, is_offline
from ctgrid.stages.models.manifest import MANIFEST_FILE, FileEntry, Manifest, check_folder, is_weights, safe_path
from ctgrid.stages.models.transfer import Transfer
from ctgrid.stages.models.transport import RemoteFile, Transport, explained

PATTERNS = ("*.json", "*.safetensors", "*.md", "LICENSE*", "*.txt", "*.yaml")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True)
class Fetched:
    """What a fetch brought.

    Attributes:
        entry: the model in the catalogue.
        downloaded: bytes that came over the network.
        resumed: bytes that an interrupted fetch had left.
        left_out: files of the repository that were not asked for.
        already_here: nothing was downloaded, as all was here.
    """

    entry: Entry
    downloaded: int = 0
    resumed: int = 0
    left_out: list[str] = field(default_factory=list)
    already_here: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-able values."""
        manifest = self.entry.manifest
        return {
            "name": f"hub:{self.entry.id}",
            "commit": self.entry.commit,
            "revisions": list(self.entry.revisions),
            "folder": str(self.entry.folder),
            "files": {path: manifest.files[path].as_dict() for path in sorted(manifest.files)},
            "bytes": manifest.size,
            "sha256": manifest.sha256,
            "verified": manifest.verified,
            "downloaded_bytes": self.downloaded,
            "resumed_bytes": self.resumed,
            "left_out": self.left_out,
            "already_here": self.already_here,
        }


def fetch(
    name: HubName,
    *,
    include: Iterable[str] = (),
    pickles: bool = False,
    pins: Mapping[str, str] | None = None,
    offline: bool = False,
    catalogue: Catalogue | None = None,
    progress: Progress = silent,
) -> Fetched:
    """Bring a model into the catalogue.

    Args:
        name: repository and revision.
        include: patterns of the files wanted, such as ``vae/*``; empty takes configs, safetensors and texts.
        pickles: take pickled weights as well.
        pins: SHA-256 by path that the files must have.
        offline: use no network; only say what is here. So do ``CTGRID_OFFLINE`` and ``HF_HUB_OFFLINE``.
        catalogue: where to; None takes ``CTGRID_HOME``.
        progress: called in megabytes.

    Raises:
        CtgridError: where the hub cannot be reached or has no such model, a file's content is not what the hub or
            the user states (then nothing is kept), or the disk is full.
    """
    catalogue, pins = catalogue or Catalogue(), dict(pins or {})
    if offline or is_offline():
        return Fetched(_offline(catalogue, name, pins), already_here=True)
    with explained(name):
        transport = Transport(name)
        progress("asking the hub", 0, 1)
        commit, listed = transport.listing()
    wanted, left_out = choose(name, listed, tuple(include), pickles)
    with _alone(catalogue, name, commit) as partial, explained(name):
        here = catalogue.find(HubName(name.owner, name.name, commit))
        older = dict(here.manifest.files) if here is not None else {}
        unknown = sorted(set(pins) - set(wanted) - set(older))
        if unknown:
            raise CtgridError(f"{name}: {', '.join(unknown)}: a hash is given, but no such file is fetched")
        folder = catalogue.folder(name, commit)
        if here is not None and set(wanted) <= set(older) and not check_folder(folder, older):
            _compare(name, older, pins)
            catalogue.note_revision(name, commit)
            return Fetched(catalogue.require(name), left_out=left_out, already_here=True)
        _make(partial)
        files = {path: listed.get(path, RemoteFile()) for path in {*wanted, *older}}
        transfer = Transfer(transport, commit, partial, files, pins, progress)
        transfer.take_over(folder, older)
        origin = {"id": name.id, "commit": commit, "endpoint": transport.endpoint}
        Manifest(transfer.run(), origin).write(partial)
        _publish(partial, folder)
        catalogue.note_revision(name, commit)
        return Fetched(catalogue.require(name), transfer.downloaded, transfer.resumed, left_out)


@contextmanager
def _alone(catalogue: Catalogue, name: HubName, commit: str) -> Iterator[Path]:
    """Yield the folder to collect files in, while no other process fetches this commit."""
    from huggingface_hub.utils import WeakFileLock

    partial = catalogue.partial(name, commit)
    _make(partial.parent)
    with WeakFileLock(partial.with_name(f".{partial.name}.lock")):
        yield partial


def choose(
    name: HubName, listed: Mapping[str, RemoteFile], include: tuple[str, ...] = (), pickles: bool = False
) -> tuple[list[str], list[str]]:
    """Split a repository's files into those to fetch and those to leave.

    Args:
        name: for the message.
        listed: the files.
        include: patterns of paths or of file names; empty takes all of the kinds that ctgrid reads.
        pickles: whether pickled weights count among these kinds.

    Raises:
        CtgridError: where nothing is left, or weights only as pickles that nobody asked for.
    """
    kinds = (*PATTERNS, *PICKLES) if pickles else PATTERNS
    readable = [p for p in listed if _matches(p, kinds) and p != MANIFEST_FILE]
    wanted = sorted(safe_path(p) for p in readable if not include or _matches(p, include))
    left_out = sorted(set(listed) - set(wanted))
    if not any(is_weights(path) for path in wanted):
        pickled = [p for p in left_out if _matches(p, PICKLES) and (not include or _matches(p, include))]
        if pickled:
            raise CtgridError(
                f"{name}: its weights are pickles ({', '.join(pickled[:3])}), which can run code when they are read; "
                f"--allow-pickle fetches them all the same, ctgrid reads tensors alone"
            )
    if not wanted:
        of = f" like {', '.join(include)}" if include else ""
        raise CtgridError(f"{name}: no file{of} that ctgrid reads, among {len(listed)} in the repository")
    return wanted, left_out


def _matches(path: str, patterns: Iterable[str]) -> bool:
    name = path.rsplit("/", 1)[-1]
    return any(fnmatch(path, pattern) or fnmatch(name, pattern) for pattern in patterns)


def _offline(catalogue: Catalogue, name: HubName, pins: Mapping[str, str]) -> Entry:
    """Return what is here already.

    Raises:
        CtgridError: where that is nothing, or not what the user's hashes say.
    """
    entry = catalogue.find(name)
    if entry is None:
        raise CtgridError(
            f"{name}: not here, in {catalogue.home}, and offline by --offline, CTGRID_OFFLINE or HF_HUB_OFFLINE"
        )
    _compare(name, entry.manifest.files, pins)
    return entry


def _compare(name: HubName, files: Mapping[str, FileEntry], pins: Mapping[str, str]) -> None:
    for path, digest in pins.items():
        found = files[path].sha256 if path in files else "missing"
        if found != digest:
            raise CtgridError(f"{name}: {path}: SHA-256 is {found}, but {digest} was asked for")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CtgridError(
            f"cannot write into {folder}: {error.strerror or error}; set CTGRID_HOME elsewhere"
        ) from error


def _publish(partial: Path, folder: Path) -> None:
    """Rename a complete model into place; one that is there already makes room and is removed after."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    settle(partial)
    replace_folder(partial, folder)
