"""Codec latents kept in a store: the posterior's mean and variance, for one codec and one state of the slices.

::

    X.zarr/NAME/latents/CODEC/slices/mean          (n, c, S/8, S/8)      float16 or float32
    X.zarr/NAME/latents/CODEC/slices/log_variance  likewise
    X.zarr/NAME/latents/CODEC/coarse/...           of every coarse slice by itself, (n, c, S/8k, S/8k)

CODEC is the beginning of the codec's identity (:attr:`ctgrid.stages.codecs.codecs.Codec.identity`). The attributes hold
the whole identity and a digest of the slices encoded: where either differs, the latents are stale and not used. The
variance is kept as its logarithm, for 16 bits hold 1e-8 only so. A volume that is prepared anew loses its latents.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from ctgrid.base.documents import dict_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.extras import require
from ctgrid.base.files import atomic_output
from ctgrid.base.precision import autocast
from ctgrid.base.progress import Progress, silent
from ctgrid.data.store.names import NODE
from ctgrid.data.store.shards import Shard
from ctgrid.data.stored import StoreSlices, row_numbers, stored_volumes

if TYPE_CHECKING:
    from ctgrid.data.store import Store
    from ctgrid.stages.codecs.codecs import Codec

Of = Literal["slices", "coarse"]
State = Literal["missing", "stale", "ready"]
FOLDER = "latents"
IDENTITY_DIGITS = 16
BATCH_PIXELS = 8 * 512 * 512
"""Pixels encoded at once."""


@dataclass(frozen=True)
class StoredLatents:
    """Latents of one volume under one codec, there or not.

    Attributes:
        volume: whose slices.
        of: full-size or coarse slices.
        identity: of the codec.
    """

    volume: StoreSlices
    of: Of
    identity: str

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.volume.folder / FOLDER / self.identity[:IDENTITY_DIGITS] / self.of

    @property
    def attributes(self) -> dict[str, Any]:
        """What they were made from and how; empty where they are missing or damaged."""
        attributes = dict_of(self.folder / NODE).get("attributes")
        return attributes if isinstance(attributes, dict) else {}

    def state(self) -> State:
        """Tell whether they are there and belong to this codec and to the slices as they are now.

        Raises:
            CtgridError: where the slices themselves are damaged.
        """
        if not self.folder.exists():
            return "missing"
        known = self.attributes
        source = Shard.open(self.volume.folder / self.of).digest()
        return "ready" if (known.get("codec"), known.get("source")) == (self.identity, source) else "stale"

    def mean(self, index: Tensor | slice | int = slice(None)) -> Tensor:
        """Return the posterior mean of slices, normalised, (m, c, h, w) float32, (c, h, w) for one number."""
        return self._read("mean", index)

    def variance(self, index: Tensor | slice | int = slice(None)) -> Tensor:
        """Return the posterior variance, likewise."""
        return self._read("log_variance", index).exp()

    def _read(self, name: str, index: Tensor | slice | int) -> Tensor:
        rows = row_numbers(index, len(self.volume))
        values = torch.from_numpy(Shard.open(self.folder / name).read(rows).astype(np.float32))
        return values[0] if isinstance(index, int) else values


@dataclass
class LatentReport:
    """What :func:`write_latents` did: names of volumes whose latents were made, made anew, or there already."""

    codec: str
    made: list[str] = field(default_factory=list)
    renewed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts, and the codec's identity."""
        counts = {name: len(getattr(self, name)) for name in ("made", "renewed", "kept")}
        return {"codec": self.codec, **counts}


def write_latents(
    store: Store,
    codec: Codec,
    of: Sequence[Of] = ("slices", "coarse"),
    names: Iterable[str] | None = None,
    *,
    keep: Literal["float16", "float32"] = "float16",
    compute: torch.dtype = torch.float32,
    progress: Progress = silent,
) -> LatentReport:
    """Encode the slices of a store once and for all; those that are there already and fit are left alone.

    Each volume's latents are complete or not there, so a killed run goes on where it was.

    Args:
        store: gets the latents.
        codec: on the device to compute on.
        of: which slices.
        names: of volumes; None takes all.
        keep: number format of what is stored.
        compute: number format of the codec's arithmetic; other than float32 by autocast.
        progress: called after every volume.

    Raises:
        CtgridError: where a volume is damaged, a size does not suit the codec, or the disk is full.
    """
    from ctgrid.data.store.write import remove_stale

    for side, which in ((store.settings.size, "slices"), (store.settings.coarse_size, "coarse")):
        if which in of and side % codec.downsample:
            raise CtgridError(
                f"{store.path}: {which} of {side} x {side} pixels cannot be encoded, their side is no multiple of "
                f"{codec.downsample}" + ("; choose --of slices" if which == "coarse" else "")
            )
    remove_stale(store.path)
    volumes = stored_volumes(store, store.names() if names is None else names)
    report = LatentReport(codec.identity)
    for done, volume in enumerate(volumes):
        progress("encoding volumes", done, len(volumes))
        before = {which: _fitting(StoredLatents(volume, which, codec.identity), keep) for which in of}
        for which in (which for which, state in before.items() if state != "ready"):
            _write(store.path, StoredLatents(volume, which, codec.identity), codec, keep, compute)
        group = report.kept if set(before.values()) == {"ready"} else report.made
        (report.renewed if "stale" in before.values() else group).append(volume.name)
    progress("encoding volumes", len(volumes), len(volumes))
    return report


