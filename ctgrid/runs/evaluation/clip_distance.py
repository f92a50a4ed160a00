"""How far clips of slices that a method made are from the same clips as they were: FVD-16 of the paper's Table 6.

Clips lie side by side in the measured slices. They are described by the video detector of protocol
``gridit-ct-rate@1`` where its file is at hand, which gives FVD, or by ``ctgrid-features``, whose distance never bears
that name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output
from ctgrid.base.limits import check_zip
from ctgrid.metrics.frechet import frechet_distance
from ctgrid.metrics.kernel import kernel_distance
from ctgrid.runs.evaluation.fidelity.clips import to_uint8
from ctgrid.runs.evaluation.fidelity.detectors import Detector, clip_features, detectors_folder
from ctgrid.runs.evaluation.fidelity.features import NAME, VERSION, EmbeddedFeatures
from ctgrid.runs.evaluation.fidelity.protocol import MOST_FRAMES, Protocol, load_protocol
from ctgrid.runs.evaluation.keep import case_folder
from ctgrid.runs.evaluation.slices import runs_of
from ctgrid.runs.results.rows import grouped, methods_of

PROTOCOL = "gridit-ct-rate@1"
FRAMES = 16


@dataclass(frozen=True)
class ClipMeasure:
    """By what clips are described.

    Attributes:
        frames: slices of a clip; 0 measures none.
        detectors: folder of the detector files; None takes ``CTGRID_HOME/detectors``.
        pins: SHA-256 by detector file, which it must have.
        device: where to compute.
    """

    frames: int = FRAMES
    detectors: Path | None = None
    pins: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.frames != 0 and not 2 <= self.frames <= MOST_FRAMES:
            raise CtgridError(f"a clip has 2 to {MOST_FRAMES} frames, or 0 measures none; got {self.frames}")

    @cached_property
    def protocol(self) -> Protocol:
        """Names the detector and how it is called."""
        return load_protocol(PROTOCOL).protocol

    @cached_property
    def detector(self) -> Detector | None:
        """The video detector; None where it is not at hand.

        Raises:
            CtgridError: where it was asked for by its folder or hash and is missing or another file.
        """
        from ctgrid.base.devices import choose_device

        spec, folder = self.protocol.detectors.video, self.detectors or detectors_folder()
        strange = sorted(set(self.pins) - {spec.file})
        if strange:
            raise CtgridError(f"a hash is pinned for {strange[0]}, but clips are described by {spec.file}")
        if self.detectors is None and not self.pins and not (folder / spec.file).exists():
            return None
        return Detector.open(spec, folder, self.pins, choose_device(self.device))

    @cached_property
    def _embedded(self) -> EmbeddedFeatures:
        from ctgrid.base.devices import choose_device

        return EmbeddedFeatures(device=choose_device(self.device))

    @property
    def facts(self) -> dict[str, Any]:
        """What decides features of given slices."""
        made_by = f"{NAME}@{VERSION}" if self.detector is None else self.detector.sha256
        return {"frames": self.frames, "features": made_by} if self.frames else {}

    @property
    def name(self) -> str:
        """What the distance is called."""
        if self.detector is None:
            return f"FD-{self.frames} ({NAME})"
        return f"FVD-{self.frames}" if self.detector.pinned else f"FVD-{self.frames} (detector not pinned)"

    def of(self, hu: np.ndarray, clips: np.ndarray) -> np.ndarray:
        """Return features (c, d) of clips (c, frames), numbers of slices (m, S, S) in HU."""
        seen, at = np.unique(clips, return_inverse=True)
        clips, hu = at.reshape(clips.shape), np.ascontiguousarray(hu[seen])
        if self.detector is None:
            return self._embedded.clips(hu, clips)
        return clip_features(self.detector, to_uint8(hu, self.protocol.window), clips, self.protocol.channels)


def clips_of(indices: np.ndarray, frames: int) -> np.ndarray:
    """Return clips (c, frames) that lie side by side in unbroken runs of slices, as places among these.

    Args:
        indices: (m,) increasing numbers of slices.
        frames: slices of a clip; 0 gives none.
    """
    found: list[np.ndarray] = []
    first = 0
    for run in runs_of(indices, 1) if frames else []:
        count = len(run) // frames
        found.append(first + np.arange(count * frames).reshape(count, frames))
        first += len(run)
    return np.concatenate(found) if found else np.empty((0, max(frames, 1)), dtype=np.int64)


def keep_clips(out: Path, row: Mapping[str, Any], condition: str, truth: np.ndarray, made: np.ndarray) -> None:
    """Keep features (c, d) of a row's clips, as they were and as its method made them."""
    path = _file(out, row, condition)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_output(path, overwrite=True) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, truth=truth, made=made)


def kept_clips(out: Path, row: Mapping[str, Any], condition: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return what :func:`keep_clips` kept, or None where nothing was."""
    path = _file(out, row, condition)
    if not path.exists():
        return None
    check_zip(path)
    with np.load(path) as file:
        return file["truth"], file["made"]


def _file(out: Path, row: Mapping[str, Any], condition: str) -> Path:
    return case_folder(out, row["volume"], condition) / "clips" / f"{row['case']}.npz"


def distance_of(parts: Sequence[tuple[np.ndarray, np.ndarray]], ddof: int) -> dict[str, Any] | None:
    """Return the Fréchet and the kernel distance of all volumes' clips; None where there are fewer than two.

    Args:
        parts: features (c, d) of each volume's clips, as they were and as they were made.
        ddof: see :func:`ctgrid.metrics.frechet.frechet_distance`.
    """
    truth, made = (np.concatenate(side) for side in zip(*parts, strict=True))
    if len(truth) < 2:
        return None
    distances = {"clip_distance": frechet_distance(truth, made, ddof), "clip_kernel": kernel_distance(truth, made)}
    return {**distances, "clips": len(truth), "clip_features": truth.shape[1], "clip_volumes": len(parts)}


def distances_of(
    kept: Sequence[tuple[Mapping[str, Any], tuple[np.ndarray, np.ndarray] | None]], told: Sequence[str], ddof: int
) -> list[dict[str, Any]]:
    """Return :func:`distance_of` each method, of the volumes of each setting together.

    Args:
        kept: rows with what :func:`kept_clips` gives for them.
        told: keys of a setting.
        ddof: see :func:`distance_of`.

    Returns:
        One row for each setting and method that every volume of the setting has, described alike.
    """
    found = []
    features = {id(row): part for row, part in kept}
    for alike in grouped([row for row, _ in kept], *told):
        volumes = {row["volume"] for row in alike}
        for method in methods_of(alike):
            chosen = [row for row in alike if row["method"] == method]
            parts = [part for row in chosen if (part := features[id(row)]) is not None]
            names = {row.get("clip_measure") for row in chosen}
            whole = {row["volume"] for row in chosen} == volumes and len(parts) == len(chosen) and len(names) == 1
            if whole and (distances := distance_of(parts, ddof)):
                setting = {key: chosen[0][key] for key in told}
                found.append({**setting, "method": method, "clip_measure": names.pop(), **distances})
    return found
