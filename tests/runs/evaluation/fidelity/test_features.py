"""ctgrid's own features notice what they should: noise, other content, the order of slices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctgrid.base.errors import CtgridError
from ctgrid.data.simulate import phantom
from ctgrid.metrics import frechet_distance
from ctgrid.runs.evaluation.fidelity import features
from ctgrid.runs.evaluation.fidelity.evaluate import FidelityPlan
from ctgrid.runs.evaluation.fidelity.features import EmbeddedFeatures
from ctgrid.runs.evaluation.fidelity.protocol import load_protocol


@pytest.fixture(scope="module")
def embedded() -> EmbeddedFeatures:
    return EmbeddedFeatures()


@pytest.fixture(scope="module")
def hu(chest: Callable[..., np.ndarray]) -> np.ndarray:
    return chest((6, 64, 64))


def test_features_are_named_by_version_and_codec(embedded: EmbeddedFeatures) -> None:
    assert embedded.name == f"ctgrid-features@2+{embedded.codec.identity[:12]}"


def test_slices_do_not_depend_on_their_batch(embedded: EmbeddedFeatures, hu: np.ndarray) -> None:
    whole, single = embedded.slices(hu), EmbeddedFeatures(batch_size=4).slices(hu[:5])
    assert whole.shape == (6, 18 * embedded.codec.latent_channels + 64)
    assert whole.dtype == np.float64
    np.testing.assert_allclose(single, whole[:5], rtol=1e-4, atol=1e-4)


def test_a_plans_batch_size_is_the_features_own() -> None:
    """Smaller batches are asked for where memory is short."""
    loaded = load_protocol("stylegan-v@1")
    assert FidelityPlan(loaded=loaded, device="cpu", batch_size=3).embedded.batch_size == 3
    assert FidelityPlan(loaded=loaded, device="cpu").embedded.batch_size == 8


def test_noise_moves_features_the_more_the_stronger_it_is(embedded: EmbeddedFeatures, hu: np.ndarray) -> None:
    clean, rng = embedded.slices(hu[:3]), np.random.default_rng(0)
    noise = rng.standard_normal((3, 64, 64))
    moved = [np.abs(embedded.slices(hu[:3] + s * noise) - clean).mean() for s in (40, 120, 360)]
    assert moved[0] < moved[1] < moved[2]


def test_distances_of_slices_grow_with_noise_and_blur(
    embedded: EmbeddedFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other people are nearer than the same other people with noise, and the more noise the farther."""
    monkeypatch.setattr(features, "SIDE", 128)  # in a quarter of the time
    people = [phantom(seed, (3, 96, 96), noise_hu=10.0).hu.astype(np.float64) for seed in range(8)]
    rng = np.random.default_rng(0)

    def distance(change: Callable[[np.ndarray], np.ndarray]) -> float:
        changed = np.concatenate([embedded.slices(change(hu)) for hu in people[4:]])
        return frechet_distance(real, changed)

    real = np.concatenate([embedded.slices(hu) for hu in people[:4]])
    others = distance(lambda hu: hu)
    noisy = [distance(lambda hu, s=s: hu + s * rng.standard_normal(hu.shape)) for s in (25, 75, 200)]  # type: ignore[misc]
    blurred = [distance(lambda hu, s=s: gaussian_filter(hu, (0, s, s))) for s in (0.7, 1.5)]  # type: ignore[misc]
    assert others < noisy[0] < noisy[1] < noisy[2]
    assert others < blurred[0] < blurred[1]


def test_content_hardly_moves_where_slices_do(embedded: EmbeddedFeatures, hu: np.ndarray) -> None:
    """Copies are looked for by what is where: noise moves that less, seen against other slices."""
    noisy = hu + 75 * np.random.default_rng(0).standard_normal(hu.shape)

    def moved(features: Callable[[np.ndarray], np.ndarray]) -> float:
        clean = features(hu)
        between = np.linalg.norm(clean[:, None] - clean[None], axis=-1)
        return float(np.linalg.norm(features(noisy) - clean, axis=1).mean() / between[between > 0].mean())

    assert embedded.content(hu).shape == (6, 18 * embedded.codec.latent_channels)
    assert moved(embedded.content) < 0.6 * moved(embedded.slices)


def test_clips_notice_the_order_of_slices(embedded: EmbeddedFeatures, hu: np.ndarray) -> None:
    """Means over slices stay as they are; steps from slice to slice grow, above the noise where averaged."""
    order = np.array([0, 3, 1, 5, 2, 4])
    in_order, mixed = np.split(embedded.clips(hu, np.stack([np.arange(6), order])).reshape(2, 6, -1), 2)
    np.testing.assert_allclose(mixed[0, :3], in_order[0, :3], rtol=1e-9, atol=1e-12)
    fine, coarse = (mixed[0, i].mean() / in_order[0, i].mean() for i in (3, 4))
    assert 1.05 < fine < coarse
    assert coarse > 1.25


def test_other_shapes_are_refused(embedded: EmbeddedFeatures) -> None:
    with pytest.raises(CtgridError, match=r"\(n, S, S\)"):
        embedded.slices(np.zeros((8, 8)))
