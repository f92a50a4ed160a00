"""Everything that is measured of one volume alone, kept small so that many volumes can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.metrics.sequence import slice_steps
from ctgrid.runs.evaluation.ct.along_z import (
    Period,
    brightness_noise,
    chest_flicker,
    jitter,
    known_joints,
    ratio_or_nan,
    strongest_period,
)
from ctgrid.runs.evaluation.ct.anatomy import curve, find_anatomy
from ctgrid.runs.evaluation.ct.chest_frame import chest_frame
from ctgrid.runs.evaluation.ct.histogram import counts_of
from ctgrid.runs.evaluation.ct.power import Spectrum, spectrum_db
from ctgrid.runs.evaluation.ct.resemblance import frame_figures
from ctgrid.runs.evaluation.ct.shrunk import clipped, shrunk
from ctgrid.runs.evaluation.ct.skeleton import bone_percent
from ctgrid.runs.evaluation.ct.thumbnails import Features, framed, thumbnails

if TYPE_CHECKING:
    from ctgrid.runs.evaluation.samples import Slices


@dataclass(frozen=True)
class Profile:
    """One volume, measured.

    Attributes:
        name: of the volume.
        slices: n.
        spacing_mm: (z, y, x).
        steps: (n - 1,) mean |difference| of neighbouring slices, HU.
        figures: single numbers by name, NaN where there is none.
        period: where steps stand out most.
        histogram: (2001,) share of voxels of each whole HU.
        body_histogram: likewise inside the body.
        spectrum: radial, frequencies in 1/mm and dB.
        body_mm2: (50,) area along relative z.
        lung_mm2: likewise.
        bone_percent: (50,) share of bone in the body along the middle of the chest in its frame, 0 without body.
        features: (n, d) from which heights are read.
    """

    name: str
    slices: int
    spacing_mm: tuple[float, float, float]
    steps: np.ndarray
    figures: dict[str, float]
    period: Period | None
    histogram: np.ndarray
    body_histogram: np.ndarray
    spectrum: Spectrum
    body_mm2: np.ndarray
    lung_mm2: np.ndarray
    bone_percent: np.ndarray
    features: np.ndarray

    @property
    def extent_mm(self) -> float:
        """Along z."""
        return self.slices * self.spacing_mm[0]


def profile(name: str, volume: Slices, features: Features = thumbnails) -> Profile:
    """Measure one volume; HU are clipped to [-1000, 1000] first.

    Args:
        name: of the volume.
        volume: its slices, two at least.
        features: describes slices for the reading of heights.

    Raises:
        CtgridError: for fewer than two slices.
    """
    hu = clipped(volume.hu)
    if len(hu) < 2:
        raise CtgridError(f"{name}: measures along z need at least two slices, got {len(hu)}")
    steps = slice_steps(hu)
    small = shrunk(hu)
    anatomy = find_anatomy(small, hu.shape[1], volume.spacing_mm)
    joints = known_joints(len(hu))
    period = strongest_period(steps)
    frame = chest_frame(hu, volume.spacing_mm)
    figures = {
        "step_hu": float(steps.mean()),
        "flicker": chest_flicker(hu),
        "jitter": jitter(hu),
        "brightness_noise_hu": brightness_noise(anatomy.body_hu),
        "seam_ratio_grids": ratio_or_nan(steps, joints["grids"]),
        "seam_ratio_keyframes": ratio_or_nan(steps, joints["keyframes"]),
        "strongest_seam_ratio": period.ratio if period else float("nan"),
        "strongest_seam_sigmas": period.sigmas if period else float("nan"),
        "body_cm2": float(anatomy.body_mm2.mean()) / 100,
        "lung_litres": anatomy.lung_litres,
        **frame_figures(frame),
    }
    return Profile(
        name=name,
        slices=len(hu),
        spacing_mm=volume.spacing_mm,
        steps=steps,
        figures=figures,
        period=period,
        histogram=counts_of(hu),
        body_histogram=counts_of(hu, anatomy.body),
        spectrum=spectrum_db(hu, volume.spacing_mm[1:]),
        body_mm2=curve(anatomy.body_mm2),
        lung_mm2=curve(anatomy.lung_mm2),
        bone_percent=curve(np.nan_to_num(bone_percent(frame))),
        features=framed(small, anatomy.body) if features is thumbnails else features(hu),
    )
