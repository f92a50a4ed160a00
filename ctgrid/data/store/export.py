"""The paper's training pictures out of a store: grids of coarse slices as 8-bit gray PNG, for other tools."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.documents import as_json, dict_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output, check_apart
from ctgrid.base.progress import Progress, silent
from ctgrid.data.store.shards import Shard
from ctgrid.data.stored import StoreSlices, stored_volumes
from ctgrid.scan.grid import gray_to_rgb, to_grid
from ctgrid.scan.windows import FULL_WINDOW_HU

if TYPE_CHECKING:
    from ctgrid.data.store import Store

MANIFEST = "manifest.json"
GRAYS = 255
TEXT = "ctgrid"
"""Key of the PNG text in which every picture says what it shows."""


@dataclass
class GridExport:
    """What :func:`export_grids` did.

    Attributes:
        written: pictures written by this call.
        kept: pictures that were there already and are the same.
        volumes: name to its pictures, in order, each with the slices it shows.
        left_out: slices at the end of every volume that fill no grid.
    """

    written: int = 0
    kept: int = 0
    volumes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    left_out: list[int] = field(default_factory=list)


def grid_runs(slices: int, k: int, stride: int = 1) -> Iterator[list[int]]:
    """Yield the slices of every grid: as many as fit, none twice.

    With stride 1 these are the paper's runs of K² consecutive slices: 201 give 12 grids of 16, the last 9 are left
    out. With a larger one, each block of stride · K² slices gives ``stride`` interleaved grids.

    Raises:
        CtgridError: for a stride below 1.
    """
    if stride < 1:
        raise CtgridError(f"the stride must be at least 1, got {stride}")
    block = stride * k * k
    for first in range(0, slices - block + 1, block):
        for offset in range(stride):
            yield list(range(first + offset, first + block, stride))


def to_gray(hu: np.ndarray, window_hu: tuple[float, float] = FULL_WINDOW_HU) -> np.ndarray:
    """Map HU to 0...255, linear within the window and clipped outside, rounded to the nearest, uint8."""
    low, high = window_hu
    return np.rint((np.clip(hu.astype(np.float32), low, high) - low) * (GRAYS / (high - low))).astype(np.uint8)


def export_grids(
    store: Store,
    out: str | Path,
    names: Iterable[str] | None = None,
    *,
    stride: int = 1,
    window_hu: tuple[float, float] = FULL_WINDOW_HU,
    overwrite: bool = False,
    workers: int = 1,
    progress: Progress = silent,
) -> GridExport:
    """Write ``OUT/NAME_000.png``, ... and ``OUT/manifest.json``: S x S, gray three times over, 8 bits.

    Each file is whole or not there. Pictures that are there and show the same are left alone, so that a killed export
    goes on; others are not replaced unasked.

    Args:
        store: gives the coarse slices.
        out: a folder; made where its parent exists.
        names: of volumes; None takes all.
        stride: see :func:`grid_runs`.
        window_hu: the HU that become 0 and 255.
        overwrite: replace pictures that show something else, and the manifest of other settings.
        workers: threads.
        progress: called after every volume.

    Raises:
        CtgridError: for an unknown volume, a window without width, too few slices, a damaged volume, or files in the
            way.
    """
    out, settings = Path(out), store.settings
    low, high = window_hu
    if not low < high:
        raise CtgridError(f"the window's lower end must lie below its upper end, got {low:g} and {high:g} HU")
    runs = list(grid_runs(settings.slices, settings.k, stride))
    if not runs:
        raise CtgridError(
            f"{store.path}: {settings.slices} slices fill no grid of {settings.k} x {settings.k} at stride {stride}; "
            "choose a smaller --stride"
        )
    chosen = store.names() if names is None else list(dict.fromkeys(names))
    unknown = [name for name in chosen if name not in store]
    if unknown:
        raise CtgridError(f"{store.path} has no volume {unknown[0]!r}; ctgrid info lists those it has")
    manifest = {
        "store": store.settings.as_dict(),
        "window_hu": [low, high],
        "gray": [0, GRAYS],
        "hu_per_gray": (high - low) / GRAYS,
        "mapping": "gray = round((clip(hu, low, high) - low) * 255 / (high - low)); hu = low + gray * hu_per_gray",
        "channels": "gray repeated three times",
        "size": settings.coarse_size * settings.k,
        "cells_per_side": settings.k,
        "order": "row-major: the first row holds the first slices",
        "stride": stride,
    }
    check_apart(out, [store.path])
    report = GridExport(left_out=sorted(set(range(settings.slices)) - {i for run in runs for i in run}))
    manifest["left_out"] = report.left_out
    before = _check_folder(out, manifest, overwrite)
    same = all(before.get(key) == value for key, value in manifest.items())
    known = before.get("volumes", {}) if same else {}
    out.mkdir(exist_ok=True)
    _write_json(out / MANIFEST, {**manifest, "volumes": known})
    work = partial(_export_volume, out=out, runs=runs, window_hu=window_hu, overwrite=overwrite)
    volumes = stored_volumes(store, chosen)
    with ThreadPoolExecutor(workers) as pool:
        try:
            results = pool.map(work, volumes) if workers > 1 else map(work, volumes)
            for done, (name, pictures, written) in enumerate(results, 1):
                report.volumes[name] = pictures
                report.written += written
                report.kept += len(pictures) - written
                progress("writing grids", done, len(volumes))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    everything = dict(sorted({**known, **report.volumes}.items()))
    _remove_superseded(out, before.get("volumes", {}), everything)
    _write_json(out / MANIFEST, {**manifest, "volumes": everything})
    return report


def _export_volume(
    volume: StoreSlices, out: Path, runs: list[list[int]], window_hu: tuple[float, float], overwrite: bool
) -> tuple[str, list[dict[str, Any]], int]:
    """Write one volume's grids and return its name, what its pictures show, and how many were written."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    shard = Shard.open(volume.folder / "coarse")
    source, k, written, pictures = shard.digest(), volume.settings.k, 0, []
    for number, run in enumerate(runs):
        path = out / f"{volume.name}_{number:03d}.png"
        shown = {"volume": volume.name, "slices": run, "window_hu": list(window_hu), "source": source}
        text = json.dumps(shown)
        pictures.append({"file": path.name, "slices": run})
        if path.exists():
            if _text_of(path) == text:
                continue
            if not overwrite:
                raise CtgridError(f"{path} exists and shows something else; pass --overwrite to replace it")
        gray = to_gray(shard.read(run), window_hu)
        rgb = gray_to_rgb(to_grid(gray[:, None], k))[0].transpose(1, 2, 0)
        info = PngInfo()
        info.add_text(TEXT, text)
        with atomic_output(path, overwrite=True) as temporary:
            Image.fromarray(np.ascontiguousarray(rgb)).save(temporary, format="PNG", pnginfo=info)
        written += 1
    return volume.name, pictures, written


