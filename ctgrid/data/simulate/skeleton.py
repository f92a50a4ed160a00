"""Bones and cartilage: spine, ribs, sternum, clavicles and scapulae."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctgrid.data.simulate.anatomy import Anatomy
from ctgrid.data.simulate.trunk import Trunk, axis, axis_y, pleura_radius
from ctgrid.data.simulate.tubes import Tubes

LEVEL_MM = 22.5
"""Height of a vertebra with its disc."""

FIRST_MM = 262.0
"""Height of the head of the first rib."""


@dataclass(frozen=True)
class Skeleton:
    """Bones as tubes, in the scanner's frame.

    Attributes:
        bones: with a shell of compact bone: vertebral arches, clavicles.
        ribs: likewise, taller than thick.
        cartilage: between ribs and sternum.
    """

    bones: Tubes
    ribs: Tubes
    cartilage: Tubes


def spine_at(anatomy: Anatomy, z: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Return y and x of the vertebral bodies' middle at a height of the average body."""
    z = np.asarray(z, np.float64)
    y = 58 - (z - 140) ** 2 / 1150 * np.where(z > 140, 1.0, 0.45) + anatomy.kyphosis * np.exp(-(((z - 150) / 80) ** 2))
    return y, anatomy.scoliosis * np.sin((z - 30) / 70)


def build_skeleton(anatomy: Anatomy, trunk: Trunk) -> Skeleton:
    """Lay out the tubes of all bones.

    Args:
        anatomy: the person.
        trunk: their outline, out of which no process may stick.
    """
    ribs, cartilage = [], []
    for number in range(1, 13):
        for side in (-1, 1):
            bone, soft = _rib(anatomy, number, side)
            ribs.append(bone)
            cartilage += soft
    bones = [tube for k in range(-3, 16) for tube in _arch(anatomy, trunk, FIRST_MM + 12 - k * LEVEL_MM)]
    for side in (-1, 1):
        points = [(12, -50, 226), (45, -50, 236), (85, -38, 250), (125, -12, 258), (150, 6, 258)]
        bones.append(Tubes.path([(side * x, y, z) for x, y, z in points], [7.5, 5.5, 5, 5, 5.5]))
        spine_of_scapula = [(side * 62, 92, 196), (side * 105, 84, 222), (side * 142, 44, 246)]
        bones.append(Tubes.path(spine_of_scapula, [3.5, 4.5, 5.5]))
        bones.append(Tubes.path([(side * 148, 8, 234), (side * 152, 2, 244)], [18, 18]))
    return Skeleton(*(anatomy.place(Tubes.joined(parts)) for parts in (bones, ribs, cartilage)))


def _arch(anatomy: Anatomy, trunk: Trunk, z: float) -> list[Tubes]:
    """Return pedicles, laminae, transverse and spinous process of the vertebra whose body's middle is at z."""
    y, x = (float(v) for v in spine_at(anatomy, z))
    skin = trunk.radii(z - 24)["skin"][len(trunk.phi) // 2] + axis_y(z - 24)
    tip = min(y + 56, float(skin) - 9)
    middle = (y + 33 + tip) / 2
    parts = [Tubes.path([(x, y + 33, z - 2), (x, middle, z - 12), (x, tip, z - 24)], [4.5, 3.2, 3.8])]
    for side in (-1, 1):
        parts.append(Tubes.path([(x + side * 11.5, y + 11, z + 4), (x + side * 11.5, y + 22, z + 3)], [4.6, 4.2]))
        parts.append(Tubes.path([(x + side * 11.5, y + 22, z), (x, y + 33, z - 3)], [3.6, 3.4], 1.7))
        processes = [(x + side * 12, y + 22, z + 2), (x + side * 24, y + 28, z + 4), (x + side * 33, y + 31, z + 5)]
        parts.append(Tubes.path(processes, [4.5, 3.8, 5.0]))
    return [Tubes(part.ends, part.radii) for part in parts]


def _rib(anatomy: Anatomy, number: int, side: int) -> tuple[Tubes, list[Tubes]]:
    """Return a rib and its cartilage: around the chest, falling to the front."""
    head = FIRST_MM + 6 - (number - 1) * LEVEL_MM
    ends = {8: 2.5, 9: 2.35, 10: 2.15, 11: 1.65, 12: 1.15}
    last = ends.get(number, 2.68 - 0.02 * number)
    drop = np.interp(number, [1, 2, 4, 7, 10, 12], [38, 52, 72, 88, 78, 50])
    phi = np.linspace(0.36, last, 34)
    z = head - drop * ((1 - np.cos(phi * 1.06)) / 2) ** 0.9
    spine_y, spine_x = (float(v) for v in spine_at(anatomy, head))
    arc = _on_cage(side * phi, z)
    neck = np.array([[spine_x + side * 19, spine_y + 8, head], [spine_x + side * 30, spine_y + 24, head - 1]])
    points = np.vstack((neck, arc))
    radii = np.interp(np.arange(len(points)), [0, 3, 20, len(points)], [4.4, 3.9, 3.7, 4.2])
    radii = radii * (0.8 if number in (1, 11, 12) else 1.0)
    rib = Tubes.polyline(points, radii, tall=1.55)
    if number > 10:
        return rib, []
    target = max(120.0, 219 - 16.5 * (number - 1)) if number < 8 else float(z[-1]) + 26
    end = np.pi - 0.14 if number < 8 else last + 0.26
    phi = np.linspace(last, end, 8)
    rise = np.linspace(0, 1, 8) ** 1.6
    z = z[-1] + (target - z[-1]) * rise
    soft = _on_cage(side * phi, z)
    return rib, [Tubes.polyline(soft, np.full(8, 4.4), tall=1.5)]


def _on_cage(phi: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return points (n, 3) in the middle of the chest wall."""
    radius = pleura_radius(phi, z) + 5.0
    return np.column_stack((radius * np.sin(phi), radius * np.cos(phi) + axis(z), z))
