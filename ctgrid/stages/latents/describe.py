"""What a store holds, in one dictionary: for people, scripts and ``ctgrid info``."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.data.store.splits import by_patient
from ctgrid.data.store.store import FORMAT, Store, StoredVolume, is_store
from ctgrid.data.stored import StoreSlices, in_parallel, stored_volumes
from ctgrid.stages.latents.stored import StoredLatents, latent_codecs

NAMES_SHOWN = 20
DAMAGED_SHOWN = 10
AXES = ("z", "y", "x")


def describe_store(path: str | os.PathLike[str], progress: Progress = silent) -> dict[str, Any]:
    """Describe a store, or one volume of it where the path is that volume's folder.

    Args:
        path: ``X.zarr`` or ``X.zarr/NAME``.
        progress: called after every volume.

    Returns:
        JSON-able values. ``spacing_mm`` holds the lowest and highest of every axis, of the inputs and of the stored
        slices; ``latents`` what is cached, by codec, and how much of it no longer fits the slices.

    Raises:
        CtgridError: The path is neither, or the store is damaged.
    """
    path = Path(path)
    if not is_store(path) and is_store(path.parent):
        return describe_volume(path)
    store = Store.open(path)
    names = store.names()
    volumes = stored_volumes(store, names)
    facts = in_parallel(_facts, volumes, "looking volumes over", progress)
    sound = [fact for fact in facts if "damaged" not in fact]
    shown = names if len(names) <= NAMES_SHOWN else [*names[: NAMES_SHOWN // 2], "...", *names[-NAMES_SHOWN // 2 :]]
    return {
        "path": str(path),
        "kind": "store",
        "format": FORMAT,
        "settings": store.settings.as_dict(),
        "volumes": len(names),
        "patients": len(by_patient(names)),
        "names": shown,
        "bytes": {part: sum(fact["bytes"][part] for fact in facts) for part in ("slices", "coarse", "latents")},
        "hu_sources": dict(sorted(Counter(str(fact["hu"]) for fact in sound).items())),
        "protocols": dict(sorted(Counter(str(fact["protocol"]) for fact in sound).items())),
        "orientations": dict(sorted(Counter(str(fact["orientation"]) for fact in sound).items())),
        "stored_orientations": dict(sorted(Counter(str(fact["stored_orientation"]) for fact in sound).items())),
        "spacing_mm": {which: _range([fact[which] for fact in sound]) for which in ("inputs", "stored")},
        "latents": _latents(sound),
        "damaged": [fact["damaged"] for fact in facts if "damaged" in fact][:DAMAGED_SHOWN],
    }


def describe_volume(path: Path) -> dict[str, Any]:
    """Describe one volume of a store: its whole record, shapes and latents.

    Raises:
        CtgridError: The store has no such volume, or it is damaged.
    """
    store = Store.open(path.parent)
    volume = store.volume(path.name)
    facts = _facts(StoreSlices(volume.path, store.settings))
    if "damaged" in facts:
        raise CtgridError(facts["damaged"])
    size, coarse, n = store.settings.size, store.settings.coarse_size, store.settings.slices
    return {
        "path": str(path),
        "kind": "volume of a store",
        "stored_shapes": {"slices": [n, size, size], "coarse": [n, coarse, coarse]},
        "bytes": facts["bytes"],
        "latents": facts["latents"],
        "stored_orientation": volume.orientation,
        **volume.record,
    }


def _facts(volume: StoreSlices) -> dict[str, Any]:
    """Return what one volume adds to the description; why it is damaged where it is."""
    parts = {part: _bytes(volume.folder / part) for part in ("slices", "coarse", "latents")}
    try:
        stored = StoredVolume(volume.folder)
        record, geometry = stored.record, stored.record.get("geometry", {})
        latents = [
            {"codec": codec, "of": of, **_latent_facts(volume, of, codec)}
            for codec in latent_codecs(volume.folder)
            for of in ("slices", "coarse")
            if (volume.folder / "latents" / codec / of).exists()
        ]
    except CtgridError as error:
        return {"bytes": parts, "damaged": str(error)}
    return {
        "bytes": parts,
        "hu": record.get("hu", {}).get("source"),
        "protocol": record["inverse"].get("protocol"),
        "orientation": geometry.get("orientation"),
        "stored_orientation": stored.orientation,
        "inputs": geometry.get("spacing_mm"),
        "stored": geometry.get("stored_spacing_mm"),
        "latents": latents,
    }


def _latent_facts(volume: StoreSlices, of: Any, codec: str) -> dict[str, Any]:
    attributes = StoredLatents(volume, of, codec).attributes
    state = StoredLatents(volume, of, attributes.get("codec", codec)).state()
    return {"name": attributes.get("codec_name"), "kept": attributes.get("kept"), "stale": state != "ready"}


def _latents(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Count latents by codec, slices and number format."""
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for entry in (entry for fact in facts for entry in fact["latents"]):
        key = (entry["codec"], entry["of"], entry["kept"])
        group = groups.setdefault(key, {**entry, "volumes": 0, "stale": 0})
        group["volumes"] += 1
        group["stale"] += entry["stale"]
    return [groups[key] for key in sorted(groups, key=str)]


def _range(spacings: list[Any]) -> dict[str, list[float]]:
    known = [spacing for spacing in spacings if spacing]
    return {axis: [min(values), max(values)] for axis, values in zip(AXES, zip(*known, strict=True), strict=False)}


def _bytes(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
