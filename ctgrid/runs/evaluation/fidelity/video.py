"""The evaluation of generated movies: FVD and FID by a protocol, flicker, and how near made frames are to real ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.data.video.layouts import Part, find_layout
from ctgrid.runs.evaluation.fidelity.distances import distance_rows
from ctgrid.runs.evaluation.fidelity.evaluate import FID, FVD, FidelityPlan
from ctgrid.runs.evaluation.fidelity.movies import MovieSample, fits_pairwise, open_movies, view_of
from ctgrid.runs.evaluation.fidelity.sets import FeatureSet, flicker_set
from ctgrid.runs.evaluation.fidelity.statistics import Collected, FeatureCache, collect
from ctgrid.runs.evaluation.lost import Lost

FLICKER, PSNR = "flicker", "psnr"
VIDEO_MEASURES = (FVD, FID, FLICKER, PSNR)
"""What can be asked for; PSNR, with SSIM, only by name: it compares clips of one name frame by frame."""

CALLED = ("clips", "frames")


@dataclass(frozen=True)
class VideoPlan(FidelityPlan):
    """How movies are evaluated: as volumes are, but for what is of CT.

    Attributes:
        layout: of the collections' folders, see :data:`ctgrid.data.video.layouts.LAYOUTS`.
        part: of the real collection; None takes ``test`` where it has parts.
    """

    known: ClassVar[tuple[str, ...]] = VIDEO_MEASURES

    layout: str = "folder"
    part: Part | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        find_layout(self.layout)
        if self.loaded.protocol.resample_slices is not None:
            raise CtgridError(f"protocol {self.loaded.protocol.id} resamples slices along z; movies keep their frames")

    def feature_sets(self) -> tuple[list[FeatureSet], list[str]]:
        """Return the kinds of features to compute, and what is left out because a detector is not here."""
        sets, left_out = self.detector_sets()
        if self.wants(FLICKER):
            sets += [flicker_set(self.loaded.protocol, length, self.seed) for length in self.lengths]
        return sets, left_out


def evaluate_video(
    real: Path,
    fake: Path,
    plan: VideoPlan,
    progress: Progress = silent,
    timed: Callable[[str], Any] | None = None,
) -> dict[str, Any]:
    """Compare generated movies with real clips.

    Args:
        real: folder of clips that were not trained on, or a collection with a part ``test``.
        fake: folder of generated movies.
        plan: how.
        progress: told of every clip.
        timed: ``RunRecord.timed``, which counts the seconds of a phase.

    Returns:
        What ``results.json`` holds, without the run.

    Raises:
        CtgridError: bad input; features of clips that were read before stay in the cache.
    """
    phase = timed or (lambda name: nullcontext())
    sets, left_out = plan.feature_sets()
    cache, protocol, layout = FeatureCache(plan.cache), plan.loaded.protocol, find_layout(plan.layout)
    lost, least = Lost(), 2 if any(one.distance != FLICKER for one in sets) else 1
    with phase("list"):
        opened = [
            open_movies(real, layout, plan.part, lost, progress, least),
            open_movies(fake, layout, None, lost, progress, least),
        ]
    known = {sample.digest for sample in opened[0]}
    both = [sample.name for sample in opened[1] if sample.digest in known]
    result: dict[str, Any] = {
        "kind": "video",
        "protocol": plan.loaded.record(),
        "frames": list(plan.lengths),
        "seed": plan.seed,
        "clips": {},
        "left_out": left_out,
        "failed": lost.lines,
        "warnings": [f"{len(both)} clips are in both sets, such as {both[0]}: distances are too small"] if both else [],
        "measures": [],
        "flicker": [],
        "pairs": [],
    }
    with phase("features"):
        found = [
            collect(opened[0], sets, "real", protocol, cache, progress, view_of, CALLED[0], lost),
            collect(opened[1], sets, "fake", protocol, cache, progress, view_of, CALLED[0], lost),
        ]
        opened = [lost.without(those) for those in opened]
        for path, those in zip((real, fake), opened, strict=True):
            lost.check_enough(path, len(those), CALLED[0], least)
    with phase("distances"):
        for one, x, y in zip(sets, *found, strict=True):
            if one.distance == FLICKER:
                result["flicker"].append({"frames": one.frames, **_flicker("real", x), **_flicker("fake", y)})
            else:
                progress(one.distance, 0, 1)
                result["measures"] += distance_rows(one, x, y, protocol, CALLED)
    steady = {role for row in result["flicker"] for role in ("real", "fake") if not row[f"n_{role}"]}
    result["warnings"] += [f"flicker: no {role} clip has two frames" for role in sorted(steady)]
    if PSNR in plan.measures:
        with phase("pairs"):
            result["pairs"], remarks = _pairs(opened[0], opened[1], protocol.resolution, lost, progress)
            result["warnings"] += remarks
    left_out += lost.lines
    result["clips"] = {r: _listed(lost.without(those)) for r, those in zip(("real", "fake"), opened, strict=True)}
    return result


def _flicker(role: str, collected: Collected) -> dict[str, Any]:
    """Return mean and standard deviation over a set's clips, None where none has two frames."""
    moments = collected.moments
    if moments is None:
        return {role: None, f"{role}_sd": None, f"n_{role}": 0}
    spread = math.sqrt(float(moments.covariance(0)[0, 0])) if moments.count > 1 else None
    return {role: float(moments.mean[0]), f"{role}_sd": spread, f"n_{role}": moments.count}


def _pairs(
    real: Sequence[MovieSample], fake: Sequence[MovieSample], size: int, lost: Lost, progress: Progress
) -> tuple[list[dict[str, Any]], list[str]]:
    """Compare clips that have the same name in both sets; return their rows, and what was not compared."""
    truth, made = ({sample.name: sample for sample in those} for those in (real, fake))
    alone = [("real", name) for name in truth if name not in made]
    alone += [("fake", name) for name in made if name not in truth]
    remarks = [f"psnr: {len(alone)} clips are in one set alone, such as {alone[0][1]} ({alone[0][0]})"] if alone else []
    pairs = [(truth[sample.name], sample) for sample in fake if sample.name in truth]
    if not pairs:
        raise CtgridError("psnr compares clips of the same name in both folders, and none has the name of another")
    rows = []
    for i, (one, other) in enumerate(pairs):
        progress("comparing pairs", i, len(pairs))
        frames = [lost.tried(sample, partial(sample.frames, size)) for sample in (one, other)]
        if frames[0] is None or frames[1] is None:
            continue
        ratio, alike = fits_pairwise(frames[0], frames[1])
        counts = len(frames[0]), len(frames[1])
        rows.append({"clip": one.name, "frames": min(counts), "psnr": ratio, "ssim": alike})
        if counts[0] != counts[1]:
            remarks.append(f"psnr: {one.name} has {counts[0]} frames and {counts[1]}; the first {min(counts)} count")
    return rows, remarks


def _listed(samples: Sequence[MovieSample]) -> list[dict[str, Any]]:
    return [{"name": sample.name, "sha256": sample.digest, "frames": len(sample.reader)} for sample in samples]
