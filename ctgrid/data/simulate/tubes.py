"""Tubes with round or flattened sections: vessels, airways and bones, drawn slice by slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

AT_ONCE = 2**14
"""About so many pixels are drawn together, whose numbers stay in a processor's cache."""


@dataclass(frozen=True)
class Grid:
    """One slice's pixel centres in patient space.

    Attributes:
        y, x: float32 (ny,), (nx,) mm.
        z: height in mm.
        dz, dy, dx: voxel size in mm.
    """

    y: np.ndarray
    x: np.ndarray
    z: float
    dz: float
    dy: float
    dx: float

    @property
    def edge(self) -> float:
        """Width over which an edge of no particular direction is blurred by the voxel, in mm."""
        return (self.dx * self.dy * self.dz) ** (1 / 3) if self.dz < 2 * self.dx else (self.dx + self.dy) / 2

    def window(self, y0: float, y1: float, x0: float, x1: float) -> tuple[slice, slice] | None:
        """Return the pixels of a box in mm, or None where there are none."""
        rows = slice(*self.y.searchsorted((y0, y1)).tolist())
        columns = slice(*self.x.searchsorted((x0, x1)).tolist())
        return None if rows.start == rows.stop or columns.start == columns.stop else (rows, columns)


@dataclass(frozen=True)
class Tubes:
    """Cones with rounded ends between two points each.

    Attributes:
        ends: float32 (n, 2, 3), both ends (x, y, z) in mm.
        radii: float32 (n, 2) in mm at both ends.
        tall: how much taller (along z) than wide the section of tubes across z is.
    """

    ends: np.ndarray
    radii: np.ndarray
    tall: float = 1.0
    tops: np.ndarray = field(init=False, repr=False)
    bottoms: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        reach = self.radii.max(1) * self.tall
        object.__setattr__(self, "bottoms", self.ends[:, :, 2].min(1) - reach)
        object.__setattr__(self, "tops", self.ends[:, :, 2].max(1) + reach)

    @classmethod
    def path(cls, points: Sequence[Sequence[float]], radii: Sequence[float], tall: float = 1.0) -> Tubes:
        """Return tubes along a smooth curve (Catmull & Rom 1974) through points.

        Args:
            points: (x, y, z) in mm.
            radii: in mm at each.
            tall: see the class.
        """
        nodes = np.column_stack((np.asarray(points, np.float64), np.asarray(radii, np.float64)))
        before = np.vstack((2 * nodes[0] - nodes[1], nodes, 2 * nodes[-1] - nodes[-2]))
        p0, p1, p2, p3 = (before[i : len(nodes) - 1 + i, None] for i in range(4))
        t = np.linspace(0, 1, 7)[None, :-1, None]
        curve = p1 + t / 2 * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
        curve = np.vstack((curve.reshape(-1, 4), nodes[-1]))
        return cls.polyline(curve[:, :3], curve[:, 3], tall)

    @classmethod
    def polyline(cls, points: np.ndarray, radii: np.ndarray, tall: float = 1.0) -> Tubes:
        """Return straight tubes from point to point, (n, 3) and (n,) mm."""
        ends = np.stack((points[:-1], points[1:]), 1).astype(np.float32)
        return cls(ends, np.stack((radii[:-1], radii[1:]), 1).astype(np.float32), tall)

    @classmethod
    def joined(cls, parts: Sequence[Tubes]) -> Tubes:
        """Return all tubes of parts that are equally tall."""
        ends, radii = (np.concatenate([getattr(p, name) for p in parts]) for name in ("ends", "radii"))
        return cls(ends, radii, parts[0].tall)

    def grown(self, mm: float) -> Tubes:
        """Return the tubes with other radii: a wall around a lumen, or the marrow inside a bone."""
        return Tubes(self.ends, np.maximum(self.radii + np.float32(mm), 0.05), self.tall)

    def near(self, grid: Grid, margin: float) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield the pixels around the tubes near a slice, those of many small tubes at once.

        Args:
            grid: the slice.
            margin: how far around the tubes they shall reach, in mm.

        Yields:
            Numbers of pixels, row after row; the distance to a tube's surface there (negative inside) and that tube's
            radius, both float32 in mm. A pixel comes once for every tube that it is near.
        """
        reach = margin + grid.dz / 2
        those = np.flatnonzero((self.bottoms < grid.z + reach) & (self.tops > grid.z - reach))
        (ax, ay, az), (bx, by, bz) = self.ends[those].astype(np.float64).transpose(1, 2, 0)
        r0, r1 = self.radii[those].astype(np.float64).T
        extent = np.maximum(r0, r1) + margin
        low, high = grid.z - extent * self.tall - grid.dz, grid.z + extent * self.tall + grid.dz
        level = az == bz
        rise = np.where(level, 1.0, bz - az)
        one, other = (low - az) / rise, (high - az) / rise
        s0 = np.where(level, 0.0, np.maximum(np.minimum(one, other), 0.0))  # only that part of the axis that is
        s1 = np.where(level, 1.0, np.minimum(np.maximum(one, other), 1.0))  # near the slice
        x0, x1 = ax + s0 * (bx - ax), ax + s1 * (bx - ax)
        y0, y1 = ay + s0 * (by - ay), ay + s1 * (by - ay)
        left, right = grid.x.searchsorted((np.minimum(x0, x1) - extent, np.maximum(x0, x1) + extent))
        top, bottom = grid.y.searchsorted((np.minimum(y0, y1) - extent, np.maximum(y0, y1) + extent))

        squeeze = 1 / self.tall
        z = (grid.z - az) * squeeze
        dx, dy, dz = bx - ax, by - ay, (bz - az) * squeeze
        length = dx * dx + dy * dy + dz * dz + 1e-9
        along = (dx / length, dy / length, z * dz / length)
        numbers = np.stack((ax, ay, z, dx, dy, dz, *along, r0, r1 - r0)).astype(np.float32)
        width, size = right - left, (right - left) * (bottom - top)
        ends = np.cumsum(size)
        for part in np.split(np.arange(len(those)), np.flatnonzero(np.diff(ends // AT_ONCE)) + 1):
            count = size[part]
            of = np.repeat(part, count)  # the tube of each pixel
            row, column = np.divmod(np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count), width[of])
            row, column = row + top[of], column + left[of]
            ax_, ay_, z_, dx_, dy_, dz_, along_x, along_y, along_z, r0_, more = numbers.take(of, axis=1)
            x, y = grid.x[column] - ax_, grid.y[row] - ay_
            s = np.minimum(np.maximum((x * along_x + y * along_y) + along_z, 0), 1)
            distance = np.sqrt((x - s * dx_) ** 2 + (y - s * dy_) ** 2 + (z_ - s * dz_) ** 2)
            radius = r0_ + more * s
            yield row * len(grid.x) + column, distance - radius, radius

    def cover(self, grid: Grid) -> np.ndarray:
        """Return which part of every pixel the tubes fill, float32 (ny, nx); thinner than a pixel is faint."""
        cover = np.zeros((len(grid.y), len(grid.x)), np.float32)
        edge = grid.edge
        for pixels, depth, radius in self.near(grid, edge):
            wide = np.maximum(radius, edge / 2)
            inside = np.minimum(np.maximum(0.5 + (wide - radius - depth) / edge, 0), 1)
            np.maximum.at(cover.reshape(-1), pixels, inside * (radius / wide) ** 2)
        return cover

    def distance(self, grid: Grid, margin: float) -> np.ndarray:
        """Return the distance to the nearest surface, float32 (ny, nx), at most about ``margin``."""
        nearest = np.full((len(grid.y), len(grid.x)), margin, np.float32)
        for pixels, depth, _ in self.near(grid, margin):
            np.minimum.at(nearest.reshape(-1), pixels, depth)
        return nearest
