"""Ways to bring slices back that were shrunk to the cells of a grid: stage 2, and what it must be better than."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ctgrid.base.families import unknown
from ctgrid.base.progress import Progress, silent
from ctgrid.data.degrade import enlarge
from ctgrid.scan.grid import downsample
from ctgrid.scan.protocols.canonical import DISPLAY
from ctgrid.scan.protocols.oriented import turn_images

if TYPE_CHECKING:
    from ctgrid.methods.denoising.methods import Loading
    from ctgrid.methods.pipeline import ModelPipeline
    from ctgrid.runs.evaluation.samples import Sample
    from ctgrid.runs.evaluation.sinsr import SinSRSettings

Upscaler = Callable[[Tensor, Tensor], Tensor]
"""From coarse slices (B, 1, s, s) in [-1, 1] to full ones (B, 1, S, S); ``codec`` alone takes the second, the truth."""

METHODS = {
    "stage2": "the model's second stage",
    "stage2-projected": "the same, then corrected as back-projection does",
    "bicubic": "bicubic interpolation, which is what stage 2 gets",
    "lanczos": "Lanczos interpolation of Pillow, of 3 lobes",
    "back-projection": "bicubic, then corrected until it shrinks to the coarse slice (Irani and Peleg 1991)",
    "patch-regression": "local linear regression on patches, fitted on --train",
    "sinsr": "SinSR's public code and weights, one step, in an environment of its own",
    "codec": "the full slice through the codec alone: the ceiling for stage 2, no super-resolution",
}

NETWORKS = ("stage2", "stage2-projected", "codec")
REFINED = ("stage2", "stage2-projected")
"""Methods that need a model; those of :data:`REFINED` its second stage."""

FITTED = "patch-regression"
SINSR = "sinsr"

BACK_PROJECTIONS = 20
FITTED_SLICES = 16
"""Slices of a training volume that patch regression is fitted on, evenly spaced."""


@dataclass
class Upscalers:
    """Methods that were loaded or fitted, each once, when first needed.

    Attributes:
        k: factor.
        size: S, pixels of full slices.
        loading: of the model.
        seed: of stage 2.
        refine_steps: of stage 2; None takes the default of synthesis.
        train: volumes that patch regression is fitted on.
        sinsr: where SinSR is.
        progress: told of every training volume.
    """

    k: int
    size: int
    loading: Loading
    seed: int = 0
    refine_steps: int | None = None
    train: Sequence[Sample] = ()
    sinsr: SinSRSettings | None = None
    progress: Progress = silent
    _pipeline: ModelPipeline | None = field(default=None, repr=False)
    _ready: dict[str, Upscaler] = field(default_factory=dict, repr=False)

    def get(self, name: str) -> Upscaler:
        """Return a method, ready to run.

        Raises:
            CtgridError: where the model cannot be loaded, or there is nothing to fit on.
        """
        if name not in self._ready:
            self._ready[name] = self._made(name)
        return self._ready[name]

    def _made(self, name: str) -> Upscaler:
        if name == "bicubic":
            return lambda coarse, full: enlarge(coarse, self.k)
        if name == "lanczos":
            return lambda coarse, full: lanczos(coarse, self.k)
        if name == "back-projection":
            return lambda coarse, full: back_projected(coarse, self.k)
        if name == FITTED:
            fitted = self._fitted()
            return lambda coarse, full: fitted(coarse)
        if name == SINSR and self.sinsr is not None:
            from ctgrid.runs.evaluation.sinsr import SinSR

            enlarged = SinSR(self.sinsr, self.seed, self.loading.device)
            return lambda coarse, full: enlarged(coarse)
        if name in REFINED:
            return partial(self._refined, self.pipeline, BACK_PROJECTIONS if name == "stage2-projected" else 0)
        if name == "codec":
            pipeline = self.pipeline  # loaded now: what comes later is timed
            return lambda coarse, full: self._coded(pipeline, full)
        raise unknown(name, "super-resolution method", METHODS)

    @property
    def pipeline(self) -> ModelPipeline:
        """The model, loaded."""
        if self._pipeline is None:
            from ctgrid.methods.pipeline import ModelPipeline

            loading = self.loading
            self._pipeline = ModelPipeline.load(model=loading.model, device=loading.device, dtype=loading.dtype)
        return self._pipeline

    def _fitted(self) -> Callable[[Tensor], Tensor]:
        from ctgrid.methods.denoising.baselines.patch_regression import PatchRegression

        slices: list[np.ndarray] = []
        for i, sample in enumerate(self.train):
            self.progress("reading training volumes", i, len(self.train))
            hu = sample.load().hu
            chosen = np.unique(np.linspace(0, len(hu) - 1, min(FITTED_SLICES, len(hu))).round().astype(int))
            slices += [hu[j].copy() for j in chosen]
        self.progress("fitting", 0, 1)
        return PatchRegression.fit(slices, self.k).enlarge

    @torch.no_grad()
    def _refined(self, pipeline: ModelPipeline, rounds: int, coarse: Tensor, full: Tensor) -> Tensor:
        from ctgrid.base.precision import autocast
        from ctgrid.methods.synthesis.settings import REFINE_STEPS
        from ctgrid.stages.cells import refine

        own = pipeline.bundle.facts2.orientation
        with autocast(pipeline.device, pipeline.dtype):
            steps = self.refine_steps or REFINE_STEPS
            made = refine(pipeline.bundle, turn_images(coarse, DISPLAY, own), seed=self.seed, steps=steps)[0].float()
        made = turn_images(made, own, DISPLAY)
        return projected(made, coarse, self.k, rounds) if rounds else made

    def coded_coarse(self, coarse: Tensor) -> Tensor:
        """Return coarse slices (B, 1, s, s) as the model's first stage would hand them on: through its codec."""
        return self._coded(self.pipeline, coarse)

    @torch.no_grad()
    def _coded(self, pipeline: ModelPipeline, images: Tensor) -> Tensor:
        from ctgrid.base.precision import autocast

        codec, own = pipeline.bundle.codec, pipeline.bundle.facts2.orientation
        turned = turn_images(images, DISPLAY, own)
        with autocast(pipeline.device, pipeline.dtype):
            return turn_images(codec.decode(codec.encode(turned.to(codec.device))).cpu().float(), own, DISPLAY)


