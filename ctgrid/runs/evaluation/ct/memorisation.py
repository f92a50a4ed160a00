"""Whether generated volumes are copies of training volumes: the nearest slices and grids, a picture, a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.documents import plain
from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.base.remains import scratch
from ctgrid.runs.evaluation.ct.chest_frame import FIELD_MM
from ctgrid.runs.evaluation.ct.described import Scaling
from ctgrid.runs.evaluation.ct.memory_rule import LEAST_REFERENCES, Rule, overall
from ctgrid.runs.evaluation.ct.neighbours import Neighbours
from ctgrid.runs.evaluation.ct.pairs import MOST_PAIRS, Pair, draw_pairs
from ctgrid.runs.evaluation.ct.shelf import Shelf, Steps
from ctgrid.runs.evaluation.ct.shrunk import SIDE_PX
from ctgrid.runs.evaluation.ct.square import square
from ctgrid.runs.evaluation.ct.thumbnails import Features
from ctgrid.runs.evaluation.lost import Lost

if TYPE_CHECKING:
    from ctgrid.runs.evaluation.samples import Sample

PROTOCOL = "memorisation@2"

PICTURE = "memorisation.png"

SHOWN_PX = 512
"""Side of the slices in the picture."""

MOST_REFERENCES = 16
"""Volumes that the rule is taken from, evenly chosen: enough for its quantiles."""

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def memorisation(
    train: Sequence[Sample],
    test: Sequence[Sample],
    fake: Sequence[Sample],
    features: Features,
    out: Path,
    progress: Progress = silent,
    lost: Lost | None = None,
) -> dict[str, Any]:
    """Look for training slices and training grids in generated volumes, and judge by what real test volumes show.

    Slices of all volumes are cut out around the body first, in one field in mm, at 128 pixels: copies are found at any
    noise and sharpness, in whatever field they were written, and moved in-plane by up to 6 % of a side, while one that
    was mirrored or scaled is found in feature space at best.
    One volume is in memory at a time, beside the features of all.

    Args:
        train: the volumes that the model was trained on.
        test: volumes of other patients, prepared alike; empty takes training volumes, each against the others.
        fake: generated volumes.
        features: describes shrunk slices (n, s, s) in HU by (n, d) numbers.
        out: folder for ``memorisation.png``.
        progress: called after every volume.
        lost: notes volumes that cannot be read, without which the others are judged; None raises instead.

    Returns:
        JSON values: ``verdict`` (``copies``, ``close``, ``no sign`` or ``too few``), ``rule`` (its words and
        limits), ``reference`` (what it was taken from), ``near_share`` and ``copied_share`` of all generated slices,
        ``samples`` (for each generated volume its verdict, its own shares, nearest slice and nearest grid),
        ``distances``, ``grid_distances`` and ``similarities`` (quantiles of generated and reference slices),
        ``picture`` and ``warnings``.

    Raises:
        CtgridError: without a training or a generated volume.
    """
    lost = lost or Lost(strict=True)
    if not train or not fake:
        raise CtgridError(f"memorisation needs training and generated volumes, got {len(train)} and {len(fake)}")
    known = {sample.digest: sample.name for sample in train}
    warnings = [
        f"test volume {s.name} is training volume {known[s.digest]}: left out" for s in test if s.digest in known
    ]
    apart = spread([s for s in test if s.digest not in known], MOST_REFERENCES)
    kind = "test-to-train" if apart else "train-to-train"
    with scratch() as folder:
        steps = Steps(
            progress, len(train) + 2 * len(apart) + 2 * len(fake) + (0 if apart else min(len(train), MOST_REFERENCES))
        )
        shelf = Shelf(folder, features, steps)
        read = [(sample, one) for sample in train if (one := lost.tried(sample, partial(shelf.describe, sample)))]
        if not read:
            raise CtgridError(f"no training volume can be read; {lost.lines[0]}")
        train, library = [sample for sample, _ in read], [one for _, one in read]
        scaling = Scaling.of(library)
        library = [scaling.apply(one) for one in library]
        seen = (lost.tried(sample, partial(shelf.describe, sample)) for sample in apart)
        strangers = [scaling.apply(one) for one in seen if one is not None]
        if not apart:
            warnings.append("no test volumes: training volumes, each against the others, stand in for them")
            strangers = spread(library, MOST_REFERENCES) if len(library) > 1 else []
        reference = [shelf.searched(one, [t for t in library if t is not one]) for one in strangers]
        drawn = [(sample, one) for sample in fake if (one := lost.tried(sample, partial(shelf.describe, sample)))]
        if not drawn:
            raise CtgridError(f"no generated volume can be read; {lost.lines[0]}")
        fake = [sample for sample, _ in drawn]
        found = [shelf.searched(scaling.apply(one), library) for _, one in drawn]
    rule = Rule.of(reference)
    if len(reference) < LEAST_REFERENCES:
        warnings.append(
            f"{len(reference)} reference volumes are too few to tell more than copies: give more test volumes"
        )
    rows = [row_of(sample, one, rule, train) for sample, one in zip(fake, found, strict=True)]
    picture = draw_pairs(worst_pairs(fake, found, rows, train), out / PICTURE)
    return dict(
        plain(
            {
                "protocol": PROTOCOL,
                "verdict": overall([row["verdict"] for row in rows]),
                "rule": rule.as_dict(kind),
                "reference": kind,
                "n_train": len(train),
                "n_reference": len(reference),
                "n_fake": len(fake),
                "slice_px": SIDE_PX,
                "field_mm": FIELD_MM,
                "near_share": float(np.mean([row["near_share"] for row in rows])),
                "copied_share": float(np.mean([row["copied_share"] for row in rows])),
                "samples": rows,
                "distances": quantiles({"fake": found, "reference": reference}, "distance"),
                "grid_distances": quantiles({"fake": found, "reference": reference}, "grid_distance"),
                "similarities": quantiles({"fake": found, "reference": reference}, "ssim"),
                "picture": picture.name,
                "warnings": warnings,
            }
        )
    )


def row_of(sample: Sample, one: Neighbours, rule: Rule, train: Sequence[Sample]) -> dict[str, Any]:
    """Return what is told of one generated volume."""
    verdict, near, copied = rule.judge(one)
    same = [t.name for t in train if t.digest == sample.digest]
    best = int(one.ssim.argmax())
    start, owner, there = one.grid
    return {
        "name": sample.name,
        "verdict": "copies" if same else verdict,
        "same_file_as": same,
        "near_share": near,
        "copied_share": copied,
        "median_distance": float(np.median(one.distance)),
        "median_ssim": float(np.median(one.ssim)),
        "nearest_slice": {
            "slice": best,
            "train": train[int(one.volume[best])].name,
            "train_slice": int(one.slice[best]),
            "distance": float(one.distance[best]),
            "ssim": float(one.ssim[best]),
        },
        "nearest_grid": {
            "first_slice": start,
            "train": train[owner].name,
            "train_first_slice": there,
            "slices": one.grid_slices,
            "distance": float(one.grid_distance[start]),
            "ssim": one.grid_ssim,
        },
    }


def worst_pairs(
    fake: Sequence[Sample], found: Sequence[Neighbours], rows: Sequence[dict[str, Any]], train: Sequence[Sample]
) -> list[Pair]:
    """Return the most alike slice of each of the most alike volumes, at full size, the most alike first."""
    order = np.argsort([-float(one.ssim.max()) for one in found], kind="stable")[:MOST_PAIRS]
    pairs = []
    for i in order:
        one, best = found[i], int(found[i].ssim.argmax())
        owner, there = int(one.volume[best]), int(one.slice[best])
        pairs.append(
            Pair(
                generated=_shown(fake[i], best),
                training=_shown(train[owner], there),
                generated_name=f"{fake[i].name}, slice {best}",
                training_name=f"{train[owner].name}, slice {there}",
                note=f"{rows[i]['verdict']}: SSIM {one.ssim[best]:.3f}",
            )
        )
    return pairs


def _shown(sample: Sample, number: int) -> np.ndarray:
    """Return one slice (SHOWN_PX, SHOWN_PX) in the common field."""
    volume = sample.load()
    return square(volume.hu, volume.spacing_mm, FIELD_MM, SHOWN_PX, slice(number, number + 1))[0]


def quantiles(sets: dict[str, list[Neighbours]], key: str) -> dict[str, Any]:
    """Return quantiles of one of the neighbours' arrays, all volumes of a set together; None for an empty set."""
    levels: dict[str, Any] = {"levels": list(QUANTILES)}
    for name, those in sets.items():
        values = np.concatenate([getattr(one, key) for one in those]) if those else None
        levels[name] = None if values is None else np.quantile(values, QUANTILES)
    return levels


def spread(items: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many items, evenly chosen."""
    if len(items) <= most:
        return list(items)
    return [items[int(i)] for i in np.linspace(0, len(items) - 1, most).round()]
