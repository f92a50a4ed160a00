"""Recipes and scans so small that a training step takes milliseconds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from ctgrid.data.store import Store
from ctgrid.methods.training.run import train
from ctgrid.scan.volume import Volume
from ctgrid.stages.codecs.codecs import Codec, load_codec

from .stores import NAMES

OPTIMISATION = {
    "steps": 6,
    "batch_size": 4,
    "learning_rate": 1e-2,
    "warmup_start": 1e-4,
    "warmup_steps": 2,
    "decay_steps": 2,
    "ema_decay": 0.9,
    "checkpoint_every": 3,
}
NETWORK = {"patch_size": 2, "width": 32, "depth": 1, "heads": 2, "learned_variance": False}
STAGE = {"network": NETWORK, "prediction": "v", "size": 64, "k": 4, "slices": 24, "fov_mm": 60.0}
RECIPES: dict[str, dict[str, Any]] = {
    "codec": {
        "network": {
            "latent_channels": 4,
            "encoder_width": 8,
            "encoder_blocks": 1,
            "decoder_width": 8,
            "decoder_blocks": 1,
            "fine_width": 8,
        },
        "size": 64,
        "crop": 32,
        "cell": 16,
        "cells_per_crop": 2,
    },
    "stage1": {
        **STAGE,
        "network": {**NETWORK, "absolute_z": True},
        "min_snr_gamma": 5.0,
        "cell_encoding": "cell",
        "variants": 2,
        "strides": [1, 2],
        "keyframe_share": 0.3,
        "window_share": 0.3,
        "unknown_share": 0.4,
    },
    "stage2": {**STAGE, "degradations": 2, "codec_share": 0.5, "noise_levels": [0, 4]},
    "detail": {
        "network": {"width": 8, "inner_width": 8, "blocks": 1, "inner_blocks": 1},
        "size": 64,
        "crop": 32,
        "versions": 2,
        "low_dose_share": 0.0,
    },
}


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory, chest: Callable[..., np.ndarray]) -> Path:
    """Two small chests as NIfTI, in folders of their own."""
    folder = tmp_path_factory.mktemp("scans")
    for i, shape in enumerate([(18, 64, 64), (22, 56, 72)]):
        (folder / f"patient{i}").mkdir()
        affine = np.diag([-1.0, -1.0, 2.0 + i, 1.0])
        Volume(chest(shape, seed=i), affine).write(folder / f"patient{i}" / f"scan{i}.nii.gz")
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., Path]:
    """Write a tiny recipe of a kind; keywords change numbers of the optimisation."""

    def write(kind: str, **optimisation: Any) -> Path:
        path = tmp_path / f"{kind}.yaml"
        content = {
            "kind": kind,
            "seed": 5,
            "optimisation": OPTIMISATION | optimisation,
            kind: RECIPES[kind],
        }
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture
def run(recipe: Callable[..., Path], scans: Path, tiny_model: Path, tmp_path: Path) -> Callable[..., Path]:
    """Train a kind into ``tmp_path / name`` and return that folder; stages use the tiny model's codec."""

    def start(kind: str, name: str, *, changes: dict[str, Any] | None = None, **options: Any) -> Path:
        overrides = {
            "codec": {},
            "stage1": {"stage1.codec": str(tiny_model / "codec")},
            "stage2": {"stage2.codec": str(tiny_model / "codec")},
            "detail": {"detail.model": str(tiny_model)},
        }[kind]
        out = tmp_path / name
        train(kind, recipe(kind), scans, out, overrides=overrides | (changes or {}), **options)  # type: ignore[arg-type]
        return out

    return start


@pytest.fixture(scope="session")
def log_of() -> Callable[[Path], list[dict[str, Any]]]:
    """Read a run's log without its times."""

    def read(folder: Path) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
        return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]

    return read


@pytest.fixture(scope="session")
def weights_of() -> Callable[[Path], dict[str, bytes]]:
    """Read what a run ends with: the published weights, and those that training would go on with."""

    def read(folder: Path) -> dict[str, bytes]:
        newest = sorted((folder / "checkpoints").glob("step_*"))[-1]
        state = torch.load(newest / "state.pt", weights_only=True)["model"]
        files = {p.name: p.read_bytes() for p in (folder / "model").iterdir()}
        return files | {name: value.numpy().tobytes() for name, value in state.items()}

    return read


@pytest.fixture(scope="session")
def codec(tiny_model: Path) -> Codec:
    """The tiny model's."""
    return load_codec(tiny_model / "codec")


@pytest.fixture
def few_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure a codec's latents on few examples, each of which reads a store three times, at every checkpoint."""
    monkeypatch.setattr("ctgrid.methods.training.codec.STATISTICS_EXAMPLES", 4)


@pytest.fixture(scope="session")
def store(make_store: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Four volumes of three patients, of the recipes' sizes; not to be changed."""
    return make_store(tmp_path_factory.mktemp("store") / "x.zarr", *NAMES, size=64, slices=24)


@pytest.fixture
def start(recipe: Callable[..., Path], tiny_model: Path, tmp_path: Path, few_examples: None) -> Callable[..., Path]:
    """Train a kind on data into ``tmp_path / name`` and return that folder; stages use the tiny model's codec."""

    def run(kind: str, data: Path, name: str, *, changes: dict[str, Any] | None = None, **options: Any) -> Path:
        overrides = {} if kind == "codec" else {f"{kind}.codec": str(tiny_model / "codec")}
        out = tmp_path / name
        train(kind, recipe(kind), data, out, overrides=overrides | (changes or {}), **options)  # type: ignore[arg-type]
        return out

    return run
