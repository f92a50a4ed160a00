"""Kinds of features that a protocol asks for: what of a volume is described, and by which detector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from typing import Protocol as TypingProtocol

import numpy as np

from ctgrid.metrics.flicker import flicker
from ctgrid.runs.evaluation.fidelity.clips import clip_indices, to_uint8
from ctgrid.runs.evaluation.fidelity.detectors import Detector, clip_features, frame_features
from ctgrid.runs.evaluation.fidelity.features import NAME, EmbeddedFeatures
from ctgrid.runs.evaluation.fidelity.protocol import GrayWindow, Protocol

Role = Literal["real", "fake"]


class View(TypingProtocol):
    """One volume, or one movie, in the protocol's form."""

    @property
    def digest(self) -> str:
        """The content's hash."""

    @property
    def shown(self) -> np.ndarray:
        """(n, S, S) uint8, or (n, S, S, 3) in colour: what detectors see."""

    def __len__(self) -> int:
        """Return n, slices or frames."""


class VolumeView:
    """One volume.

    Attributes:
        hu: (n, S, S) int16, slices in the protocol's order.
        digest: the volume's content hash.
    """

    def __init__(self, hu: np.ndarray, digest: str, window: GrayWindow, order: str) -> None:
        """Take slices feet to head; ``order`` is the protocol's."""
        self.hu = hu if order == "feet-to-head" else np.ascontiguousarray(hu[::-1])
        self.digest = digest
        self._window = window

    def __len__(self) -> int:
        return len(self.hu)

    @cached_property
    def shown(self) -> np.ndarray:
        """(n, S, S) uint8."""
        return to_uint8(self.hu, self._window)


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """One kind of features.

    Attributes:
        distance: what the Fréchet distance of such features is called.
        kernel: what their kernel distance is called.
        frames: slices of a clip; None for single slices.
        stride: step between a clip's slices.
        detector: name and SHA-256 of what makes them.
        caps: samples that are used at most, by role; the first ones.
        settings: everything that decides a volume's features apart from the volume, by role.
        compute: features (m, d) of a volume in a role.
    """

    distance: str
    kernel: str
    frames: int | None
    stride: int
    detector: Mapping[str, Any]
    caps: Mapping[Role, int | None]
    settings: Mapping[Role, Mapping[str, Any]]
    compute: Callable[[View, Role], np.ndarray]

    def short(self, slices: int) -> bool:
        """Whether a volume has too few slices for a clip."""
        return self.frames is not None and slices < self.frames * self.stride


def image_sets(
    protocol: Protocol, detector: Detector, frames: Sequence[int], seed: int, batch_size: int | None = None
) -> list[FeatureSet]:
    """Return the features of FID and KID: of every slice, or of the clips of each length where the protocol says so."""
    if not protocol.frames.by_length:
        return [image_set(protocol, detector, batch_size)]
    return [_frames_of_clips(protocol, detector, length, seed, batch_size) for length in frames]


def _frames_of_clips(
    protocol: Protocol, detector: Detector, frames: int, seed: int, batch_size: int | None
) -> FeatureSet:
    """Return the features of FID-n and KID-n: the slices of the clips that FVD-n is measured on."""
    clips = protocol.clips
    chosen = _chosen(protocol, frames, seed, clips.per_volume, {"real": clips.real_offset, "fake": clips.fake_offset})
    called = {**_input(protocol), **_called(detector, protocol)}

    def described(view: View, indices: np.ndarray) -> np.ndarray:
        slices, at = np.unique(indices, return_inverse=True)  # looped ones are described once
        return frame_features(detector, view.shown[slices], protocol.channels, batch_size)[at.ravel()]

    caps: dict[Role, int | None] = {"real": protocol.frames.max_real, "fake": protocol.frames.max_fake}
    settings: dict[Role, Mapping[str, Any]] = {role: {**called, "of": "clips", **chosen[role]} for role in chosen}
    compute = _of_clips(chosen, described)
    return FeatureSet("FID", "KID", frames, clips.stride, detector.record(), caps, settings, compute)


def _of_clips(
    chosen: Mapping[Role, Mapping[str, Any]], described: Callable[[View, np.ndarray], np.ndarray]
) -> Callable[[View, Role], np.ndarray]:
    """Return what computes the features of a volume's chosen clips; none where it is too short for one."""

    def compute(view: View, role: Role) -> np.ndarray:
        indices = clip_indices(len(view), digest=view.digest, **chosen[role])
        return described(view, indices) if len(indices) else np.empty((0, 0), dtype=np.float32)

    return compute


def image_set(protocol: Protocol, detector: Detector, batch_size: int | None = None) -> FeatureSet:
    """Return the features of FID and KID: every slice."""
    caps: dict[Role, int | None] = {"real": protocol.frames.max_real, "fake": protocol.frames.max_fake}
    settings = {**_input(protocol), **_called(detector, protocol)}

    def compute(view: View, role: Role) -> np.ndarray:
        return frame_features(detector, view.shown, protocol.channels, batch_size)

    return FeatureSet("FID", "KID", None, 1, detector.record(), caps, _both(settings), compute)


