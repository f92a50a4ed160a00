"""An ablation so small that a variant takes a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ctgrid import Volume

NETWORK = {"patch_size": 2, "width": 24, "depth": 1, "heads": 2, "learned_variance": False}


@pytest.fixture
def spec(tmp_path: Path, tiny_model: Path) -> Callable[..., Path]:
    """Write a small ablation with its base recipe; keywords replace the ablation's keys."""

    def write(**changes: Any) -> Path:
        stage = {"network": NETWORK, "codec": str(tiny_model / "codec"), "prediction": "v", "size": 64, "slices": 24}
        stage |= {"cell_encoding": "cell", "unknown_share": 0.4, "fov_mm": 60.0}
        optimisation = {"steps": 3, "batch_size": 2, "checkpoint_every": 2, "ema_decay": 0.5}
        base = tmp_path / "base.yaml"
        base.write_text(yaml.safe_dump({"kind": "stage1", "stage1": stage, "optimisation": optimisation}))
        content = {
            "title": "Tiny",
            "question": "Does it run?",
            "base": str(base),
            "sampling": {"steps": 2, "samples": 2},
            "measuring": {"side_px": 16, "feature_slices": 6, "loss_examples": 4},
            "seeds": 1,
            "variants": [
                {"name": "r1", "says": "one row", "sampling": {"control_rows": 1}},
                {"name": "r3", "says": "three rows", "sampling": {"control_rows": 3}},
                {"name": "z", "says": "absolute z", "set": {"stage1.network.absolute_z": True}},
            ],
        }
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(content | changes))
        return path

    return write


@pytest.fixture
def quick_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put means over quarters of a slice in the place of the embedded codec's features."""

    class Quick:
        name = "quick"

        def __init__(self, device: object) -> None:
            pass

        def slices(self, hu: np.ndarray) -> np.ndarray:
            n, s, _ = hu.shape
            return hu.astype(np.float64).reshape(n, 2, s // 2, 2, s // 2).mean(axis=(2, 4)).reshape(n, 4) / 1000

    monkeypatch.setattr("ctgrid.runs.evaluation.fidelity.features.EmbeddedFeatures", Quick)


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory, chest: Callable[..., np.ndarray]) -> Path:
    """Five small volumes of five patients."""
    folder = tmp_path_factory.mktemp("scans")
    for seed, name in enumerate("abcde"):
        Volume(chest((24, 64, 64), seed=seed), np.diag([-1.0, -1.0, 2.0, 1.0])).write(folder / f"{name}.nii.gz")
    return folder
