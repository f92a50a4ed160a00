"""The slice viewer: its markup and data, for a report or as a page of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ctgrid.runs.report.html.block import KNOTS_HU, MAX_SIDE, MAX_SLICES, Block, embed, hu_table
from ctgrid.runs.report.html.markup import Markup, element, join, json_block
from ctgrid.runs.report.html.page import page, part
from ctgrid.scan.windows import BONE_WINDOW_HU, LUNG_WINDOW_HU, SOFT_TISSUE_WINDOW_HU, centre_and_width

if TYPE_CHECKING:
    from ctgrid.scan.volume import Volume

WINDOWS: dict[str, tuple[str, float, float]] = {
    "lung": ("Lung", *centre_and_width(LUNG_WINDOW_HU)),
    "soft": ("Soft tissue", *centre_and_width(SOFT_TISSUE_WINDOW_HU)),
    "bone": ("Bone", *centre_and_width(BONE_WINDOW_HU)),
    "full": ("Full", *centre_and_width((KNOTS_HU[0], KNOTS_HU[-1]))),
}
"""Presets: name, level and width in HU."""

PLANES = {"axial": "Axial", "coronal": "Coronal", "sagittal": "Sagittal"}


@dataclass(frozen=True)
class Scene:
    """What the viewer shows at a time.

    Attributes:
        name: shown to people; may hold any characters.
        block: the volume; of a pair, the one after.
        before: of a pair, the one before, on the same grid.
        notes: what people must know of it.
    """

    name: str
    block: Block
    before: Block | None = None
    notes: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """Return everything but the voxels."""
        return {"name": self.name, **self.block.facts(), "pair": self.before is not None, "notes": self.notes}


def viewer_page(items: Iterable[tuple[str, Volume]], title: str, max_side: int = MAX_SIDE) -> str:
    """Return a page that shows volumes slice by slice and needs no other file.

    Args:
        items: names, which may hold any characters, and volumes; at least one. A generator keeps one volume in memory.
        title: of the page.
        max_side: the most rows or columns that are embedded.

    Raises:
        CtgridError: as :func:`ctgrid.runs.report.html.block.embed`.
    """
    scenes = [Scene(name, embed(volume, max_side, MAX_SLICES)) for name, volume in items]
    return page(title, [part("volumes", "Volumes", viewer(scenes))])


def viewer(scenes: Sequence[Scene], identity: str = "viewer") -> Markup:
    """Return the viewer of some scenes, the first one shown; scripts of the page bring it to life.

    Args:
        scenes: at least one.
        identity: of its elements, where a page has several viewers.
    """
    blocks, listed = [], []
    for number, scene in enumerate(scenes):
        keys = {"after": f"{identity}-{number}-after"}
        blocks.append(_data(keys["after"], scene.block))
        if scene.before is not None:
            keys["before"] = f"{identity}-{number}-before"
            blocks.append(_data(keys["before"], scene.before))
        listed.append({**scene.facts(), "blocks": keys})
    data = {
        "scenes": listed,
        "hu": hu_table(),
        "windows": {key: {"level": level, "width": width} for key, (_, level, width) in WINDOWS.items()},
    }
    return element(
        "div",
        _bar(scenes, identity),
        _stage(identity),
        _sliders(identity),
        element("p", "Loading the volume …", class_="readout", data_testid="hu-readout", aria_live="off"),
        element("p", class_="facts", data_role="facts"),
        element(
            "p",
            "Arrows step through slices, Page Up and Page Down by ten, Home and End to the ends; 1 to 4 choose the "
            "window, A, C and S the plane. A click or tap moves the other two planes there.",
            class_="hint",
        ),
        json_block(f"{identity}-data", data),
        join(*blocks),
        element("noscript", "The viewer needs JavaScript; the tables below do not."),
        class_="viewer",
        data_testid="viewer",
        data_viewer=identity,
    )


def _data(identity: str, block: Block) -> Markup:
    return element("script", Markup(block.text), type="text/plain", id=identity)


def _bar(scenes: Sequence[Scene], identity: str) -> Markup:
    """Return the choices above the picture."""
    names = [(str(i), scene.name + (" (before and after)" if scene.before else "")) for i, scene in enumerate(scenes)]
    return element(
        "div",
        _choice(f"{identity}-volume", "volume", "Volume", names) if len(scenes) > 1 else None,
        _choice(f"{identity}-plane", "plane", "Plane", list(PLANES.items())),
        _choice(
            f"{identity}-window",
            "window",
            "Window",
            [
                (key, f"{name} {level:.0f}/{width:.0f}".replace("-", "−"))
                for key, (name, level, width) in WINDOWS.items()
            ],
        ),
        class_="viewer-bar",
    )


def _choice(identity: str, role: str, label: str, options: Sequence[tuple[str, str]]) -> Markup:
    choices = [element("option", shown, value=value) for value, shown in options]
    return element(
        "label",
        element("span", label),
        element("select", *choices, id=identity, data_testid=role, autocomplete="off"),
        class_="choice",
    )


def _stage(identity: str) -> Markup:
    """Return the picture with the letters at its edges, and the two other planes beside it."""
    letters = [
        element("span", class_=f"edge {side}", aria_hidden="true") for side in ("left", "right", "top", "bottom")
    ]
    small = [
        element(
            "figure",
            element("canvas", data_role="small", role="img"),
            element("figcaption", element("button", type="button", data_role="swap")),
        )
        for _ in range(2)
    ]
    return element(
        "div",
        element(
            "div",
            element("canvas", data_testid="slice", data_role="main", tabindex="0", role="img", id=f"{identity}-slice"),
            *letters,
            element("span", class_="tag before", data_role="tag-before"),
            element("span", class_="tag after", data_role="tag-after"),
            element("p", class_="message", role="status", data_role="message", hidden=True),
            class_="main",
        ),
        element("div", *small, class_="others"),
        class_="stage",
    )


def _sliders(identity: str) -> Markup:
    """Return the scrubber, and the slider between before and after or between two windows."""
    second = [element("option", name, value=key) for key, (name, _, _) in WINDOWS.items()]
    return element(
        "div",
        element(
            "label",
            element("span", "Slice"),
            _range(f"{identity}-scrubber", "scrubber"),
            element("output", data_role="slice-number", for_=f"{identity}-scrubber"),
            class_="slide",
        ),
        element(
            "div",
            element("label", "Before", for_=f"{identity}-slider", data_role="slider-label"),
            _range(f"{identity}-slider", "slider", max="100", value="100"),
            element("span", "After", data_role="slider-end"),
            element("select", *second, data_role="second-window", autocomplete="off", aria_label="Second window"),
            class_="slide",
        ),
        class_="sliders",
    )


def _range(identity: str, role: str, **attributes: str) -> Markup:
    given = {"min": "0", "max": "0", "value": "0", "step": "1"} | attributes
    return element("input", type="range", id=identity, data_testid=role, autocomplete="off", **given)
