"""Overfit stage 1 on 32 grids: does training reach a loss, and do samples reach a likeness, that chance cannot?

    python benchmarks/overfit.py --steps 600

32 grids of 4 x 4 coarse slices of procedural chests, encoded by the embedded codec, are learnt by a small DiT through
the training loop itself. Prints one JSON object: the loss at the start and at the end, and the distance of 16 samples
to their nearest training grid over the distance of training grids to theirs, before and after.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from ctgrid.base.draws import generator_for, normal
from ctgrid.data.simulate.phantom import phantom
from ctgrid.methods.training.loop import fit
from ctgrid.methods.training.optimisation import Optimisation
from ctgrid.methods.training.recipes import GridRecipe
from ctgrid.methods.training.stage1 import GridTask
from ctgrid.scan.grid import downsample, to_grid
from ctgrid.scan.protocols.canonical import to_canonical
from ctgrid.stages.diffusion.sampling import sample
from ctgrid.stages.models.bundle import load_bundle
from ctgrid.stages.models.facts import StageFacts
from ctgrid.stages.weights.load import load_dit

SIZE, GRIDS, SAMPLES = 128, 32, 16
NETWORK = {"patch_size": 2, "width": 192, "depth": 6, "heads": 3, "learned_variance": False}


def training_cells() -> tuple[GridTask, Tensor]:
    """Return the task and the grids (32, c, s, s) it draws from: eight chests, four runs of 16 slices each."""
    codec = load_bundle("embedded").codec
    runs = []
    for seed in range(GRIDS // 4):
        unit, _ = to_canonical(phantom(seed, shape=(64, SIZE, SIZE)), size=SIZE, slices=64)
        small = downsample(torch.from_numpy(unit)[:, None], 4).clamp(-1, 1)
        cells = codec.encode(small)
        runs += [cells[first : first + 16] for first in range(0, 64, 16)]
    recipe = GridRecipe(network=NETWORK, prediction="v", size=SIZE, k=4, slices=16, cell_encoding="cell", strides=(1,))
    coarse = torch.stack(runs)
    return GridTask(recipe, coarse, codec, StageFacts(prediction="v", size=SIZE, k=4)), to_grid(coarse.flatten(0, 1), 4)


def likeness(network: Any, grids: Tensor) -> float:
    """Return the mean distance of samples to the nearest training grid over that among training grids."""
    noise = normal((SAMPLES, *grids.shape[1:]), generator_for(1))
    made = sample(network, noise, steps=25, sampler="dpm++", prediction="v").flatten(1)
    among = torch.cdist(grids.flatten(1), grids.flatten(1)).fill_diagonal_(float("inf")).min(dim=1).values
    return float(torch.cdist(made, grids.flatten(1)).min(dim=1).values.mean() / among.mean())


def main() -> None:
    """Parse arguments, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600)
    steps = parser.parse_args().steps
    task, grids = training_cells()
    settings = Optimisation(
        steps=steps,
        batch_size=16,
        learning_rate=1e-3,
        warmup_steps=20,
        decay_steps=steps // 2,
        ema_decay=0.99,
        checkpoint_every=steps,
    )
    torch.manual_seed(0)
    before = likeness(task.build().eval(), grids)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        fit(task, settings, 0, out)
        losses = [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
        after = likeness(load_dit(out / "model").eval(), grids)
    result = {
        "loss_first_20": round(mean(losses[:20]), 4),
        "loss_last_20": round(mean(losses[-20:]), 4),
        "distance_to_nearest_untrained": round(before, 3),
        "distance_to_nearest_trained": round(after, 3),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