def lanczos(coarse: Tensor, k: int) -> Tensor:
    """Enlarge (B, 1, s, s) by Lanczos interpolation of 3 lobes, clipped to [-1, 1]."""
    import PIL.Image

    made = []
    for image in coarse[:, 0].numpy():
        size = (image.shape[1] * k, image.shape[0] * k)
        made.append(np.asarray(PIL.Image.fromarray(image).resize(size, PIL.Image.Resampling.LANCZOS)))
    return torch.from_numpy(np.stack(made))[:, None].clamp(-1, 1)


def back_projected(coarse: Tensor, k: int, rounds: int = BACK_PROJECTIONS) -> Tensor:
    """Enlarge (B, 1, s, s) in [-1, 1] so that it shrinks to the coarse slices again, to (B, 1, k s, k s)."""
    return projected(enlarge(coarse, k), coarse, k, rounds)


def projected(made: Tensor, coarse: Tensor, k: int, rounds: int = BACK_PROJECTIONS) -> Tensor:
    """Correct full slices by what their coarse versions lack: x ← x + enlarge(coarse - shrink(x)).

    Args:
        made: (B, 1, k s, k s).
        coarse: (B, 1, s, s) in [-1, 1], what they should shrink to.
        k: factor.
        rounds: of correction.

    Returns:
        (B, 1, k s, k s), clipped to [-1, 1].
    """
    for _ in range(rounds):
        made = made + enlarge(coarse - downsample(made, k), k)
    return made.clamp(-1, 1)
