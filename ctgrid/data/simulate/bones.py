"""Paint the bones: shells of compact bone around marrow, discs, and cartilage."""

from __future__ import annotations

import numpy as np

from ctgrid.data.simulate.anatomy import Anatomy
from ctgrid.data.simulate.skeleton import FIRST_MM, LEVEL_MM, build_skeleton, spine_at
from ctgrid.data.simulate.trunk import Trunk, axis_y, pleura_radius
from ctgrid.data.simulate.view import Canvas, Label, View

COMPACT_HU, MARROW_HU, DISC_HU, CARTILAGE_HU, CORD_HU = 560.0, 165.0, 75.0, 95.0, 32.0
_DISC = 0.40
"""Share of a level's height, from the vertebra's middle, where the disc begins."""


class Bones:
    """One person's bones."""

    def __init__(self, anatomy: Anatomy, trunk: Trunk) -> None:
        """Lay out shells and marrow."""
        self.anatomy, skeleton = anatomy, build_skeleton(anatomy, trunk)
        self.shells = (skeleton.bones, skeleton.ribs)
        self.marrow = (skeleton.bones.grown(-1.8), skeleton.ribs.grown(-1.2))
        self.cartilage = skeleton.cartilage

    def paint(self, canvas: Canvas, view: View, soft: np.ndarray, fine: np.ndarray) -> None:
        """Paint all bones of a slice; ``soft`` and ``fine`` are textures."""
        k = self.anatomy.bone
        marrow = k * MARROW_HU + 22 * fine
        canvas.coat(self.cartilage.cover(view.grid), CARTILAGE_HU + soft)
        self._scapulae(canvas, view, marrow)
        self._sternum(canvas, view, marrow)
        self._vertebra(canvas, view, marrow, soft)
        for shell, inside in zip(self.shells, self.marrow, strict=True):
            canvas.coat(shell.cover(view.grid), k * COMPACT_HU, Label.BONE)
            canvas.coat(inside.cover(view.grid), marrow)

    def _vertebra(self, canvas: Canvas, view: View, marrow: np.ndarray, soft: np.ndarray) -> None:
        """Paint the vertebral body or disc, and the canal."""
        k = self.anatomy.bone
        spine_y, spine_x = (np.float32(v) for v in spine_at(self.anatomy, view.z))
        place_x, place_y, _ = self.anatomy.to_scanner(np.array([spine_x, spine_y, view.z])).tolist()
        window = view.grid.window(place_y - 40, place_y + 55, place_x - 40, place_x + 40)
        if window is None:
            return
        near, marrow, soft = canvas.part(window), marrow[window], soft[window]
        phase = (view.z - FIRST_MM - 12) / LEVEL_MM
        phase = abs(phase - round(phase))
        size = float(np.clip(1.14 - 0.0012 * view.z, 0.75, 1.2)) * (1 - 0.07 * np.cos(2 * np.pi * phase))
        side, depth = 17.5 * size, 14.0 * size
        dx, dy = view.x[window] - spine_x, view.y[window] - spine_y
        x2, y2 = (dx / np.float32(side)) ** 2, (dy / np.float32(depth)) ** 2
        body = (np.sqrt(np.sqrt(x2 * x2 + y2 * y2 + x2 * y2)) - 1) * np.float32(0.5 * (side + depth))
        notch = np.hypot(dx, dy - np.float32(depth + 8.0)) - np.float32(10.5)
        body = np.maximum(body, -notch)
        share = view.grid.dz / self.anatomy.scale[2] / LEVEL_MM  # of a level, that the slice is thick
        disc = float(np.clip(0.5 + (phase - _DISC) / max(share, 0.02), 0, 1))
        plate = float(np.clip(1.2 - abs(phase - _DISC + 0.03) / max(share, 0.05), 0, 1))
        shell = (1 - disc) * k * 0.85 * COMPACT_HU + disc * DISC_HU
        core = (1 - disc) * (marrow + plate * 190) + disc * (DISC_HU + soft)
        near.coat(view.cover(body), float(shell), Label.BONE)
        near.coat(view.cover(body + 1.4), core.astype(np.float32))
        canal = notch + np.float32(2.2)
        near.coat(view.cover(canal), -55.0, Label.BODY)
        near.coat(view.cover(canal + 2.0), CORD_HU + 0.5 * soft)

    def _sternum(self, canvas: Canvas, view: View, marrow: np.ndarray) -> None:
        """Paint manubrium, body and xiphoid process."""
        z, k = view.z, self.anatomy.bone
        if not 92 < z < 229:
            return
        front = axis_y(z) - float(pleura_radius(np.array(np.pi), z)) - 8.5
        half = float(np.interp(z, [92, 100, 118, 125, 188, 196, 205, 226, 229], [2, 6, 8, 17, 14, 22, 26, 29, 24]))
        thick = float(np.interp(z, [92, 120, 190, 205, 229], [2.5, 4.5, 5.0, 6.5, 5.0]))
        qx, qy = np.abs(view.x) - np.float32(half - 4.4), np.abs(view.y - np.float32(front)) - np.float32(thick - 4.4)
        box = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - np.float32(4.4)
        joint = float(np.clip(1.5 - abs(z - 194) / 1.5, 0, 1))
        canvas.coat(view.cover(box), (1 - joint) * k * 0.7 * COMPACT_HU + joint * CARTILAGE_HU, Label.BONE)
        canvas.coat(view.cover(box + 1.3), (1 - joint) * 0.75 * marrow + np.float32(joint * CARTILAGE_HU))

    def _scapulae(self, canvas: Canvas, view: View, marrow: np.ndarray) -> None:
        """Paint the blades: thin shells between the muscles of the back."""
        z, k = view.z, self.anatomy.bone
        if not 92 < z < 236:
            return
        inner = np.interp(z, [92, 110, 200, 236], [0.80, 0.62, 0.50, 0.72])
        outer = np.interp(z, [92, 110, 215, 236], [0.86, 0.92, 1.22, 0.95])
        angle = np.abs(np.arctan2(view.x, view.y - np.float32(axis_y(z))))
        sheet = np.abs(view.depth("muscle") + np.float32(15)) - np.interp(
            angle, [inner, 0.5 * (inner + outer), outer], [1.6, 1.3, 4.2]
        )
        sides = np.maximum(inner - angle, angle - outer) * view.rho
        blade = np.maximum(sheet, sides).astype(np.float32)
        canvas.coat(view.cover(blade), k * 0.9 * COMPACT_HU, Label.BONE)
        canvas.coat(view.cover(blade + 1.6), marrow)
