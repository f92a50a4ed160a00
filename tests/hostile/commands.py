"""Long commands on tiny inputs: how each is begun, how it is gone on with, and what must be the same in the end."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.scan.volume import Volume

COMMAND = "import sys; from ctgrid_cli import app; app(sys.argv[1:])"
"""What :class:`forked.Server` runs; its arguments are the command line's."""

RECORD = re.compile(r"(^|\.)run(-\d+)?\.json$")
"""Of a run, which tells of times; one that was killed and begun anew has more of them."""

TRAIN = [
    f"--set={key}"
    for key in (
        "codec.size=32", "codec.crop=32", "codec.cell=8", "codec.cells_per_crop=1", "codec.network.encoder_width=8",
        "codec.network.decoder_width=8", "codec.network.fine_width=8", "codec.network.encoder_blocks=1",
        "codec.network.decoder_blocks=1", "optimisation.batch_size=1", "optimisation.checkpoint_every=2",
        "optimisation.decay_steps=0", "optimisation.warmup_steps=0", "monitor.tensorboard=false",
    )
]  # fmt: skip


@dataclass(frozen=True)
class Long:
    """A command that takes a while.

    Attributes:
        begin: its arguments, from the folder of inputs and the one of outputs.
        again: what is added when it is run again.
    """

    begin: Callable[[Path, Path], Sequence[object]]
    again: tuple[str, ...] = ()


COMMANDS: dict[str, Long] = {
    "prepare": Long(
        lambda i, o: ["prepare", i / "in", "--out", o / "X.zarr", "--protocol", "canonical", "--size", 32, "--k", 4,
                      "--slices", 12]
    ),
    "train": Long(
        lambda i, o: ["train", "codec", "--data", i / "in", "--out", o / "run", "--max-steps", 6, *TRAIN], ("--resume",)
    ),
    "phantoms": Long(
        lambda i, o: ["simulate", "phantom", "--out", o / "p", "--count", 3, "--size", 24, "--slices", 8]
    ),
    "denoise": Long(
        lambda i, o: ["denoise", i / "in", "--out", o / "d", "--method", "nlm", "--strength", 20],
        ("--resume", "--overwrite"),
    ),
    "convert": Long(lambda i, o: ["convert", i / "in" / "a.nii.gz", o / "series"], ("--overwrite",)),
    "report": Long(lambda i, o: ["report", i / "in", "--out", o / "r.html", "--title", "r"], ("--overwrite",)),
}  # fmt: skip


def inputs(folder: Path) -> Path:
    """Write the scans that the commands read, and return the folder."""
    (folder / "in").mkdir(parents=True)
    for seed, name in enumerate("abc"):
        draw = np.random.default_rng(seed)
        y, x = np.mgrid[-1:1:32j, -1:1:32j]
        plane = np.where(x**2 + y**2 < 0.7, 40, -1000) - 890 * ((abs(x) - 0.35) ** 2 + y**2 < 0.06)
        hu = (plane + draw.normal(0, 20, (16, 32, 32))).clip(-1024, 3000).astype(np.int16)
        Volume(hu, np.diag([-8.0, -8.0, 6.0, 1.0])).write(folder / "in" / f"{name}.nii.gz")
    return folder


def digest(folder: Path) -> dict[str, str]:
    """Return the hash of every file that a command left, but for records, which tell of times; reports by name."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".jsonl" or RECORD.search(path.name):
            continue
        if path.name == "state.pt":
            found |= {f"{name} {key}": value for key, value in values(path).items()}
            continue
        timeless = path.name.startswith("r.")
        found[name] = "" if timeless else hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def values(path: Path) -> dict[str, str]:
    """Return every value of a training state, exactly: a pickle of the same values may have other bytes."""
    import torch

    found: dict[str, str] = {}

    def walk(key: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            content = value.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""
            found[key] = f"{value.dtype} {tuple(value.shape)} {hashlib.sha256(content).hexdigest()}"
        elif isinstance(value, dict | list | tuple):
            found[key] = f"{type(value).__name__} {len(value)}"
            for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
                walk(f"{key}/{name}", inner)
        else:
            found[key] = repr(value)

    walk("", torch.load(path, map_location="cpu", weights_only=True))
    return found
