"""Tables learned from errors: of voxels not learned from, as many lie within two standard deviations as should."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.trust.fit import Sample, draw, fit, joined
from ctgrid.methods.denoising.trust.signs import SIGNS


def errors(count: int, seed: int) -> Sample:
    """Errors that grow with the noise, and in bone with edges too."""
    rng = np.random.default_rng(seed)
    signs = rng.uniform(0, 3, (len(SIGNS), count))
    hu = rng.choice([-850.0, 50.0, 700.0], count)
    sigma = np.exp(0.8 * signs[0] + np.where(hu > 100, 0.5 * signs[2], 0))
    return Sample(hu, signs, np.abs(sigma * rng.standard_normal(count)), hu)


def test_what_is_learned_holds_for_others() -> None:
    """In every tissue, and where noise is weak or strong."""
    table, others = fit(errors(6000, 1)), errors(30000, 2)
    sigma = table.sigma(others.hu, others.signs)
    inside = others.error_hu <= 2 * sigma
    for hu in (-850.0, 50.0, 700.0):
        for low in (0.0, 1.0, 2.0):
            own = (others.hu == hu) & (others.signs[0] >= low) & (others.signs[0] < low + 1)
            assert inside[own].mean() == pytest.approx(0.9545, abs=0.03)
    one = (others.error_hu <= sigma).mean()
    assert one == pytest.approx(0.683, abs=0.03)


def test_too_few_voxels_are_refused() -> None:
    with pytest.raises(CtgridError, match="900 voxels are too few"):
        fit(errors(900, 1))


def test_voxels_are_drawn_from_every_range_of_hu_but_padding() -> None:
    """As many of each where there are so many; the error is that of the answer."""
    clean = np.repeat([-2000.0, -1000.0, -850.0, 40.0], 32)[:, None].repeat(20, 1)
    clean[-1, :5] = 800
    generator = torch.Generator().manual_seed(1)
    sample = draw(clean + 9, clean + 3, clean, (0.7, 0.7), 50, generator)
    values, counts = np.unique(sample.clean_hu, return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {-1000: 50, -850: 50, 40: 50, 800: 5}
    assert sample.error_hu == pytest.approx(3) and sample.signs.shape == (len(SIGNS), 155)
    assert len(joined([sample, sample]).hu) == 310
