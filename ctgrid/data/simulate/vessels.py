"""Heart, great vessels and airways of the mediastinum, and the trees that grow from them into the lungs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ctgrid.base.draws import normal
from ctgrid.data.simulate.anatomy import Anatomy
from ctgrid.data.simulate.trees import grow_tree
from ctgrid.data.simulate.tubes import Tubes

_PATHS: dict[str, list[tuple[float, ...]]] = {  # x, y, z, radius in mm
    "aorta": [
        (2, -14, 138, 14), (-9, -26, 162, 16), (-9, -22, 186, 15.5), (0, -8, 203, 14), (13, 12, 208, 13),
        (22, 32, 198, 12.5), (24, 43, 178, 12), (23, 48, 150, 12), (17, 48, 100, 11.5), (9, 43, 50, 11),
        (3, 34, 0, 10.5), (2, 30, -60, 10),
    ],
    "pulmonary trunk": [(28, -48, 138, 13), (29, -38, 158, 14), (30, -20, 172, 13), (38, 2, 175, 11), (48, 16, 170, 9)],
    "right pulmonary artery": [(29, -22, 169, 12), (8, -8, 168, 11), (-18, 0, 166, 10.5), (-42, 6, 162, 9)],
    "cava superior": [
        (-24, -12, 132, 10), (-27, -16, 165, 9), (-26, -20, 200, 8.5), (-34, -16, 228, 7), (-44, -4, 256, 6.5),
        (-40, 6, 330, 7),
    ],
    "left jugular": [(36, -20, 238, 6), (38, -6, 262, 6), (36, 4, 330, 6)],
    "left brachiocephalic vein": [(-24, -22, 204, 7.5), (0, -32, 214, 6.5), (24, -30, 226, 6.5), (44, -16, 246, 6.5)],
    "brachiocephalic artery": [
        (-4, -12, 204, 7), (-14, -10, 222, 6.5), (-24, -4, 244, 5.5), (-26, 2, 275, 4.5), (-26, 4, 330, 4),
    ],
    "left carotid": [(6, 2, 208, 4.5), (14, 2, 232, 4.2), (24, 2, 270, 4), (28, 4, 330, 4)],
    "left subclavian": [(16, 16, 208, 5.2), (24, 16, 235, 5), (38, 14, 258, 5), (66, 0, 262, 4.5), (110, -8, 254, 4)],
    "right subclavian": [(-26, -4, 246, 5.5), (-44, 4, 259, 5), (-70, -2, 262, 4.5), (-112, -8, 254, 4)],
    "cava inferior": [(-22, 20, -60, 12), (-24, 18, 40, 12), (-25, 12, 95, 12), (-22, 0, 112, 12)],
    "azygos": [(-10, 40, 40, 3), (-8, 46, 120, 3.6), (-11, 44, 178, 4), (-20, 20, 188, 4.2), (-26, -8, 184, 4.2)],
    "right veins": [(-58, 12, 146, 5), (-36, 16, 140, 6.5), (-8, 18, 136, 8)],
    "left veins": [(58, 18, 144, 5), (40, 20, 140, 6.5), (14, 20, 137, 8)],
}  # fmt: skip
_ESOPHAGUS = [(4, 34, 330, 6), (5, 36, 240, 6), (4, 35, 190, 6.5), (8, 36, 130, 7), (16, 26, 85, 7.5), (28, 8, 66, 8)]
_AIRWAYS: list[list[tuple[float, ...]]] = [
    [(0, 8, 330, 9), (0, 14, 250, 9), (1, 17, 215, 9), (2, 19, 186, 9.5)],
    [(2, 19, 186, 8), (-14, 18, 174, 7.2), (-32, 15, 164, 6.2), (-40, 14, 157, 5.4)],
    [(2, 19, 186, 7.5), (20, 21, 172, 6.5), (38, 20, 160, 5.8), (47, 20, 153, 5.0)],
]
TIPS = 1000
"""Of the arterial tree of each lung."""

FAR_MM = 12.0
"""Further from an ellipsoid than this, its distance is not computed."""


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid in the average body.

    Attributes:
        centre: (x, y, z) mm.
        radii: along its own axes in mm.
        turn: about z, then tilt about its second axis, in radians.
    """

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    turn: tuple[float, float] = (0.0, 0.0)

    def distance(self, y: np.ndarray, x: np.ndarray, z: float) -> np.ndarray:
        """Return roughly the distance to the surface in mm, negative inside; y and x of one shape, float32."""
        if abs(z - self.centre[2]) > max(self.radii) + FAR_MM:
            return np.full(y.shape, FAR_MM, np.float32)
        (c0, s0), (c1, s1) = ((np.cos(a), np.sin(a)) for a in self.turn)
        x, y, dz = x - np.float32(self.centre[0]), y - np.float32(self.centre[1]), z - self.centre[2]
        along = np.float32(c0) * x + np.float32(s0) * y
        axes = (
            np.float32(c1) * along + np.float32(s1 * dz),
            np.float32(c0) * y - np.float32(s0) * x,
            np.float32(c1 * dz) - np.float32(s1) * along,
        )
        squares = [(a / np.float32(r)) ** 2 for a, r in zip(axes, self.radii, strict=True)]
        near = np.sqrt(sum(squares))
        slope = np.sqrt(sum(s / np.float32(r * r) for s, r in zip(squares, self.radii, strict=True)))
        return near * (near - 1) / np.maximum(slope, np.float32(1e-3))


