"""What is made of the volumes of a folder ahead of training, and kept: the whole that it depends on."""

from __future__ import annotations

import torch

from ctgrid.methods.training.data import TrainingData
from ctgrid.methods.training.recipes import DiffusionRecipe
from ctgrid.stages.codecs.codecs import Codec

MODEL_KEYS = {
    "network",
    "start",
    "prediction",
    "min_snr_gamma",
    "codec",
    "channel_weights",
    "taught_by",
    "taught_from",
    "layout",
    "sampler",
    "sampling_steps",
    "sampling_stop",
    "fill_steps",
    "fill_spacing",
    "habitus",
}
"""Keys of a recipe that say what is trained, or are told in other words."""

DRAWING_KEYS = {
    "strides",
    "starts",
    "keyframe_share",
    "window_share",
    "reversed_share",
    "unknown_share",
    "mending_share",
    "timestep_shift",
    "window_shift",
    "window_spacing_mm",
    "drawn_share",
    "drawn_by",
    "drawn_levels",
    "drawn_sets",
}
"""Keys that say which grids are drawn from cached volumes."""

USUAL = {
    "degradation": "ctgrid",
    "scale": None,
    "mirrored": False,
    "zoom_share": 0.1,
    "width_share": 0.0,
    "feet_share": 0.0,
    "bone_weight": 0.0,
}
"""Keys that came later, with what held before them."""


def identity(
    recipe: DiffusionRecipe, data: TrainingData, codec: Codec, seed: int, compute: torch.dtype
) -> dict[str, object]:
    """Return everything that cached tensors depend on.

    ``compute`` is the format that the run decided on, wherever it goes on, so that a run moved to other hardware keeps
    its latents. It is left out for bfloat16, in which all latents were made before there was a choice.
    """
    settings = recipe.model_dump(mode="json", exclude=MODEL_KEYS | DRAWING_KEYS)
    if settings.get("bone_weight"):
        settings["bone_weight"] = True  # where bone is is kept, whatever it weighs
    for key, usual in USUAL.items():
        if settings.get(key) == usual:
            settings.pop(key, None)  # latents of before there was a choice are these
    content = {"recipe": settings, "seed": seed, "codec": codec.identity, "volumes": data.digests}
    return content if compute == torch.bfloat16 else {**content, "compute": str(compute).removeprefix("torch.")}