def _text_of(path: Path) -> str | None:
    """Return what a picture says it shows; None where it is none of ours, or damaged."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
            return image.info.get(TEXT)
    except Exception:  # a damaged picture fails in any way it likes
        return None


def _remove_superseded(out: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Remove pictures of an export that --overwrite replaced by another one; nothing that is not ours."""
    files = {picture["file"] for pictures in now.values() for picture in pictures}
    for old in (picture["file"] for pictures in before.values() for picture in pictures):
        if old not in files and _text_of(out / old) is not None:
            (out / old).unlink(missing_ok=True)


def _check_folder(out: Path, manifest: dict[str, Any], overwrite: bool) -> dict[str, Any]:
    """Return the manifest that is there; refuse a folder that cannot be made, or that holds grids of other settings."""
    if out.is_file():
        raise CtgridError(f"cannot write into {out}: it is a file, not a folder")
    if not out.parent.is_dir():
        raise CtgridError(f"cannot write {out}: folder {out.parent} does not exist; create it first")
    path = out / MANIFEST
    if not path.exists():
        return {}
    before = dict_of(path)
    different = [key for key, value in manifest.items() if before.get(key) != value]
    if different and not overwrite:
        raise CtgridError(
            f"{out} holds grids made with another {', '.join(different)}; choose another --out, or pass --overwrite"
        )
    return before


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_output(path, overwrite=True) as temporary:
        temporary.write_text(as_json(content, 1) + "\n", encoding="utf-8")
