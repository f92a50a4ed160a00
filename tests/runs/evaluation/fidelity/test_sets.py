"""Kinds of features that a protocol asks for: what of a volume is described, and what decides it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid.runs.evaluation.fidelity.clips import clip_indices, to_uint8
from ctgrid.runs.evaluation.fidelity.detectors import Detector, clip_features, frame_features
from ctgrid.runs.evaluation.fidelity.protocol import LoadedProtocol, Protocol
from ctgrid.runs.evaluation.fidelity.sets import VolumeView, embedded_sets, image_set, image_sets, video_set

SEED = 3


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    return np.random.default_rng(0).integers(-1200, 1200, (12, 32, 32)).astype(np.int16)


@pytest.fixture(scope="module")
def plan(protocol: Callable[..., LoadedProtocol]) -> Protocol:
    return protocol(clips={"per_volume": 2}).protocol


@pytest.fixture(scope="module")
def opened(plan: Protocol, detectors: Path) -> tuple[Detector, Detector]:
    return Detector.open(plan.detectors.image, detectors), Detector.open(plan.detectors.video, detectors)


def view(hu: np.ndarray, plan: Protocol, order: str = "feet-to-head") -> VolumeView:
    return VolumeView(hu, "a" * 64, plan.window, order)


def test_a_view_has_the_protocols_order_and_greys(hu: np.ndarray, plan: Protocol) -> None:
    seen, turned = view(hu, plan), view(hu, plan, "head-to-feet")
    assert np.array_equal(seen.hu, hu) and np.array_equal(turned.hu, hu[::-1])
    assert seen.shown is seen.shown and np.array_equal(seen.shown, to_uint8(hu, plan.window))


def test_fid_is_of_every_slice(hu: np.ndarray, plan: Protocol, opened: tuple[Detector, Detector]) -> None:
    (one,) = image_sets(plan, opened[0], [4], SEED)
    assert (one.distance, one.kernel, one.frames) == ("FID", "KID", None) and not one.short(1)
    seen = view(hu, plan)
    for role in ("real", "fake"):
        np.testing.assert_array_equal(
            one.compute(seen, role), frame_features(opened[0], seen.shown, plan.channels, None)
        )
    assert one.settings == image_set(plan, opened[0]).settings


def test_fvd_is_of_clips_whose_choice_is_part_of_the_settings(
    hu: np.ndarray, plan: Protocol, opened: tuple[Detector, Detector]
) -> None:
    """A seed moves what is drawn at random, and nothing else."""
    one = video_set(plan, opened[1], 4, SEED)
    assert (one.distance, one.frames) == ("FVD", 4)
    assert one.short(4 * plan.clips.stride - 1) and not one.short(4 * plan.clips.stride)
    seen = view(hu, plan)
    for role in ("real", "fake"):
        how = {name: one.settings[role][name] for name in ("frames", "stride", "too_short", "count", "seed", "offset")}
        indices = clip_indices(12, digest=seen.digest, **how)
        expected = clip_features(opened[1], seen.shown, indices, plan.channels, None)
        np.testing.assert_allclose(one.compute(seen, role), expected, rtol=1e-6)
    other = video_set(plan, opened[1], 4, SEED + 1)
    for role in ("real", "fake"):
        moved = one.settings[role]["offset"] == "random"
        assert (other.settings[role] != one.settings[role]) == moved
        assert one.settings[role]["count"] == (2 if moved else 1), "clips from the start are all alike"


def test_a_volume_too_short_for_a_clip_has_no_features(
    hu: np.ndarray, protocol: Callable[..., LoadedProtocol], detectors: Path
) -> None:
    plan = protocol(clips={"too_short": "discard"}).protocol
    one = video_set(plan, Detector.open(plan.detectors.video, detectors), 16, SEED)
    assert one.short(12) and one.compute(view(hu, plan), "real").size == 0


def test_by_length_frames_are_those_of_the_clips(
    hu: np.ndarray, protocol: Callable[..., LoadedProtocol], detectors: Path
) -> None:
    """Slice for slice what FVD of that length looks at; one that comes twice is described once, and counts twice."""
    base = protocol().protocol
    plan = base.model_copy(update={"frames": base.frames.model_copy(update={"by_length": True})})
    detector = Detector.open(plan.detectors.image, detectors)
    sets = image_sets(plan, detector, [4, 6], SEED)
    assert [one.frames for one in sets] == [4, 6] and {one.distance for one in sets} == {"FID"}
    seen = view(hu, plan)
    for one in sets:
        how = {
            name: one.settings["fake"][name] for name in ("frames", "stride", "too_short", "count", "seed", "offset")
        }
        indices = clip_indices(12, digest=seen.digest, **how)
        expected = frame_features(detector, seen.shown[indices.ravel()], plan.channels, None)
        np.testing.assert_allclose(one.compute(seen, "fake"), expected, rtol=1e-6)


def test_own_features_are_of_slices_and_of_clips(hu: np.ndarray, plan: Protocol) -> None:
    asked: list[Any] = []

    class Own:
        name, sha256 = "own", "b" * 64

        def slices(self, hu: np.ndarray) -> np.ndarray:
            asked.append(len(hu))
            return hu[:, 0, :2].astype(float)

        def clips(self, hu: np.ndarray, indices: np.ndarray) -> np.ndarray:
            asked.append(indices.shape)
            return np.zeros((len(indices), 3))

    whole, clips = embedded_sets(plan, Own(), [4], SEED)  # type: ignore[arg-type]
    assert whole.frames is None and clips.frames == 4 and whole.distance != clips.distance
    assert whole.compute(view(hu, plan), "real").shape == (12, 2) and len(clips.compute(view(hu, plan), "fake")) >= 1
    assert asked[0] == 12 and asked[1][1] == 4
    assert clips.settings["real"]["offset"] == clips.settings["fake"]["offset"] == "random"
