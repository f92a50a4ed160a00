"""Conversion: any DiT checkpoint into a folder of ours, with the facts that sampling needs beside the weights."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ctgrid.base.documents import as_json
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_folder, check_apart
from ctgrid.scan.protocols.generatect import CT_RATE_ORIENTATION
from ctgrid.stages.models.facts import STAGE_FILE, StageFacts
from ctgrid.stages.networks.own import CONFIG_FILE, STEM
from ctgrid.stages.networks.positions import Positions
from ctgrid.stages.weights.adapt import Stage, for_stage, with_table
from ctgrid.stages.weights.checkpoints import OWN_KINDS, Checkpoint, read_checkpoint
from ctgrid.stages.weights.datasets import DataSet, find_dataset, usual_k
from ctgrid.stages.weights.load import build
from ctgrid.stages.weights.published import VAE_DOWNSAMPLE
from ctgrid.stages.weights.weights import WeightsName

PUBLISHED_FACTS = "as published: noise prediction, known cells replaced, SD VAE latents scaled by 0.18215; "
CT_RATE_SLICES = f"slices of CT-RATE by protocol generatect, orientation {CT_RATE_ORIENTATION}"

OWN_FACTS = f"no {STAGE_FILE} beside the source: the published models', of slices in display orientation"

OURS = (CONFIG_FILE, STAGE_FILE, f"{STEM}*.safetensors", f"{STEM}*.json", f"{STEM}*.bin", "run*.json")
"""Files of a stage's folder: a folder that holds nothing else may be replaced."""


@dataclass(frozen=True)
class Converted:
    """A finished conversion.

    Attributes:
        folder: the model folder.
        checkpoint: what was read and adapted, with its decisions.
        facts: what was written to ``stage.json``.
        dtype: number format of the weights as written.
    """

    folder: Path
    checkpoint: Checkpoint
    facts: StageFacts
    dtype: torch.dtype

    def describe(self) -> dict[str, Any]:
        """Return stage, configuration, position table and facts, JSON-able."""
        return {**summary(self.checkpoint), "facts": self.facts.as_dict(), "dtype": name_of(self.dtype)}


def convert(
    path: str | Path,
    out: str | Path,
    *,
    stage: Stage | None = None,
    weights: WeightsName | None = None,
    latent_size: int | None = None,
    positions: Positions | None = None,
    heads: int | None = None,
    k: int | None = None,
    dataset: str | None = None,
    half: bool = False,
    overwrite: bool = False,
) -> Converted:
    """Convert a checkpoint to a folder with ``config.json``, safetensors weights and ``stage.json``.

    Args:
        path: whatever :func:`ctgrid.stages.models.load_dit` reads.
        out: the folder to make.
        stage: 1 or 2; None takes 2 where the network has a condition.
        weights: ``ema`` or ``model`` of a training checkpoint; None prefers ``ema``.
        latent_size: side of the latents that the converted network is for; None keeps the checkpoint's.
        positions: replaces the checkpoint's own position table.
        heads: attention heads, where nothing tells.
        k: cells along the side of a grid, where neither the position table nor the arguments tell.
        dataset: that a published checkpoint was trained on, one of
            :data:`ctgrid.stages.weights.datasets.DATASETS`; None tells by what is recorded.
        half: store weights as float16; else in the checkpoint's own format.
        overwrite: replace a model folder that ``out`` is.

    Raises:
        CtgridError: where the checkpoint cannot be read or adapted, or ``out`` not be written.
    """
    path, out = Path(path), Path(out).resolve()
    check_target(path, out, overwrite)
    read = read_checkpoint(path, heads=heads, weights=weights)
    if dataset is not None and read.kind in OWN_KINDS and (read.files[0].parent / STAGE_FILE).is_file():
        raise CtgridError(f"{path}: its {STAGE_FILE} says what it was trained on, so leave --dataset {dataset} out")
    first = (stage or read.stage) == 1
    if k is None and first and read.positions == "2d" and read.kind not in OWN_KINDS:
        k = dataset_of(read, 1, dataset)[0].k
    if k is not None and first and k != read.config["cells_per_side"]:
        if read.positions != "2d" or read.kind in OWN_KINDS:
            own = read.config["cells_per_side"]
            raise CtgridError(f"{path}: was trained on grids of {own} x {own} cells, so leave --k {k} out")
        read = read_checkpoint(path, heads=heads, weights=weights, cells_per_side=k)
    checkpoint = with_table(for_stage(read, stage), latent_size, positions)
    facts, source = facts_of(checkpoint, read, k, dataset)
    checkpoint = checkpoint.deciding("facts", source)
    network = build(checkpoint)
    dtype = torch.float16 if half else checkpoint.dtype
    for parameter in network.parameters():  # the position table stays exact: it is small, and a buffer
        parameter.data = parameter.data.to(dtype)
    if not all(parameter.isfinite().all() for parameter in network.parameters()):
        raise CtgridError(f"{path}: holds values beyond the range of {name_of(dtype)}; convert without --half")
    with atomic_folder(out) as partial:
        network.save_pretrained(partial)
        (partial / STAGE_FILE).write_text(as_json(facts.as_dict(), 1) + "\n", encoding="utf-8")
        for record in out.glob("run*.json"):
            shutil.copy2(record, partial / record.name)
    return Converted(out, checkpoint, facts, dtype)


