"""Where a model comes from: inside the package, a folder, or fetched from a hub. Naming one never downloads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ctgrid.base.documents import dict_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.families import meant
from ctgrid.base.files import full_suffix
from ctgrid.base.progress import unheard
from ctgrid.base.record_place import RECORD
from ctgrid.stages.models.catalogue import HUB, Catalogue, HubName
from ctgrid.stages.models.manifest import MANIFEST_FILE, FileEntry, Manifest, check_folder, digest_of

EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).parent / EMBEDDED


def named_elsewhere(name: str | Path) -> bool:
    """Tell whether a name stands for a model of the package or a hub, and is no path."""
    return str(name) == EMBEDDED or str(name).startswith(HUB)


def resolve_model(name: str | Path) -> Path:
    """Return the folder (or file) that a model's name stands for; no network is used.

    Args:
        name: ``embedded``, a path, or ``hub:owner/name[@revision]`` of a model fetched before.

    Raises:
        CtgridError: where a hub's model is not here, or nothing has that path.
    """
    if str(name) == EMBEDDED:
        return EMBEDDED_FOLDER
    if str(name).startswith(HUB):
        return Catalogue().require(HubName.parse(str(name))).folder
    path = Path(name)
    if not path.exists():
        raise CtgridError(
            f"{path}: no such model folder; use 'embedded', a folder or hub:owner/name{meant(name, (EMBEDDED,))}"
        )
    return path


def describe_source(name: str | Path, hashes: Mapping[str, str]) -> dict[str, Any]:
    """Return where a model came from, for run records.

    Args:
        name: as :func:`resolve_model` takes it.
        hashes: SHA-256 of the weights by path.

    Returns:
        ``kind`` (embedded, folder or hub), ``folder``, ``sha256`` over all weights, and for a hub's model ``id``,
        ``revision``, ``commit`` and ``endpoint``.
    """
    folder = resolve_model(name)
    kind = EMBEDDED if str(name) == EMBEDDED else "hub" if str(name).startswith(HUB) else "folder"
    record: dict[str, Any] = {"kind": kind, "folder": str(folder), "sha256": digest_of(hashes)}
    if kind == "hub":
        hub_name = HubName.parse(str(name))
        entry = Catalogue().require(hub_name)
        origin = {"id": entry.id, "revision": hub_name.revision, "commit": entry.commit}
        record |= origin | {"endpoint": entry.manifest.source.get("endpoint")}
    return record


def recorded_files(name: str | Path) -> dict[str, FileEntry]:
    """Return the files of a model as they were recorded when it was made or fetched.

    A manifest is what ``fetch`` writes; a folder made by ``ctgrid model pack`` has the hashes in its ``run.json``.

    Raises:
        CtgridError: where no record is there.
    """
    folder = resolve_model(name)
    if (folder / MANIFEST_FILE).exists():
        return dict(Manifest.read(folder / MANIFEST_FILE).files)
    hashes = _packed_hashes(folder)
    if not hashes:
        raise CtgridError(
            f"{folder}: no hashes were recorded here ({MANIFEST_FILE}, or the run.json of ctgrid model pack); "
            f"give them with --sha256 or --manifest"
        )
    return {path: FileEntry(-1, digest) for path, digest in hashes.items()}


def list_models(damaged: Callable[[str], object] = unheard) -> list[dict[str, Any]]:
    """Return the models that ``--model`` or ``--codec`` can name without a path, as JSON-able records.

    Args:
        damaged: told of each whose manifest cannot be read; the others are listed all the same.
    """
    embedded = Manifest.read(EMBEDDED_FOLDER / MANIFEST_FILE)
    facts = {"complete": _complete(EMBEDDED_FOLDER, embedded)}
    facts["verified"] = not check_folder(EMBEDDED_FOLDER, embedded.files)  # small: hashed now
    models = [_record(EMBEDDED, EMBEDDED, EMBEDDED_FOLDER, embedded, **facts)]
    for entry in Catalogue().entries(damaged):
        commit = {"commit": entry.commit, "revisions": list(entry.revisions)}
        complete = _complete(entry.folder, entry.manifest)
        models.append(_record(f"{HUB}{entry.id}", "hub", entry.folder, entry.manifest, complete=complete, **commit))
    return models


def _record(name: str, kind: str, folder: Path, manifest: Manifest, **more: Any) -> dict[str, Any]:
    facts = {"name": name, "kind": kind, "folder": str(folder), "files": len(manifest.files), "bytes": manifest.size}
    return {**facts, "commit": None, "revisions": [], "verified": manifest.verified, **more}


def _complete(folder: Path, manifest: Manifest) -> bool:
    """Whether all files are there with their sizes; hashes are what ``verify`` compares."""
    paths = ((folder / name, entry.size) for name, entry in manifest.files.items())
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def _packed_hashes(folder: Path) -> dict[str, str]:
    try:
        record = dict_of(folder / RECORD)
        files = record["model"]["files"] if record["command"] == "model pack" else {}
        return {str(path): str(digest) for path, digest in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def is_single_file(path: Path) -> bool:
    """Whether a path is one file of weights rather than a folder."""
    return path.is_file() and full_suffix(path) in (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
