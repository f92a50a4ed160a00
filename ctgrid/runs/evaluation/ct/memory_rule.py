"""When generated volumes count as copies of training volumes: the rule, with what it is judged against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ctgrid.runs.evaluation.ct.neighbours import Neighbours

Verdict = Literal["copies", "close", "no sign", "too few"]

NEAR_QUANTILE = 0.05
"""Of the reference's distances to training, and from the top of its similarities: at most so many of its own slices
are near, by construction."""

CLOSE_SHARE = 0.5
"""Share of near slices, ten times that of the reference, above which a volume is close to training."""

COPIED_SHARE = 0.1
"""Share of copied slices above which a volume is a copy."""

LEAST_REFERENCES = 2
"""Volumes apart from training without which nothing but a copy can be told."""

PLAIN_COPY_SSIM = 0.98
"""Similarity that counts as a copy where there is no reference."""

USUAL_SSIM = 0.99
"""Quantile of the reference's similarities to training that stands for the most that different patients have."""


@dataclass(frozen=True)
class Rule:
    """Limits, taken from how near reference volumes lie to training.

    Attributes:
        near_distance: slices nearer than this, and more alike than ``near_ssim``, are near; None without a reference.
        near_ssim: see ``near_distance``.
        copy_ssim: slices at least this similar to a training slice are copied.
        close_share: near slices of a volume that make it close.
        references: number of reference volumes.
    """

    near_distance: float | None
    near_ssim: float | None
    copy_ssim: float
    close_share: float
    references: int

    @classmethod
    def of(cls, reference: Sequence[Neighbours]) -> Rule:
        """Take the limits from reference volumes, which training has not seen."""
        if not reference:
            return cls(None, None, PLAIN_COPY_SSIM, CLOSE_SHARE, 0)
        similarities = np.concatenate([r.ssim for r in reference])
        near = float(np.quantile(np.concatenate([r.distance for r in reference]), NEAR_QUANTILE))
        alike = float(np.quantile(similarities, 1 - NEAR_QUANTILE))
        usual = float(np.quantile(similarities, USUAL_SSIM))
        return cls(
            near_distance=near,
            near_ssim=alike,
            copy_ssim=(1 + max(usual, 0.0)) / 2,
            close_share=max(CLOSE_SHARE, *(near_share(r, near, alike) for r in reference)),
            references=len(reference),
        )

    def judge(self, one: Neighbours) -> tuple[Verdict, float, float]:
        """Return a volume's verdict, and its shares of near and of copied slices."""
        near = 0.0
        if self.near_distance is not None and self.near_ssim is not None:
            near = near_share(one, self.near_distance, self.near_ssim)
        copied = float((one.ssim >= self.copy_ssim).mean())
        if copied >= COPIED_SHARE or one.grid_ssim >= self.copy_ssim:
            return "copies", near, copied
        if self.references < LEAST_REFERENCES:
            return "too few", near, copied
        return ("close" if near > self.close_share else "no sign"), near, copied

    def as_dict(self, reference: str) -> dict[str, Any]:
        """Return the limits, and the rule in words.

        Args:
            reference: what the reference volumes are, for the words.
        """
        if not self.references:
            words = f"no reference volumes: a slice is copied where its SSIM is {self.copy_ssim:g} or more"
        else:
            words = (
                f"a slice is near where its distance to the nearest training slice is below the {NEAR_QUANTILE:.0%} "
                f"quantile of {reference} distances ({self.near_distance:.4g}) and its SSIM above the "
                f"{1 - NEAR_QUANTILE:.0%} quantile of {reference} similarities ({self.near_ssim:.4f}); it is copied "
                f"where its SSIM to one of its nearest training slices is at least {self.copy_ssim:.4f}, half-way "
                f"from the {USUAL_SSIM:.0%} quantile of {reference} similarities to 1"
            )
        words += (
            f"; a volume is a copy where at least {COPIED_SHARE:.0%} of its slices, or its nearest grid on average, "
            f"are copied, and close where more than {self.close_share:.0%} of its slices are near; with fewer than "
            f"{LEAST_REFERENCES} reference volumes only copies can be told"
        )
        return {"words": words, **asdict(self)}


def near_share(one: Neighbours, distance: float, ssim: float) -> float:
    """Return the share of slices nearer to training than a distance and more alike than a similarity."""
    return float(((one.distance < distance) & (one.ssim > ssim)).mean())


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the gravest of the volumes' verdicts."""
    order: tuple[Verdict, ...] = ("copies", "close", "too few", "no sign")
    return next(v for v in order if v in verdicts)
