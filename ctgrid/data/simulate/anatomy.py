"""What differs from one phantom to the next: sizes, pose and tissues, all drawn from the seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ctgrid.base.draws import generator_for, normal, uniform
from ctgrid.data.simulate.tubes import Tubes

STREAM = 0x9A7  # keeps a phantom's numbers apart from those of other uses of the same seed
MIDDLE_MM = 150.0
"""Height of a volume's middle; lungs of average size reach from about 20 to 272 mm."""


@dataclass(frozen=True)
class Anatomy:
    """One person on one table.

    Shapes are defined in mm of an average body, x to the left, y to the back, z to the head, from the middle of
    the chest; ``to_scanner`` gives them this person's size and pose.

    Attributes:
        seed: what everything was drawn from.
        scale: size along x, y and z.
        roll: turn about z in radians.
        shift: place (x, y) in the field of view, in mm.
        fat: thickness of the subcutaneous fat in mm.
        muscle: thickness of the muscles, 1 on average.
        breasts: their height in mm; 0 for none.
        inspiration: how much lower than on average the diaphragm is, in mm.
        heart: size of the heart.
        scoliosis: sideways excursion of the spine in mm.
        kyphosis: how much further back the spine's apex is, in mm.
        lung_hu, liver_hu, blood_hu, muscle_hu: mean values in HU.
        bone: density, 1 on average.
        gap: between back and table in mm.
        bend: depth of the table's curve in mm.
    """

    seed: int
    scale: tuple[float, float, float]
    roll: float
    shift: tuple[float, float]
    fat: float
    muscle: float
    breasts: float
    inspiration: float
    heart: float
    scoliosis: float
    kyphosis: float
    lung_hu: float
    liver_hu: float
    blood_hu: float
    muscle_hu: float
    bone: float
    gap: float
    bend: float

    def generator(self, stream: int) -> torch.Generator:
        """Return the random stream of one part of the body."""
        return generator_for(self.seed, STREAM, stream)

    def to_scanner(self, points: np.ndarray) -> np.ndarray:
        """Take points of the average body, (..., 3) x, y, z, to the scanner's frame."""
        x, y, z = np.moveaxis(np.asarray(points, np.float64) * self.scale, -1, 0)
        c, s = math.cos(self.roll), math.sin(self.roll)
        z = MIDDLE_MM + z - MIDDLE_MM * self.scale[2]
        return np.stack((c * x - s * y + self.shift[0], s * x + c * y + self.shift[1], z), -1)

    def place(self, tubes: Tubes) -> Tubes:
        """Give tubes of the average body this person's size and pose."""
        scale = np.float32((self.scale[0] * self.scale[1]) ** 0.5)
        return Tubes(self.to_scanner(tubes.ends).astype(np.float32), tubes.radii * scale, tubes.tall)

    def to_body(self, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take scanner positions y, x in mm, of one shape, to the average body."""
        c, s = math.cos(self.roll), math.sin(self.roll)
        x, y = x - self.shift[0], y - self.shift[1]
        return (c * y - s * x) / self.scale[1], (c * x + s * y) / self.scale[0]

    def height(self, z: float) -> float:
        """Take a scanner height in mm to the average body."""
        return MIDDLE_MM + (z - MIDDLE_MM) / self.scale[2]


def draw_anatomy(seed: int) -> Anatomy:
    """Draw a person.

    Args:
        seed: 0 or more.
    """
    generator = generator_for(seed, STREAM)

    def about(mean: float, spread: float) -> float:
        return mean + spread * float(normal((), generator).clamp(-2, 2))

    def between(low: float, high: float) -> float:
        return low + (high - low) * uniform(generator)

    size = about(0.99, 0.035)
    female, contrast = uniform(generator) < 0.5, uniform(generator) < 0.25
    return Anatomy(
        seed=seed,
        scale=(size * about(1, 0.025), size * about(1, 0.04), size * about(1, 0.03)),
        roll=math.radians(about(0, 2.0)),
        shift=(about(0, 5), about(0, 4)),
        fat=between(6, 20),
        muscle=about(0.9 if female else 1.1, 0.1),
        breasts=between(12, 34) if female else 0.0,
        inspiration=about(0, 8),
        heart=about(1.0, 0.06),
        scoliosis=about(0, 3),
        kyphosis=about(0, 3),
        lung_hu=about(-855, 15),
        liver_hu=about(56, 5),
        blood_hu=between(120, 260) if contrast else about(42, 3),
        muscle_hu=about(52, 4),
        bone=about(1.0, 0.12),
        gap=between(2, 8),
        bend=between(25, 55),
    )
