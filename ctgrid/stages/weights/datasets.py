"""What the published models were trained on, by data set: facts of sampling that their checkpoints do not record.

All have grid images of 512 pixels. CT-RATE's slices have as many, so that stage 2 enlarges K times; the frames of
SkyTimelapse and Taichi-HD have 256 and are enlarged K / 2 times (2 for K = 4), Minecraft's 128 and K / 4 (2 for K = 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ctgrid.base.errors import CtgridError
from ctgrid.base.families import look_up
from ctgrid.scan.protocols.generatect import CT_RATE_ORIENTATION
from ctgrid.stages.models.facts import StageFacts
from ctgrid.stages.weights.published import VAE_DOWNSAMPLE

FRAMES_OF_VIDEO = 256
"""Pixels of SkyTimelapse's and Taichi-HD's frames; no other published stage 2 has as many."""


@dataclass(frozen=True)
class DataSet:
    """One of the paper's.

    Attributes:
        title: as the paper writes it.
        k: cells along a grid's side, as most of its results have them.
        ratio: sides of a grid image over those of a frame.
        words: by which paths name it.
        content: what it holds.
        channels: of its images.
    """

    title: str
    k: int
    ratio: int
    words: tuple[str, ...]
    content: Literal["ct", "video"] = "video"
    channels: Literal[1, 3] = 3

    def facts(self, stage: int, latent_size: int, k: int) -> StageFacts:
        """Return the facts of a stage: noise prediction, grids encoded whole, known cells replaced.

        Args:
            stage: 1, whose latents are those of grid images, or 2, whose are those of frames.
            latent_size: side of its latents.
            k: cells along a grid's side.

        Raises:
            CtgridError: where K is no multiple of the ratio, so that cells would be larger than frames.
        """
        if k % self.ratio:
            raise CtgridError(
                f"grids of {self.title} are {self.ratio} times as large as its frames, so K is a multiple of "
                f"{self.ratio}, not {k}; give another --k or --dataset"
            )
        side = latent_size * VAE_DOWNSAMPLE
        size = side if stage == 2 else side // self.ratio
        slices: dict[str, Any] = (
            {"protocol": "generatect", "orientation": CT_RATE_ORIENTATION} if self.content == "ct" else {}
        )
        scale = None if self.ratio == 1 else k // self.ratio
        return StageFacts(size=size, k=k, scale=scale, content=self.content, channels=self.channels, **slices)


DATASETS = {
    "ct-rate": DataSet("CT-RATE", 4, 1, ("ct-rate", "ct_rate", "ctrate"), "ct", 1),
    "sky": DataSet("SkyTimelapse", 4, 2, ("sky",)),
    "taichi": DataSet("Taichi-HD", 4, 2, ("taichi", "tai-chi")),
    "minecraft": DataSet("Minecraft", 8, 4, ("minecraft",)),
}


def find_dataset(
    name: str | None, stage: int, latent_size: int, metadata: Mapping[str, Any], path: Path
) -> tuple[DataSet, str]:
    """Return the data set of a published checkpoint, and what told it.

    Args:
        name: as the user says; None tells by what there is.
        stage: 1 or 2.
        latent_size: side of its latents.
        metadata: arguments of the training script.
        path: the checkpoint's.

    Raises:
        CtgridError: for an unknown name.
    """
    if name is not None:
        return look_up(DATASETS, name, "published data set"), "as asked for"
    for what, text in (("the folder it was trained on", metadata.get("data_path")), ("its file's name", path.name)):
        named = [found for found in DATASETS.values() if any(word in str(text or "").lower() for word in found.words)]
        if len(named) == 1:
            return named[0], f"told by {what}"
    if stage == 2 and latent_size * VAE_DOWNSAMPLE == FRAMES_OF_VIDEO and metadata.get("sr_scale") == 2:
        told = f"told by its frames of {FRAMES_OF_VIDEO} pixels and enlargement of 2; Taichi-HD's are alike"
        return DATASETS["sky"], told
    return DATASETS["ct-rate"], "as nothing tells another; the video models need --dataset"


def usual_k(dataset: DataSet, metadata: Mapping[str, Any]) -> int:
    """Return K of a stage 2: from the enlargement that GriDiT records as ``sr_scale``, else the data set's usual."""
    scale = metadata.get("sr_scale")
    return scale * dataset.ratio if isinstance(scale, int) and scale > 0 else dataset.k
