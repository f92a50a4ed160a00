"""Bones as they are painted: shells around marrow, discs between bodies, a canal behind them."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.data.simulate.anatomy import Anatomy, draw_anatomy
from ctgrid.data.simulate.bones import COMPACT_HU, DISC_HU, Bones
from ctgrid.data.simulate.skeleton import FIRST_MM, LEVEL_MM, spine_at
from ctgrid.data.simulate.trunk import Trunk
from ctgrid.data.simulate.view import Canvas, Frame, Label, View

SIDE = np.arange(-110.0, 111.0, 2.0, dtype=np.float32)


@pytest.fixture(scope="module")
def person() -> Anatomy:
    return draw_anatomy(2)


@pytest.fixture(scope="module")
def painted(person: Anatomy) -> dict[str, tuple[Canvas, View]]:
    """Slices through the middle of a vertebral body and through a disc, half a level apart."""
    trunk = Trunk(person)
    frame, bones = Frame(trunk, SIDE, SIDE, (2.0, 2.0, 2.0)), Bones(person, trunk)
    found = {}
    for name, height in (("body", FIRST_MM + 12 - 6 * LEVEL_MM), ("disc", FIRST_MM + 12 - 6.5 * LEVEL_MM)):
        view = View(frame, float(person.to_scanner(np.array([0.0, 0.0, height]))[2]))
        canvas = Canvas(np.zeros(view.y.shape, np.float32), np.zeros(view.y.shape, np.uint8))
        bones.paint(canvas, view, np.float32(0) * view.y, np.float32(0) * view.y)
        found[name] = canvas, view
    return found


def at(canvas: Canvas, view: View, person: Anatomy, behind_mm: float = 0.0) -> float:
    """Return the HU at the spine's middle, or so far behind it."""
    y, x = (float(v) for v in spine_at(person, view.z))
    nearest = np.hypot(view.y - (y + behind_mm), view.x - x).argmin()
    return float(canvas.hu.flat[nearest])


def test_a_body_is_marrow_in_a_shell_and_a_disc_is_soft(
    painted: dict[str, tuple[Canvas, View]], person: Anatomy
) -> None:
    body, disc = (at(*painted[name], person) for name in ("body", "disc"))
    assert body == pytest.approx(person.bone * 165, rel=0.05) and disc == pytest.approx(DISC_HU, abs=5)
    canvas, view = painted["body"]
    y, x = spine_at(person, view.z)
    near = np.hypot(view.y - y, view.x - x) < 30
    assert canvas.hu[near].max() > 0.5 * person.bone * COMPACT_HU > body, "the shell"


def test_the_canal_lies_behind_the_body(painted: dict[str, tuple[Canvas, View]], person: Anatomy) -> None:
    assert at(*painted["body"], person, behind_mm=22.0) < 60


def test_nothing_is_painted_where_no_bone_is(painted: dict[str, tuple[Canvas, View]]) -> None:
    """Bones are labelled, and a minor part of the chest."""
    for canvas, view in painted.values():
        labelled = canvas.labels == Label.BONE
        assert 0.005 < labelled.mean() < 0.2
        outside = view.depth("skin") > 6
        assert not canvas.hu[outside].any() and not labelled[outside].any()


def test_denser_bones_are_brighter(person: Anatomy) -> None:
    from dataclasses import replace

    means = []
    for density in (0.8, 1.2):
        one = replace(person, bone=density)
        trunk = Trunk(one)
        view = View(Frame(trunk, SIDE, SIDE, (2.0, 2.0, 2.0)), 140.0)
        canvas = Canvas(np.zeros(view.y.shape, np.float32), np.zeros(view.y.shape, np.uint8))
        Bones(one, trunk).paint(canvas, view, 0 * view.y, 0 * view.y)
        means.append(canvas.hu[canvas.labels == Label.BONE].mean())
    assert means[1] == pytest.approx(1.5 * means[0], rel=0.15)
