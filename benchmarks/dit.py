"""Time our DiT beside diffusers' DiTTransformer2DModel of equal size, in one process; on a GPU also its utilisation.

    python benchmarks/dit.py                                   # depth 12, width 384, 1024 tokens, batch 4
    python benchmarks/dit.py --size XL/2 --batch 8 --device cuda --compile both

Prints one JSON object: for each precision the median seconds of a forward pass and of a training step (forward,
backward, AdamW) of both, and their ratios. Both run in turn, so that a busy machine slows both. The class branch of
diffusers' model stays (it costs nothing to speak of). Utilisation is counted operations per second over those of a
large bf16 matrix product measured here.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ctgrid.models import build_dit
from ctgrid.stages.networks.dit import SIZES


def theirs(size: str, latent: int) -> nn.Module:
    """Return diffusers' transformer of a published size."""
    from diffusers import DiTTransformer2DModel

    width, depth, heads = SIZES[size.split("/")[0]]
    return DiTTransformer2DModel(
        num_attention_heads=heads,
        attention_head_dim=width // heads,
        in_channels=4,
        out_channels=8,
        num_layers=depth,
        sample_size=latent,
        patch_size=int(size.split("/")[1]),
    )


def clock(work: Callable[[], Any], device: torch.device) -> float:
    """Return the seconds of one call."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def matmul_rate(device: torch.device, dtype: torch.dtype, side: int) -> float:
    """Return operations per second of a large matrix product, the best of ten."""
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return max(2 * side**3 / clock(lambda: a @ b, device) for _ in range(10))


def contenders(arguments: argparse.Namespace, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Return both networks' forward passes and training steps as functions without arguments."""
    latent, batch = arguments.latent, arguments.batch
    x = torch.randn(batch, 4, latent, latent, device=device, dtype=dtype if arguments.cast else torch.float32)
    t = torch.randint(0, 1000, (batch,), device=device)
    label = torch.zeros(batch, dtype=torch.long, device=device)
    mixed = torch.autocast(device.type, dtype, enabled=dtype != torch.float32 and not arguments.cast)
    made: dict[str, Any] = {}
    for name in ("ctgrid", "diffusers"):
        torch.manual_seed(0)
        ours = name == "ctgrid"
        network: Any = build_dit(arguments.size, latent_size=latent) if ours else theirs(arguments.size, latent)
        network = network.to(device, dtype if arguments.cast else torch.float32)
        if arguments.compile == "both" or arguments.compile == name:
            for block in network.blocks if ours else network.transformer_blocks:
                block.compile()
        optimizer = torch.optim.AdamW(network.parameters(), fused=True)

        def forward(network: Any = network, ours: bool = ours) -> Tensor:
            with mixed:
                return network(x, t) if ours else network(x, timestep=t, class_labels=label).sample

        def evaluate(forward: Callable[[], Tensor] = forward) -> None:
            with torch.no_grad():
                forward()

        def step(forward: Callable[[], Tensor] = forward, optimizer: Any = optimizer) -> None:
            forward().float().square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()

        made[name] = {"forward": evaluate, "step": step}
    return made


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="S/2")
    parser.add_argument("--latent", type=int, default=64)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precisions", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--compile", choices=["none", "ctgrid", "both"], default="none")
    parser.add_argument("--cast", action="store_true", help="cast the weights, rather than autocast over float32 ones")
    parser.add_argument("--matmul", type=int, default=4096, help="side of the matrices that measure the peak")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    result: dict[str, Any] = {"arguments": vars(arguments), "threads": torch.get_num_threads()}
    for precision in arguments.precisions:
        dtype = getattr(torch, precision)
        peak = matmul_rate(device, dtype, arguments.matmul)
        made = contenders(arguments, device, dtype)
        rows: dict[str, Any] = {"matmul_tflops": round(peak / 1e12, 3)}
        for work in ("forward", "step"):
            with FlopCounterMode(display=False) as counter:
                made["ctgrid"][work]()  # also the warm-up
            made["diffusers"][work]()
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            times: dict[str, list[float]] = {"ctgrid": [], "diffusers": []}
            for _ in range(arguments.runs):
                for name, seconds in times.items():
                    seconds.append(clock(made[name][work], device))
            ours, other = median(times["ctgrid"]), median(times["diffusers"])
            rows[work] = {
                "ctgrid_s": round(ours, 4),
                "diffusers_s": round(other, 4),
                "ratio": round(median(a / b for a, b in zip(times["ctgrid"], times["diffusers"], strict=True)), 4),
                "utilisation": round(counter.get_total_flops() / ours / peak, 3),
                "diffusers_utilisation": round(counter.get_total_flops() / other / peak, 3),
            }
            if device.type == "cuda":
                rows[work]["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
        result[precision] = rows
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
