"""What a strength stands for, and a scan that is left as it is."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising import result
from ctgrid.methods.denoising.result import MOST_HU, DenoiseResult, noise_of, untouched
from ctgrid.scan.volume import Volume


def test_a_number_is_taken_and_auto_estimated(chest_volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "estimate_noise", lambda volume: 21.5)
    assert noise_of(chest_volume, "auto") == 21.5
    for strength in (0, 12, 12.5, MOST_HU):
        found = noise_of(chest_volume, strength)
        assert found == strength and isinstance(found, float)


@pytest.mark.parametrize("strength", [-1, MOST_HU + 1, float("nan"), float("inf"), "loud", None, "12"])
def test_what_is_no_strength_is_refused(strength: object, chest_volume: Volume) -> None:
    with pytest.raises(CtgridError, match="strength must be 'auto' or a noise level in HU, 0 to 5000, got"):
        noise_of(chest_volume, strength)  # type: ignore[arg-type]


def test_untouched_is_a_copy_that_says_so(chest_volume: Volume) -> None:
    found = untouched(chest_volume, 1.25, {"seed": 3})
    assert isinstance(found, DenoiseResult) and found.settings == {"seed": 3, "untouched": True, "removes_from_hu": 3.0}
    assert found.noise_hu == 1.25 and found.phases == {} and found.dit_token_passes == 0
    found.volume.hu[0, 0, 0] += 1
    assert np.count_nonzero(found.volume.hu != chest_volume.hu) == 1
    np.testing.assert_array_equal(found.volume.affine, chest_volume.affine)
