"""The trunk's layers as distances from an axis: pleura, rib cage, muscles and skin; and the diaphragm."""

from __future__ import annotations

import numpy as np

from ctgrid.base.draws import normal
from ctgrid.data.simulate.anatomy import Anatomy

_CAGE_Z = [-60, 0, 60, 120, 170, 210, 235, 255, 266, 273, 278]
_CAGE_SIDE = [118, 131, 139, 136, 122, 101, 81, 57, 38, 17, 1]
_CAGE_FRONT = [80, 86, 92, 88, 75, 57, 44, 31, 21, 9, 1]
_CAGE_BACK = [88, 92, 95, 95, 88, 70, 53, 36, 24, 10, 1]
_AXIS_Z, _AXIS_Y = [-60, 150, 185, 215, 255, 275, 340], [0, 0, 3, 11, 23, 27, 27]
_GIRDLE_Z = [-60, 150, 185, 205, 225, 245, 265, 280, 295, 312, 330]
_GIRDLE_SIDE = [90, 110, 140, 156, 168, 172, 160, 136, 104, 74, 58]
_GIRDLE_FRONT = [60, 70, 84, 84, 82, 78, 70, 62, 56, 52, 50]
_GIRDLE_BACK = [60, 70, 84, 88, 88, 82, 74, 66, 60, 54, 52]


def _smooth(z: np.ndarray | float, at: list[int], values: list[int]) -> np.ndarray:
    """Interpolate key values, slightly smoothed."""
    z = np.asarray(z, np.float64)
    below, here, above = np.interp(np.stack((z - 6, z, z + 6)), at, values)
    return (below + 2 * here + above) / 4


def axis_y(z: float) -> float:
    """Return where the axis of the polar coordinates lies, which leans back towards the neck."""
    return float(axis(z))


def axis(z: np.ndarray | float) -> np.ndarray:
    """Return the same at many heights in mm, of their shape."""
    return _smooth(z, _AXIS_Z, _AXIS_Y)


def pleura_radius(phi: np.ndarray, z: np.ndarray | float) -> np.ndarray:
    """Return the distance from the axis to the pleura, in mm.

    Args:
        phi: angle from the back, positive to the left, in radians.
        z: height in mm.
    """
    side = _smooth(z, _CAGE_Z, _CAGE_SIDE)
    front, back = _smooth(z, _CAGE_Z, _CAGE_FRONT), _smooth(z, _CAGE_Z, _CAGE_BACK)
    return _oval(phi, side, front, back, 2.35)


def _oval(phi: np.ndarray, side: np.ndarray, front: np.ndarray, back: np.ndarray, power: float) -> np.ndarray:
    sine, cosine = np.sin(phi), np.cos(phi)
    depth = np.where(cosine < 0, front, back)
    return (np.abs(sine / side) ** power + np.abs(cosine / depth) ** power) ** (-1 / power)


class Trunk:
    """The layers of one person, looked up by angle."""

    def __init__(self, anatomy: Anatomy) -> None:
        """Draw the small irregularities of the outline."""
        self.anatomy = anatomy
        self.phi = np.linspace(-np.pi, np.pi, 2049)
        generator = anatomy.generator(1)
        waves = normal((2, 2, 6), generator).numpy().astype(np.float64)  # outline of muscle and skin

        def wavy(coefficients: np.ndarray) -> np.ndarray:
            k = np.arange(1, 7)[:, None]
            terms = coefficients[0][:, None] * np.cos(k * self.phi) + coefficients[1][:, None] * np.sin(k * self.phi)
            return (terms / k).sum(0)

        self.muscle_waves, self.fat_waves = wavy(waves[0]) * 0.8, wavy(waves[1]) * 0.13
        self._bumps: dict[tuple[float, float], np.ndarray] = {}

    def _bump(self, at: float, width: float) -> np.ndarray:
        """Return a bell over :attr:`phi` on either side, the same one at every height."""
        if (at, width) not in self._bumps:
            self._bumps[at, width] = np.exp(-(((np.abs(self.phi) - at) / width) ** 2))
        return self._bumps[at, width]

    def radii(self, z: float, pleura: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return the layers' distances from the axis at a height, each (2049,) mm over :attr:`phi`.

        Args:
            z: height in mm of the average body.
            pleura: the innermost, where it is known.
        """
        person, phi, bump = self.anatomy, self.phi, self._bump

        def level(at: float, width: float) -> float:
            return float(np.exp(-(((z - at) / width) ** 2)))

        pleura = pleura_radius(phi, z) if pleura is None else pleura
        cage = pleura + 9.0
        muscle = 4 + 13 * bump(0.36, 0.26) - 2 * bump(0, 0.12) + 9 * bump(1.25, 0.35) * level(130, 70)
        muscle += 13 * bump(2.45, 0.32) * level(190, 38) + 5 * bump(2.7, 0.4) * level(0, 60)
        muscle += 10 * bump(0.8, 0.3) * level(180, 55)
        side_mm, front, back = (_smooth(z, _GIRDLE_Z, v) for v in (_GIRDLE_SIDE, _GIRDLE_FRONT, _GIRDLE_BACK))
        girdle = _oval(phi, side_mm, front, back, 2.2)
        muscle = cage + person.muscle * muscle + self.muscle_waves
        muscle = np.log(np.exp((muscle - girdle) / 8) + 1) * 8 + girdle  # a smooth maximum
        fat = person.fat * (1 + 0.25 * np.cos(2 * phi) * level(20, 120) + self.fat_waves)
        fat = fat * (1 - 0.45 * bump(np.pi, 0.25)) + 2.5
        fat += person.breasts * bump(2.42, 0.36) * (level(125, 38) + 0.35 * level(160, 30))
        groove = 4 * bump(0, 0.13) * (1 if z < 260 else 0.3)
        return {"pleura": pleura, "cage": cage, "muscle": muscle, "skin": muscle + np.maximum(fat, 3) - groove}

    def diaphragm(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return the height of the diaphragm over positions of one shape, in mm.

        Args:
            y: positions in the average body, in mm.
            x: likewise.
        """
        heights = []
        for centre, peak in ((-70.0, 91.0), (70.0, 79.0)):
            distance = ((x - centre) / 84) ** 2 + ((y - 2 - 14 * (y > 2)) / np.where(y < 2, 128, 108)) ** 2
            heights.append(peak - 34 * distance - 26 * distance**3)
        heights.append(71 - 22 * (x / 70) ** 2 - 34 * ((y + 12) / np.where(y < -12, 92, 70)) ** 2)
        saddle = 7 * np.logaddexp(np.logaddexp(heights[0] / 7, heights[1] / 7), heights[2] / 7)
        return np.maximum(saddle, -80) - self.anatomy.inspiration
