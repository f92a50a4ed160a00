"""Paint a person slice by slice: HU, and what every voxel is."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ctgrid.data.simulate.anatomy import MIDDLE_MM, Anatomy
from ctgrid.data.simulate.bones import Bones
from ctgrid.data.simulate.skeleton import spine_at
from ctgrid.data.simulate.texture import Field
from ctgrid.data.simulate.trunk import Trunk
from ctgrid.data.simulate.tubes import Tubes
from ctgrid.data.simulate.vessels import Ellipsoid, build_mediastinum, grow_lungs, heart_parts
from ctgrid.data.simulate.view import Canvas, Frame, Label, View, soft_least
from ctgrid.scan.windows import AIR_HU

FAT_HU, SKIN_HU = -102.0, 15.0
AIRWAY_WALL_MM = 1.5

_LIVER = (
    Ellipsoid((-62, -2, 20), (96, 96, 92)),
    Ellipsoid((14, -48, 48), (70, 42, 36), (0.1, 0.25)),
)
_AXILLA = Ellipsoid((112, 14, 198), (26, 34, 40), (0.0, 0.2))
_SPLEEN = Ellipsoid((88, 48, 34), (27, 50, 48), (-0.35, 0.0))
_STOMACH = Ellipsoid((58, -12, 42), (44, 52, 46), (0.3, 0.2))


class Painter:
    """One person, whatever grid is laid over them."""

    def __init__(self, anatomy: Anatomy) -> None:
        """Lay out the person; the lungs' trees grow when they are first needed."""
        self.anatomy, self.trunk = anatomy, Trunk(anatomy)
        self.bones = Bones(anatomy, self.trunk)
        self.great, self.esophagus, self.airways = build_mediastinum(anatomy)
        self.heart = heart_parts(anatomy)
        generator, centre = anatomy.generator(4), (MIDDLE_MM, 0.0, 0.0)
        self.coarse, self.medium, self.fine = (Field.draw(generator, mm, centre) for mm in (28.0, 11.0, 4.0))

    def frame(self, rows: np.ndarray, columns: np.ndarray, size: tuple[float, float, float]) -> Frame:
        """Return the pixels of a volume's slices; rows and columns in mm of the scanner's frame."""
        return Frame(self.trunk, rows.astype(np.float32), columns.astype(np.float32), size)

    @cached_property
    def trees(self) -> tuple[Tubes, Tubes, Tubes]:
        """Vessels, lumina and walls of the airways inside the lungs."""
        pitch, points = 6.0, []
        frame = self.frame(np.arange(-150, 151, pitch), np.arange(-180, 181, pitch), (pitch, pitch, pitch))
        for z in np.arange(-30.0, 300.0, pitch):
            view = View(frame, float(z))
            rows, columns = np.nonzero(self.lung_depth(view, self.great.distance(view.grid, 20)) < -4)
            points.append(np.column_stack((frame.columns[columns], frame.rows[rows], np.full(len(rows), z))))
        vessels, bronchi = grow_lungs(self.anatomy, np.concatenate(points))
        return vessels, bronchi, bronchi.grown(0.9)

    def paint(self, frame: Frame, z: float) -> Canvas:
        """Paint the slice at a height of the scanner's frame in mm."""
        view = View(frame, z)
        shape = view.y.shape
        canvas = Canvas(np.full(shape, AIR_HU, np.float32), np.zeros(shape, np.uint8))
        coarse, medium, fine = (f.plane(z, frame.rows, frame.columns) for f in (self.coarse, self.medium, self.fine))
        soft = 4 * medium + 5 * fine
        self._trunk(canvas, view, soft, coarse, medium)
        self._abdomen(canvas, view, soft, medium)
        near = self.great.distance(view.grid, 20)
        self._mediastinum(canvas, view, near, soft, coarse, medium)
        self._lungs(canvas, view, near, coarse, medium, fine)
        canvas.coat(self.esophagus.cover(view.grid), 34 + soft)
        canvas.coat(view.cover(near, view.grid.edge), self.anatomy.blood_hu + 0.6 * soft, Label.GREAT_VESSEL)
        self._airways(canvas, view)
        self.bones.paint(canvas, view, soft, fine)
        return canvas

    def _trunk(self, canvas: Canvas, view: View, soft: np.ndarray, coarse: np.ndarray, medium: np.ndarray) -> None:
        """Paint skin, fat, breast tissue and muscle, with fat between the muscles."""
        person = self.anatomy
        canvas.coat(view.layer("skin"), SKIN_HU, Label.BODY)
        canvas.coat(view.layer("skin", 1.6), FAT_HU + soft)
        if person.breasts:
            depth = view.depth("skin")
            front = (
                np.exp(-(((np.abs(view.x) - 82) / 34) ** 2)) * np.exp(-(((view.z - 122) / 34) ** 2)) * (view.y < -40)
            )
            gland = np.clip(1.5 * (front * (1.4 + medium) - 0.75), 0, 0.9) * np.clip(-(depth + 5) / 4, 0, 1)
            canvas.coat(gland, 25 + soft)
        muscle = view.layer("muscle")
        canvas.coat(muscle, person.muscle_hu + soft)
        seams = np.clip(1.3 - np.abs(coarse + 0.25 * medium) / 0.13, 0, 1) * np.clip((view.depth("cage") - 2) / 2, 0, 1)
        canvas.coat(seams * np.clip(-(view.depth("muscle") + 3) / 3, 0, 1), FAT_HU + soft)
        axilla = _AXILLA.distance(view.y + 5 * medium, np.abs(view.x) + 6 * coarse, view.z)
        loose = view.cover(axilla, 5.0) * np.clip((view.depth("cage") - 3) / 3, 0, 1)
        canvas.coat(loose * np.clip(-(view.depth("muscle") + 6) / 4, 0, 1), FAT_HU + 2 * soft)
        canvas.coat(
            view.layer("cage", -0.5) * (1 - view.layer("cage", 0.9)) * np.clip(0.4 + 0.5 * coarse, 0, 0.7), FAT_HU + 20
        )
        canvas.coat(view.layer("pleura", -1.0), FAT_HU + 6 + soft)

    def _abdomen(self, canvas: Canvas, view: View, soft: np.ndarray, medium: np.ndarray) -> None:
        """Paint diaphragm, liver, spleen and stomach below the dome."""
        depth = view.dome_depth()
        if not (depth < 5).any():
            return
        person, edge = self.anatomy, view.dome_edge()
        below = view.cover(depth, edge) * view.layer("pleura")
        canvas.coat(below, FAT_HU + soft)
        canvas.coat(below * (1 - view.cover(depth + 2.5, edge)), 42 + soft)
        within = view.cover(depth + 2.6, edge) * view.layer("pleura", 2.0)
        drop = view.z + person.inspiration
        y, x = view.y + 3 * medium, view.x + 3 * medium
        stomach = _STOMACH.distance(y, x, drop)
        canvas.coat(within * view.cover(stomach), 40 + soft)
        filled = np.where(view.y < -18, -960.0, 22 + soft)
        canvas.coat(within * view.cover(stomach + 4), filled.astype(np.float32))
        canvas.coat(within * view.cover(_SPLEEN.distance(y, x, drop)), person.liver_hu - 6 + soft)
        liver = soft_least(_LIVER[0].distance(y, x, drop), _LIVER[1].distance(y, x, drop), 10)
        veins = np.clip(8 - 60 * np.abs(self.coarse.plane(view.grid.z + 37, *self._sides(view))), 0, 1) * 10
        canvas.coat(within * view.cover(liver), person.liver_hu + soft - veins, Label.LIVER)

    def _mediastinum(
        self, canvas: Canvas, view: View, near: np.ndarray, soft: np.ndarray, coarse: np.ndarray, medium: np.ndarray
    ) -> None:
        """Paint what lies between the lungs but vessels: fat, small nodes, the heart."""
        person = self.anatomy
        nodes = np.clip(2.5 * (medium - 1.0), 0, 0.8) * (view.z > 140) * view.layer("pleura", 8)
        if view.z > 215:
            loose = np.clip((12 + 5 * coarse - near) / 5, 0, 0.95) * min(1.0, (view.z - 215) / 15)
            canvas.coat(loose * np.clip(-(view.depth("muscle") + 12) / 4, 0, 1).astype(np.float32), FAT_HU + soft)
        canvas.coat(nodes.astype(np.float32), 30 + soft)
        y, x = view.y + 2.5 * coarse, view.x + 2.5 * medium
        outline = self._heart_outline(y, x, view.z)
        if (outline < 5).any():
            above = 1 - view.cover(view.dome_depth(), view.dome_edge())
            canvas.coat(above * view.cover(outline - 0.8), 20.0)
            canvas.coat(above * view.cover(outline), FAT_HU + 10 + soft)
            fat = 2.5 + 2.5 * np.clip(coarse, 0, 2)
            canvas.coat(above * view.cover(outline + fat), person.muscle_hu - 4 + soft, Label.HEART)
            for chamber in self.heart["chambers"]:
                canvas.coat(above * view.cover(chamber.distance(y, x, view.z), 3.0), person.blood_hu + 0.6 * soft)

    def _heart_outline(self, y: np.ndarray, x: np.ndarray, z: float) -> np.ndarray:
        first, second, third = (part.distance(y, x, z) for part in self.heart["outline"])
        return soft_least(soft_least(first, second, 14), third, 14)

    def lung_depth(self, view: View, near: np.ndarray) -> np.ndarray:
        """Return the distance to the lungs' surface in mm, negative inside.

        Args:
            view: the slice.
            near: distance to the great vessels, up to 20 mm.
        """
        spine_y, spine_x = (float(v) for v in spine_at(self.anatomy, view.z))
        at = [-110, -88, -70, -45, -20, 20, 38, 60, 110]
        width = np.interp(view.y, at, [16, 7, 6, 13, 22, 22, 15, 17, 22])
        width = width * np.interp(view.z, [60, 110, 150, 200, 225, 250, 280], [0.5, 0.65, 1, 1.05, 1.25, 1.25, 1.6])
        middle = np.abs(view.x - np.float32(2)) - width.astype(np.float32)
        spine = np.hypot(view.x - np.float32(spine_x), (view.y - np.float32(spine_y + 2)) * np.float32(1.05)) - 22
        kept = soft_least(soft_least(middle, spine.astype(np.float32), 12), near - np.float32(2.2), 8)
        kept = soft_least(kept, self._heart_outline(view.y, view.x, view.z) - np.float32(1.5), 6)
        return np.maximum(np.maximum(view.depth("pleura"), -view.dome_depth()), -kept)

    def _lungs(
        self, canvas: Canvas, view: View, near: np.ndarray, coarse: np.ndarray, medium: np.ndarray, fine: np.ndarray
    ) -> None:
        """Paint lungs, fissures, vessels and bronchi."""
        depth = self.lung_depth(view, near)
        if not (depth < view.edge).any():
            return
        person = self.anatomy
        edge = np.maximum(view.blur("pleura"), view.edge)
        ceiling = np.abs(depth + view.dome_depth()) < 0.5
        cover = view.cover(depth, np.where(ceiling, view.dome_edge(), edge))
        lung = person.lung_hu + 0.16 * view.y + 12 * coarse + 9 * medium + 13 * fine
        oblique = np.abs((view.z - 148 - 1.05 * view.y) / np.float32(1.45) + 3 * coarse)
        level = np.where((view.x < 0) & (view.y < 5), np.abs(view.z - 152 - 0.12 * view.y + 2.5 * coarse), 9.0)
        fissure = np.clip(1.4 - np.minimum(oblique, level) / max(view.edge, 0.7), 0, 1) * min(1.0, 0.8 / view.edge)
        canvas.coat(cover, (lung + 210 * fissure).astype(np.float32), Label.LUNG)
        vessels, lumina, walls = self.trees
        inside = np.clip(cover + 2 * view.cover(depth - 3), 0, 1)
        canvas.coat(walls.cover(view.grid) * inside, -60.0)
        vessel = vessels.cover(view.grid) * inside
        canvas.coat(vessel, person.blood_hu - 4, Label.LUNG_VESSEL)
        canvas.coat(lumina.cover(view.grid) * inside, -975.0, Label.AIRWAY)

    def _airways(self, canvas: Canvas, view: View) -> None:
        """Paint trachea and main bronchi."""
        reach = max(5, AIRWAY_WALL_MM + view.edge)  # twice as far as any pixel, however coarse, is covered
        distance = self.airways.distance(view.grid, reach)
        canvas.coat(view.cover(distance - AIRWAY_WALL_MM), 30.0)
        canvas.coat(view.cover(distance), -990.0, Label.AIRWAY)

    def _sides(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        return view.grid.y, view.grid.x