def remove_latents(
    store: Store, identity: str | None = None, of: Sequence[Of] = ("slices", "coarse"), progress: Progress = silent
) -> int:
    """Remove latents, fitting or stale.

    Args:
        store: to remove them from.
        identity: of the codec whose latents go; None removes those of every codec.
        of: which.
        progress: called after every volume.

    Returns:
        The number of volumes that held some.
    """
    from ctgrid.data.store.write import workspace

    names, removed = store.names(), 0
    for done, name in enumerate(names):
        progress("removing latents", done, len(names))
        root = store.path / name / FOLDER
        codecs = latent_codecs(root.parent) if identity is None else [identity[:IDENTITY_DIGITS]]
        there = [path for codec in codecs for which in of if (path := root / codec / which).is_dir()]
        removed += bool(there)
        for path in there:
            with workspace(store.path) as folder:  # which takes what is moved there along when it goes
                path.rename(folder / path.name)
        for path in (*(root / codec for codec in codecs), root):
            if path.is_dir() and not any(child.is_dir() for child in path.iterdir()):
                shutil.rmtree(path)
    progress("removing latents", len(names), len(names))
    return removed


def latent_codecs(volume: Path) -> list[str]:
    """Return the beginnings of the identities of the codecs that a volume holds latents of, sorted."""
    folder = volume / FOLDER
    return sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def _fitting(latents: StoredLatents, keep: str) -> State:
    state = latents.state()
    return "stale" if state == "ready" and latents.attributes.get("kept") != keep else state


def _write(store: Path, latents: StoredLatents, codec: Codec, keep: str, compute: torch.dtype) -> None:
    """Encode and write the latents of one volume, complete or not at all."""
    from ctgrid.data.store.write import put, workspace, write_shard

    source = Shard.open(latents.volume.folder / latents.of).digest()
    mean, log_variance = _encode(latents, codec, np.dtype(keep), compute)
    attributes = {
        "codec": codec.identity,
        "codec_name": codec.name,
        "source": source,
        "computed": str(compute).removeprefix("torch."),
        "kept": keep,
    }
    target = latents.folder
    try:
        with workspace(store) as folder:
            group = require("zarr").create_group(folder / "new", zarr_format=3, attributes=attributes)
            for name, array in (("mean", mean), ("log_variance", log_variance)):
                # no latent is NaN, so that no slice is left out of its shard
                write_shard(group, name, array, fill_value=float("nan"), dimension_names=("z", "channel", "y", "x"))
            for parent in (target.parents[1], target.parent):
                _make_group(parent)
            put(folder, target, overwrite=True)
    except OSError as error:
        raise CtgridError(f"cannot write {target}: {error.strerror or error}") from error


@torch.no_grad()
def _encode(
    latents: StoredLatents, codec: Codec, keep: np.dtype, compute: torch.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and log-variance of every slice, batch by batch."""
    volume, settings = latents.volume, latents.volume.settings
    read, side = (volume.unit, settings.size) if latents.of == "slices" else (volume.coarse, settings.coarse_size)
    shape = (len(volume), codec.latent_channels, side // codec.downsample, side // codec.downsample)
    mean, log_variance = np.empty(shape, keep), np.empty(shape, keep)
    batch = max(1, BATCH_PIXELS // side**2)
    for first in range(0, len(volume), batch):
        part = slice(first, first + batch)
        images = read(part)[:, None].to(codec.device)
        with autocast(codec.device, compute):
            values, variance = codec.posterior(images)
        mean[part], log_variance[part] = values.float().cpu().numpy(), variance.float().log().cpu().numpy()
    if not np.isfinite(mean).all():
        raise CtgridError(f"{volume.folder}: the codec's latents are not finite in {keep}; use float32")
    return mean, log_variance


def _make_group(folder: Path) -> None:
    """Make a plain Zarr group; two makers at once do no harm."""
    folder.mkdir(exist_ok=True)
    if not (folder / NODE).exists():
        with atomic_output(folder / NODE, overwrite=True) as temporary:
            node = {"attributes": {}, "zarr_format": 3, "node_type": "group"}
            temporary.write_text(json.dumps(node, indent=2), encoding="utf-8")