def heart_parts(anatomy: Anatomy) -> dict[str, list[Ellipsoid]]:
    """Return the heart's outline and its chambers."""
    k, drop = anatomy.heart, 0.5 * anatomy.inspiration

    def part(x: float, y: float, z: float, r: tuple[float, float, float], turn: tuple[float, float]) -> Ellipsoid:
        return Ellipsoid((x * k, y, z - drop), (r[0] * k, r[1] * k, r[2] * k), turn)

    oblique = (-0.62, 0.38)
    return {
        "outline": [
            part(26, -26, 112, (63, 43, 44), oblique),
            part(-16, -16, 122, (38, 36, 42), (0.0, 0.0)),
            part(8, 8, 132, (38, 28, 26), (0.1, 0.0)),
        ],
        "chambers": [
            part(38, -20, 110, (42, 21, 23), oblique),
            part(8, -44, 116, (46, 15, 30), (-0.45, 0.3)),
            part(-26, -14, 120, (25, 26, 32), (0.0, 0.0)),
            part(6, 12, 134, (32, 21, 20), (0.1, 0.0)),
        ],
    }


@dataclass(frozen=True)
class Vessels:
    """Everything tubular inside the chest, in the scanner's frame.

    Attributes:
        great: large vessels of the mediastinum.
        esophagus: itself.
        airways: lumina of trachea and main bronchi.
        lung: arteries and veins of the lungs.
        bronchi: lumina of the airways in the lungs.
    """

    great: Tubes
    esophagus: Tubes
    airways: Tubes
    lung: Tubes
    bronchi: Tubes


def build_mediastinum(anatomy: Anatomy) -> tuple[Tubes, Tubes, Tubes]:
    """Return great vessels, esophagus and central airways, in the scanner's frame."""
    generator = anatomy.generator(2)

    def path(nodes: Sequence[tuple[float, ...]]) -> Tubes:
        nodes_xyzr = np.array(nodes, np.float64)
        nodes_xyzr[:, :3] += 1.2 * normal((len(nodes), 3), generator).numpy()
        tubes = Tubes.path(nodes_xyzr[:, :3].tolist(), nodes_xyzr[:, 3].tolist())
        return anatomy.place(tubes)

    great = Tubes.joined([path(nodes) for nodes in _PATHS.values()])
    return great, path(_ESOPHAGUS), Tubes.joined([anatomy.place(_exact(nodes)) for nodes in _AIRWAYS])


def grow_lungs(anatomy: Anatomy, inside: np.ndarray, count: int = TIPS) -> tuple[Tubes, Tubes]:
    """Grow arteries, veins and airways into both lungs.

    Args:
        anatomy: the person.
        inside: (n, 3) points in the lungs, evenly spread, in the scanner's frame.
        count: tips, see :data:`TIPS`.

    Returns:
        Vessels and bronchial lumina, in the scanner's frame.
    """
    generator = anatomy.generator(3)
    vessels: list[Tubes] = []
    bronchi: list[Tubes] = []
    for side in (-1, 1):
        points = inside[np.sign(inside[:, 0] - anatomy.shift[0]) == side]
        if len(points) < 20:
            continue
        roots = {
            "artery": (side * 45, 11, 164 if side < 0 else 170),
            "vein": (side * 57, 15, 145),
            "airway": (side * 43, 17, 156),
        }
        for name, tips, tip_mm, most in (
            ("artery", count, 0.62, 7.0), ("vein", count * 3 // 4, 0.6, 6.0), ("airway", count // 12, 0.75, 4.6)
        ):  # fmt: skip
            chosen = torch.randint(0, len(points), (tips,), generator=generator).numpy()
            targets = points[chosen] + 2.0 * normal((tips, 3), generator).numpy()
            root = anatomy.to_scanner(np.array(roots[name]))
            if name == "airway":
                targets = root + (targets - root) * 0.62
            tree = grow_tree(root, targets, tip_mm, most_mm=most)
            (bronchi if name == "airway" else vessels).append(tree)
    nothing = Tubes(np.zeros((0, 2, 3), np.float32), np.zeros((0, 2), np.float32))
    return Tubes.joined(vessels or [nothing]), Tubes.joined(bronchi or [nothing])


def _exact(nodes: Sequence[tuple[float, ...]]) -> Tubes:
    return Tubes.path([n[:3] for n in nodes], [n[3] for n in nodes])
