"""A model as users name it: a folder with ``codec``, ``stage1`` and ``stage2``, and the facts that go with them.

Two parts are optional: ``gaps``, a stage 1 of its own for what lies between keyframes, and ``detail``, the network of
the denoisers' detail step.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ctgrid.base.documents import json_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_folder
from ctgrid.stages.codecs.codecs import Codec, load_codec
from ctgrid.stages.models.facts import STAGE_FILE, StageFacts
from ctgrid.stages.models.parts import (
    DETAIL,
    GAPS,
    PARTS,
    TRUST,
    Parts,
    digest_of_model,
    find_parts,
    model_folder,
    part_folder,
)
from ctgrid.stages.models.sources import EMBEDDED, EMBEDDED_FOLDER
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.networks.stacked import network_sizes
from ctgrid.stages.weights.load import load_dit
from ctgrid.stages.weights.own import load_own, moved

if TYPE_CHECKING:
    from ctgrid.stages.networks.details import DetailNetwork

__all__ = [
    "DETAIL",
    "EMBEDDED",
    "EMBEDDED_FOLDER",
    "GAPS",
    "PARTS",
    "Bundle",
    "digest_of_model",
    "load_bundle",
    "load_detail",
    "load_parts",
    "load_stage",
    "model_folder",
    "pack",
    "part_folder",
]

GAPS_REACH = 0.125
"""How much other than in training, as a share, the distance of slices may be for the network of gaps."""


@dataclass(frozen=True)
class Bundle:
    """Codec and stages of one model, on one device, in evaluation mode.

    Attributes:
        name: as the user named it.
        folder: where its files lie.
        hashes: SHA-256 of the weights by path.
        source: where it came from, see :func:`ctgrid.stages.models.sources.describe_source`.
        gaps: the stage 1 that fills gaps between keyframes, where the model has one of its own for that.
        facts_gaps: its facts.
        detail: the network of the detail step, where the model has one.
    """

    name: str
    folder: Path
    codec: Codec
    stage1: DiT
    stage2: DiT
    facts1: StageFacts
    facts2: StageFacts
    hashes: dict[str, str] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    gaps: DiT | None = None
    facts_gaps: StageFacts | None = None
    detail: DetailNetwork | None = None

    def filler(self, slices: int) -> tuple[DiT, StageFacts]:
        """Return the network that fills gaps between keyframes, and its facts.

        Windows are drawn from neighbouring slices, so a network trained on them alone knows one distance: where slices
        lie clearly closer or further apart than in its training, stage 1 fills the gaps.

        Args:
            slices: of the volume, or of the coarse sequence that it is interpolated from.
        """
        if self.gaps is None or self.facts_gaps is None or not self._gaps_reach(slices):
            return self.stage1, self.facts1
        return self.gaps, self.facts_gaps

    def coarse_count(self, slices: int) -> int:
        """Return how many coarse slices are sampled for a volume of so many that has gaps between keyframes.

        As many; but where that is out of the reach of a network for gaps, as many as it was trained with, between which
        the volume's are interpolated: what it knows of a chest is worth more than slices of their own.
        """
        if self.facts_gaps is None or slices <= self.facts1.k**2 or self._gaps_reach(slices):
            return slices
        return self.facts_gaps.slices

    def _gaps_reach(self, slices: int) -> bool:
        return self.facts_gaps is not None and abs(self.facts_gaps.slices / slices - 1) <= GAPS_REACH

    def describe(self) -> dict[str, Any]:
        """Return name, origin, file hashes and facts, for run records."""
        return {
            "name": self.name,
            "source": self.source,
            "files": self.hashes,
            "stage1": self.facts1.as_dict(),
            "stage2": self.facts2.as_dict(),
            **({} if self.facts_gaps is None else {"gaps": self.facts_gaps.as_dict()}),
        }


def load_stage(folder: Path) -> DiT:
    """Load one stage from a folder as saved by training, float32, in evaluation mode.

    Raises:
        CtgridError: where config or weights are missing or do not fit.
    """
    if not (folder / "config.json").exists():
        raise CtgridError(f"{folder}: no stage here; expected a folder with config.json and weights")
    return load_dit(folder).float().eval().requires_grad_(False)


def load_bundle(name: str | Path | Parts, device: torch.device | str = "cpu") -> Bundle:
    """Load a model by name.

    Args:
        name: as :func:`model_folder` takes it, or what :func:`ctgrid.stages.models.parts.find_parts` found; nothing is
            downloaded.
        device: where the weights go.

    Raises:
        CtgridError: where a part is missing or unreadable, or the parts do not fit together.
    """
    parts = name if isinstance(name, Parts) else find_parts(name)
    codec, stage1, stage2, facts1, facts2 = load_parts(parts.codec, parts.stage1, parts.stage2)
    for run, identity in parts.trained_on:
        if identity != codec.identity:
            raise CtgridError(
                f"{run}: it was trained with another codec than {parts.codec}, whose latents it does not know; "
                "name its own with --codec"
            )
    hashes = parts.hashes()
    gaps, facts_gaps = (None, None) if parts.gaps is None else load_gaps(parts.gaps, stage1, facts1)
    return Bundle(
        name=parts.name,
        folder=parts.stage1.parent,
        codec=codec.to(device),
        stage1=moved(stage1, device),
        stage2=moved(stage2, device),
        facts1=facts1,
        facts2=facts2,
        hashes=hashes,
        source=parts.describe(hashes),
        gaps=None if gaps is None else moved(gaps, device),
        facts_gaps=facts_gaps,
        detail=None if parts.detail is None else moved(read_detail(parts.detail), device),
    )


def load_gaps(folder: Path, stage1: DiT, facts1: StageFacts) -> tuple[DiT, StageFacts]:
    """Load the stage 1 that fills gaps, with its facts.

    Args:
        folder: of the part.
        stage1: that makes the keyframes.
        facts1: its facts.

    Raises:
        CtgridError: where it is missing, unreadable, or does not take the cells that ``stage1`` makes.
    """
    network, facts = load_stage(folder), StageFacts.read(folder)
    same = ("size", "k", "scale", "slices", "cell_encoding", "content", "channels", "layout", "orientation")
    wanted = {name: (getattr(facts, name), getattr(facts1, name)) for name in same}
    for name in ("in_channels", "latent_size", "cells_per_side", "absolute_z"):
        wanted[name] = getattr(network, name), getattr(stage1, name)
    for name, (one, other) in wanted.items():
        if one != other:
            raise CtgridError(f"{folder}: it does not fit stage 1: {name} differs, {one} and {other}")
    return network, facts


def load_detail(folder: Path) -> DetailNetwork:
    """Load a model's detail part, float32, in evaluation mode.

    Args:
        folder: of the model.

    Raises:
        CtgridError: where the model has none, or it cannot be read.
    """
    part = folder / DETAIL
    if not (part / "config.json").exists():
        raise CtgridError(
            f"{folder}: this model has no detail part (a folder {DETAIL} with config.json and weights, as made by "
            "ctgrid train detail); use --method grid"
        )
    return read_detail(part)


def read_detail(part: Path) -> DetailNetwork:
    """Read a detail network from its own folder; see :func:`load_detail`."""
    from ctgrid.stages.networks.details import class_of

    config = json_of(part / "config.json", "a detail network's config", "copy the folder again")
    return load_own(class_of(config), part, "detail network").requires_grad_(False)


def load_parts(codec: Path, stage1: Path, stage2: Path) -> tuple[Codec, DiT, DiT, StageFacts, StageFacts]:
    """Load codec and stages from three folders, with the stages' facts.

    Raises:
        CtgridError: where a part is missing or unreadable, or the parts do not fit together.
    """
    network, models = load_codec(codec), (load_stage(stage1), load_stage(stage2))
    facts1, facts2 = (StageFacts.read(folder) for folder in (stage1, stage2))
    sizes = network_sizes(facts1.layout, facts1.k, facts1.grid_size // network.downsample, network.latent_channels)
    wanted = {
        "the sizes of slices of both stages": (facts1.size, facts2.size),
        "k of both stages": (facts1.k, facts2.k),
        "the scale of both stages": (facts1.factor, facts2.factor),
        "the content of both stages": (facts1.content, facts2.content),
        "the image channels of both stages": (facts1.channels, facts2.channels),
        "the orientation of both stages' slices": (facts1.orientation, facts2.orientation),
        "stage 1's cells per side and its k": (models[0].cells_per_side, sizes["cells_per_side"]),
        "stage 1's latent channels and the codec's": (models[0].in_channels, sizes["in_channels"]),
        "stage 2's latent channels and the codec's": (models[1].in_channels, network.latent_channels),
        "stage 2's condition channels and the codec's": (models[1].condition_channels, network.latent_channels),
        "stage 1's latent size and its grids'": tuple(
            n * network.downsample for n in (models[0].latent_size, sizes["latent_size"])
        ),
        "stage 2's latent size and its slices'": (models[1].latent_size * network.downsample, facts2.size),
    }
    for what, (one, other) in wanted.items():
        if one != other:
            raise CtgridError(f"{stage1.parent}: the parts do not fit together: {what} differ, {one} and {other}")
    return network.colour() if facts1.channels == 3 else network, *models, facts1, facts2


def pack(
    codec: Path,
    stage1: Path,
    stage2: Path,
    out: Path,
    *,
    gaps: Path | None = None,
    detail: Path | None = None,
    half: bool = False,
    overwrite: bool = False,
) -> Path:
    """Put the results of three training runs into one model folder.

    Args:
        codec: a training run or model folder of the codec, ``embedded``, or ``hub:owner/name`` of one fetched.
        stage1: likewise of stage 1.
        stage2: likewise of stage 2.
        out: the model folder to make.
        gaps: likewise of the stage 1 that fills gaps between keyframes; None leaves that to ``stage1``.
        detail: likewise of the detail network; None for a model without.
        half: store the weights as float16, half the size.
        overwrite: replace parts that ``out`` holds already.

    Raises:
        CtgridError: where a part is missing or does not fit the others, or ``out`` holds one already.
    """
    sources = {}
    given = dict(zip(PARTS, (codec, stage1, stage2), strict=True))
    given |= {part: path for part, path in ((GAPS, gaps), (DETAIL, detail)) if path is not None}
    for part, folder in given.items():
        source = part_folder(folder, part)
        if not (source / "config.json").exists():
            raise CtgridError(f"{folder}: no trained {part} here; expected a run, or a folder (see model convert)")
        if (out / part).exists() and not overwrite:
            raise CtgridError(f"{out / part} exists; pass --overwrite to replace it")
        sources[part] = source
    if not out.parent.is_dir():
        raise CtgridError(f"cannot write {out}: folder {out.parent} does not exist; create it first")
    loaded, *stages, facts1, _ = load_parts(*(sources[part] for part in PARTS))
    networks: list[Any] = [loaded.network, *stages]
    if gaps is not None:
        networks.append(load_gaps(sources[GAPS], stages[0], facts1)[0])
    if detail is not None:
        networks.append(read_detail(sources[DETAIL]))
    new = not out.exists()
    try:
        out.mkdir(exist_ok=True)
        with ExitStack() as all_parts:  # each gets its name once all are written
            for (part, source), network in zip(sources.items(), networks, strict=True):
                partial = all_parts.enter_context(atomic_folder(out / part))
                (network.half() if half else network).save_pretrained(partial)
                for name in (STAGE_FILE, TRUST):
                    if (source / name).exists():
                        shutil.copy(source / name, partial / name)
    except BaseException:
        if new:
            shutil.rmtree(out, ignore_errors=True)
        raise
    return out
