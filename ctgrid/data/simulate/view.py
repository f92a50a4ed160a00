"""A slice as a person's anatomy sees it, and the canvas that it is painted on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ctgrid.data.simulate.trunk import Trunk, axis_y, pleura_radius
from ctgrid.data.simulate.tubes import Grid


class Label(IntEnum):
    """What a voxel of a phantom mostly is."""

    OUTSIDE, BODY, LUNG, AIRWAY, LUNG_VESSEL, HEART, GREAT_VESSEL, BONE, LIVER, TABLE = range(10)


@dataclass
class Canvas:
    """A slice being painted: every coat covers what is below it, in part.

    Attributes:
        hu: float32 (ny, nx).
        labels: uint8 (ny, nx).
    """

    hu: np.ndarray
    labels: np.ndarray

    def coat(self, cover: np.ndarray, hu: np.ndarray | float, label: Label | None = None) -> None:
        """Blend in HU by ``cover``, from 0 to 1; what is covered by more than half gets the label."""
        self.hu += cover * (hu - self.hu)
        if label is not None:
            self.labels[cover > 0.5] = label

    def part(self, window: tuple[slice, slice]) -> Canvas:
        """Return a window of the canvas; what is painted on it is painted on the whole."""
        return Canvas(self.hu[window], self.labels[window])


class Frame:
    """The pixels that all slices of a volume share, in the average body.

    Attributes:
        rows, columns: float32 (ny,), (nx,) mm in the scanner's frame.
        size: voxel size (z, y, x) in mm.
        y, x: float32 (ny, nx) mm in the average body.
        dome: height of the diaphragm over every pixel, in mm.
        slope: how much steeper than level it is there, at least 1.
    """

    def __init__(self, trunk: Trunk, rows: np.ndarray, columns: np.ndarray, size: tuple[float, float, float]) -> None:
        """Place the pixels in the body."""
        self.trunk, self.rows, self.columns, self.size = trunk, rows, columns, size
        y, x = trunk.anatomy.to_body(*np.meshgrid(rows.astype(np.float64), columns.astype(np.float64), indexing="ij"))
        self.y, self.x = y.astype(np.float32), x.astype(np.float32)
        self.dome = trunk.diaphragm(y, x).astype(np.float32)
        step = 1.0
        gy = trunk.diaphragm(y + step, x) - trunk.diaphragm(y - step, x)
        gx = trunk.diaphragm(y, x + step) - trunk.diaphragm(y, x - step)
        self.slope = np.sqrt(1 + (gy**2 + gx**2) / (4 * step**2)).astype(np.float32)
        self._polar: tuple[float, np.ndarray, np.ndarray] | None = None

    def polar(self, axis: float) -> tuple[np.ndarray, np.ndarray]:
        """Return distance from the trunk's axis, and the index of the angle in the trunk's tables."""
        if self._polar is None or self._polar[0] != axis:
            y = self.y - np.float32(axis)
            phi = np.arctan2(self.x, y)
            sector = np.rint((phi + np.float32(np.pi)) * np.float32(2048 / (2 * np.pi))).astype(np.int32)
            self._polar = axis, np.hypot(self.x, y), sector
        return self._polar[1], self._polar[2]


class View:
    """One slice of a frame.

    Attributes:
        grid: its pixels in the scanner's frame.
        z: its height in the average body.
        y, x: the frame's.
        edge: width in mm over which a voxel blurs an edge.
        rho: distance from the trunk's axis.
    """

    def __init__(self, frame: Frame, z: float) -> None:
        """Look at a height of the scanner's frame in mm."""
        trunk, (dz, dy, dx) = frame.trunk, frame.size
        self.frame, self.y, self.x = frame, frame.y, frame.x
        self.grid = Grid(frame.rows, frame.columns, z, dz, dy, dx)
        self.edge = (dy + dx) / 2
        self.z = trunk.anatomy.height(z)
        self.rho, self.sector = frame.polar(axis_y(self.z))
        half = dz / 2 / trunk.anatomy.scale[2]
        self._heights = self.z - half, self.z + half
        self._radii = [{"pleura": pleura_radius(trunk.phi, height)} for height in self._heights]
        self._layers: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def _layer(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Look up one of the trunk's layers when it is first asked for: its depth and its edge."""
        if name not in self._layers:
            trunk = self.frame.trunk
            if name not in self._radii[0]:
                self._radii = [
                    trunk.radii(height, known["pleura"])
                    for height, known in zip(self._heights, self._radii, strict=True)
                ]
            below, above = (radii[name] for radii in self._radii)
            radius = (below + above) / 2
            slant = 1 / np.sqrt(1 + (np.gradient(radius, trunk.phi) / np.maximum(radius, 1)) ** 2)
            edge = self.edge + np.abs(above - below) * slant
            table = np.stack((radius, slant, edge), -1).astype(np.float32)[self.sector]
            self._layers[name] = (self.rho - table[..., 0]) * table[..., 1], table[..., 2]
        return self._layers[name]

    def depth(self, name: str) -> np.ndarray:
        """Return the distance to one of the trunk's layers in mm, negative inside, float32 (ny, nx)."""
        return self._layer(name)[0]

    def blur(self, name: str) -> np.ndarray:
        """Return over how many mm the voxels blur that layer's edge, float32 (ny, nx)."""
        return self._layer(name)[1]

    def layer(self, name: str, inwards: float = 0.0) -> np.ndarray:
        """Return which part of each pixel lies inside a layer, or some mm further in."""
        return np.clip(np.float32(0.5) - (self.depth(name) + np.float32(inwards)) / self.blur(name), 0, 1)

    def cover(self, distance: np.ndarray, edge: np.ndarray | float | None = None) -> np.ndarray:
        """Return which part of each pixel lies inside, by the distance to a surface (negative inside)."""
        return np.clip(np.float32(0.5) - distance / np.float32(self.edge if edge is None else edge), 0, 1)

    def dome_depth(self) -> np.ndarray:
        """Return the distance to the diaphragm in mm, negative below it."""
        return (np.float32(self.z) - self.frame.dome) / self.frame.slope

    def dome_edge(self) -> np.ndarray:
        """Return the width of the diaphragm's edge: where it is level, a slice is as thick as it is."""
        level = 1 / self.frame.slope
        return np.maximum(np.float32(self.grid.dz) * level, np.float32(self.edge) * np.sqrt(1 - level**2)) + 0.1


def soft_least(a: np.ndarray, b: np.ndarray, mm: float) -> np.ndarray:
    """Return the lesser of two distances, rounded off over some mm where they meet."""
    h = np.maximum(np.float32(mm) - np.abs(a - b), 0)
    return np.minimum(a, b) - h * h * np.float32(0.25 / mm)