def check_target(path: Path, out: Path, overwrite: bool) -> None:
    """Make sure that a folder can be written, and that nothing but an older conversion is replaced.

    Raises:
        CtgridError: where it cannot.
    """
    if not out.parent.is_dir():
        raise CtgridError(f"cannot write {out}: folder {out.parent} does not exist; create it first")
    if out.exists() and not out.is_dir():
        raise CtgridError(f"cannot write into {out}: it is a file, not a folder")
    if not out.exists() or not any(out.iterdir()):
        return
    if not overwrite:
        raise CtgridError(f"{out} exists; pass --overwrite to replace it")
    foreign = [file.name for file in out.iterdir() if not any(file.match(pattern) for pattern in OURS)]
    if foreign:
        raise CtgridError(f"{out}: holds {', '.join(sorted(foreign)[:3])}, so it is not replaced; choose another --out")
    check_apart(out, [path], replaces=True)


def dataset_of(source: Checkpoint, stage: int, name: str | None) -> tuple[DataSet, str]:
    """Return the data set of a published checkpoint as it was read, and what told it; see :func:`find_dataset`."""
    return find_dataset(name, stage, source.config["latent_size"], source.metadata, source.path)


def facts_of(
    checkpoint: Checkpoint, source: Checkpoint, k: int | None = None, dataset: str | None = None
) -> tuple[StageFacts, str]:
    """Return the facts of a stage, and where they come from: beside the source, else from the published models.

    The published models predict ε at all levels alike, for images eight times the latent's side, with grids
    encoded whole and known cells replaced. Slices of CT are those of GenerateCT's loader: CT-RATE's files in their own
    order, rows along x. What differs by data set is in :mod:`ctgrid.stages.weights.datasets`.

    Args:
        checkpoint: as it will be written.
        source: as it was read; its size and the arguments of its training script count.
        k: cells along a grid's side, where given.
        dataset: it was trained on, where given.

    Raises:
        CtgridError: for an unknown data set, or a K that its grids cannot have.
    """
    folder = source.files[0].parent
    size, old = checkpoint.config["latent_size"], source.config["latent_size"]
    cells = checkpoint.config["cells_per_side"]
    if source.kind in OWN_KINDS and (folder / STAGE_FILE).is_file():
        facts = StageFacts.read(folder)
        return replace(facts, size=facts.size * size // old, k=k or facts.k), f"{STAGE_FILE} of the source"
    found, how = dataset_of(source, checkpoint.stage, dataset)
    k = k or (usual_k(found, source.metadata) if checkpoint.stage == 2 else cells)
    if source.kind in OWN_KINDS and dataset is None:
        return StageFacts(size=size * VAE_DOWNSAMPLE, k=k), OWN_FACTS
    facts = found.facts(checkpoint.stage, size, k)
    of = CT_RATE_SLICES if facts.content == "ct" else f"frames of {found.title}, {facts.size} pixels in colour"
    grids = f"{k} x {k} cells of {facts.cell_size} pixels"
    return facts, f"{PUBLISHED_FACTS}{of}, {grids} ({found.title}: {how})"


def summary(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what a checkpoint is, JSON-able."""
    return {
        "kind": checkpoint.kind,
        "stage": checkpoint.stage,
        "parameters": checkpoint.parameters,
        "positions": checkpoint.positions,
        "dtype": name_of(checkpoint.dtype),
        "config": checkpoint.config,
        "decisions": checkpoint.decisions,
    }


def name_of(dtype: torch.dtype) -> str:
    """Return ``float16`` for ``torch.float16``."""
    return str(dtype).removeprefix("torch.")