def video_set(
    protocol: Protocol, detector: Detector, frames: int, seed: int, batch_size: int | None = None
) -> FeatureSet:
    """Return the features of FVD: clips."""
    clips = protocol.clips
    chosen = _chosen(protocol, frames, seed, clips.per_volume, {"real": clips.real_offset, "fake": clips.fake_offset})
    called = {**_input(protocol), **_called(detector, protocol)}

    def described(view: View, indices: np.ndarray) -> np.ndarray:
        return clip_features(detector, view.shown, indices, protocol.channels, batch_size)

    caps: dict[Role, int | None] = {"real": clips.max_real, "fake": clips.max_fake}
    settings: dict[Role, Mapping[str, Any]] = {role: {**called, **chosen[role]} for role in chosen}
    return FeatureSet(
        "FVD", "KVD", frames, clips.stride, detector.record(), caps, settings, _of_clips(chosen, described)
    )


def flicker_set(protocol: Protocol, frames: int, seed: int) -> FeatureSet:
    """Return the flicker of the clips that FVD-n is measured on, as features (m, 1) of themselves.

    A clip that is looped has no step from its last frame to its first: nothing moved there; one frame has none at all.
    """
    clips = protocol.clips
    chosen = _chosen(protocol, frames, seed, clips.per_volume, {"real": clips.real_offset, "fake": clips.fake_offset})

    def described(view: View, indices: np.ndarray) -> np.ndarray:
        # a looped clip has gone through all frames once; its repetitions say nothing new
        again = [np.flatnonzero(np.diff(row) <= 0) for row in indices]
        runs = [row[: 1 + ends[0]] if len(ends) else row for row, ends in zip(indices, again, strict=True)]
        return np.array([flicker(view.shown[run]) for run in runs if len(run) > 1]).reshape(-1, 1)

    caps: dict[Role, int | None] = {"real": clips.max_real, "fake": clips.max_fake}
    settings: dict[Role, Mapping[str, Any]] = {r: {**_input(protocol), "flicker": 2, **chosen[r]} for r in chosen}
    detector = {"name": "pixels", "sha256": None, "pinned": True}
    return FeatureSet("flicker", "", frames, clips.stride, detector, caps, settings, _of_clips(chosen, described))


def embedded_sets(protocol: Protocol, features: EmbeddedFeatures, frames: Sequence[int], seed: int) -> list[FeatureSet]:
    """Return ctgrid's own features: of every slice, and of clips of each length, at random offsets in both sets."""
    detector = {"name": features.name, "sha256": features.sha256, "pinned": True}
    common = {**_input(protocol), "features": features.name}
    names = [f"{kind} ({NAME}, slices)" for kind in ("FD", "KD")]
    no_caps: dict[Role, int | None] = {"real": None, "fake": None}

    def slices(view: View, role: Role) -> np.ndarray:
        assert isinstance(view, VolumeView)
        return features.slices(view.hu)

    sets = [FeatureSet(names[0], names[1], None, 1, detector, no_caps, _both(common), slices)]
    for length in frames:
        chosen = _chosen(
            protocol, length, seed, protocol.embedded.clips_per_volume, {"real": "random", "fake": "random"}
        )

        def clips(view: View, role: Role, chosen: Mapping[Role, Mapping[str, Any]] = chosen) -> np.ndarray:
            assert isinstance(view, VolumeView)
            indices = clip_indices(len(view), digest=view.digest, **chosen[role])
            return features.clips(view.hu, indices) if len(indices) else np.empty((0, 0))

        names = [f"{kind} ({NAME}, clips of {length})" for kind in ("FD", "KD")]
        settings: dict[Role, Mapping[str, Any]] = {role: {**common, **chosen[role]} for role in chosen}
        stride = protocol.clips.stride
        sets.append(FeatureSet(names[0], names[1], length, stride, detector, no_caps, settings, clips))
    return sets


def _chosen(
    protocol: Protocol, frames: int, seed: int, count: int, offsets: Mapping[Role, str]
) -> dict[Role, dict[str, Any]]:
    """Return how clips are chosen, by role: arguments of :func:`clip_indices`."""
    clips = protocol.clips
    common = {"frames": frames, "stride": clips.stride, "too_short": clips.too_short}
    chosen: dict[Role, dict[str, Any]] = {}
    for role, offset in offsets.items():  # clips from the start are all alike: one of them; no seed moves them
        drawn = {"count": count, "seed": seed} if offset == "random" else {"count": 1, "seed": 0}
        chosen[role] = {**common, **drawn, "offset": offset}
    return chosen


def _input(protocol: Protocol) -> dict[str, Any]:
    """Return how a volume is brought into the protocol's form."""
    named = {"resolution": protocol.resolution, "slices": protocol.resample_slices, "order": protocol.slice_order}
    return {"form": 1, **named}


def _called(detector: Detector, protocol: Protocol) -> dict[str, Any]:
    """Return what decides a detector's features of given slices."""
    shown = {"window": protocol.window.model_dump(), "channels": protocol.channels}
    return {"features": detector.sha256, "kwargs": dict(detector.kwargs), **shown}


def _both(settings: Mapping[str, Any]) -> dict[Role, Mapping[str, Any]]:
    return {"real": settings, "fake": settings}
