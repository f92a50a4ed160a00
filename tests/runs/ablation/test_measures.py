"""The measures are in the order they should be: real volumes before blurred, shuffled or upside-down ones."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ctgrid.runs.ablation.measures import Reference, held_out_loss, seam_of, steps_of
from ctgrid.runs.ablation.spec import Measuring
from ctgrid.runs.ablation.summary import reference_row
from ctgrid.runs.results.ablation import MEASURES


def cells(hu: np.ndarray) -> np.ndarray:
    """Means over 4 x 4 cells of slices, in 1000 HU."""
    n, s, _ = hu.shape
    return hu.astype(np.float64).reshape(n, 4, s // 4, 4, s // 4).mean(axis=(2, 4)).reshape(n, 16) / 1000


@pytest.fixture(scope="module")
def patients(chest: Callable[..., np.ndarray]) -> np.ndarray:
    """Six chests that grow towards the head, (6, 24, 32, 32)."""
    volumes = np.stack([chest((24, 32, 32), seed=seed) for seed in range(6)]).astype(np.int32)
    slope = np.linspace(0, 300, 24)[:, None, None]
    return (volumes + np.where(volumes > -400, slope, 0)).clip(-1000, 1000).astype(np.int16)


@pytest.fixture(scope="module")
def reference(patients: np.ndarray) -> Reference:
    """Two held out, two from which heights are learned."""
    measuring = Measuring(side_px=32, feature_slices=12)
    return Reference(patients[:2], patients[2:4], 300.0, measuring, cells)


def test_real_volumes_come_first(reference: Reference, patients: np.ndarray) -> None:
    """Another two patients, against noise, air, and slices in another order."""
    real = reference.measure(patients[4:])
    noisy = reference.measure((patients[4:] + np.random.default_rng(0).normal(0, 150, patients[4:].shape)).astype(int))
    air = reference.measure(np.full_like(patients[4:], -1000))
    shuffled = reference.measure(patients[4:, np.random.default_rng(1).permutation(24)])
    assert real["fd"] < noisy["fd"] < air["fd"]  # type: ignore[operator]
    assert real["kd"] < air["kd"]  # type: ignore[operator]
    assert real["z_spearman"] > 0.9 > shuffled["z_spearman"]  # type: ignore[operator]
    for worse in (noisy, air, shuffled):
        assert worse["step_wasserstein_hu"] > 3 * real["step_wasserstein_hu"]  # type: ignore[operator]


def test_upside_down_is_seen(reference: Reference, patients: np.ndarray) -> None:
    """The order of slices has a sign."""
    assert reference.measure(patients[4:, ::-1])["z_spearman"] < -0.9  # type: ignore[operator]


def test_features_are_of_evenly_spaced_slices(reference: Reference, patients: np.ndarray) -> None:
    """As many as asked for, or all there are."""
    assert reference.features_of(patients[:3]).shape == (3 * 12, 16)
    assert reference.features_of(patients[:3, :5]).shape == (3 * 5, 16)


def test_seams(patients: np.ndarray) -> None:
    """A jump at a joint raises the ratio; no joint, no figure."""
    broken = patients.copy()
    broken[:, 12:] = broken[:, 12:] // 2
    assert seam_of(steps_of(broken), [11]) > 2 * seam_of(steps_of(patients), [11])  # type: ignore[operator]
    assert seam_of(steps_of(patients), []) is None


def test_the_reference_is_of_different_patients(reference: Reference) -> None:
    """Training patients' distance to held-out ones, and the latter's own order."""
    row = reference_row(reference)
    assert row["training"]["fd"] > 0 and row["held_out"]["z_spearman"] > 0.9
    assert {key for part in row.values() for key in part} <= {m.key for m in MEASURES}


def test_the_loss_is_of_equal_examples() -> None:
    """Every network sees the same ones, in batches of any number; their mean is returned."""
    seen: list[Tensor] = []

    def loss(network: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        seen.append(batch["x"])
        return {"loss": (batch["x"] * network.weight).mean()}

    task = SimpleNamespace(example=lambda generator: {"x": torch.randn(4, generator=generator)}, loss=loss)
    network = nn.Linear(1, 1)
    values = [held_out_loss(task, network, 20) for _ in range(2)]  # type: ignore[arg-type]
    assert [len(batch) for batch in seen] == [16, 4, 16, 4]
    assert (
        values[0] == values[1] == pytest.approx(float((torch.cat(seen[:2]) * network.weight.detach()).mean()), rel=1e-5)
    )
    assert torch.equal(seen[0], seen[2]) and not torch.equal(seen[0][0], seen[0][1])
