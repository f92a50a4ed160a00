"""The slice viewer: its markup and data, for a report or as a page of its own. NiiVue draws, in `assets/picture.js`."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ctgrid.runs.report.html.block import Block, embed, every_of
from ctgrid.runs.report.html.markup import Markup, element, join, json_block
from ctgrid.runs.report.html.page import page, part
from ctgrid.runs.report.settings import PAGE_MB
from ctgrid.scan.windows import (
    BONE_WINDOW_HU,
    CHEST_WINDOW_HU,
    LUNG_WINDOW_HU,
    SOFT_TISSUE_WINDOW_HU,
    centre_and_width,
)

if TYPE_CHECKING:
    from ctgrid.scan.volume import Volume

WINDOWS: dict[str, tuple[str, float, float]] = {
    "lung": ("Lung", *centre_and_width(LUNG_WINDOW_HU)),
    "soft": ("Soft tissue", *centre_and_width(SOFT_TISSUE_WINDOW_HU)),
    "bone": ("Bone", *centre_and_width(BONE_WINDOW_HU)),
    "chest": ("Chest", *centre_and_width(CHEST_WINDOW_HU)),
    "full": ("Full", *centre_and_width((-1024.0, 3072.0))),
}
"""Presets: name, level and width in HU; the keys 1 to 5 choose them."""

PLANES = {"axial": "Axial", "coronal": "Coronal", "sagittal": "Sagittal"}
TOOLS = {
    "auto": "Auto",
    "window": "Window",
    "slices": "Slices",
    "pan": "Move",
    "zoom": "Zoom",
}
LAYERS = {"labels": "Labels", "trust": "Trust", "residual": "Residual"}
"""Maps that are laid over the picture."""

HINT = (
    "Wheel, arrows, Page Up and Down: slices. Drag: window; right button: zoom; middle button or Shift: move; "
    "double click or 0: back. + and −: zoom. 1 to 5: windows. A, C, S: plane. B: before or after. D: difference. "
    "O: overlays. P: smooth or pixels. X: lines. A click or tap moves the other two planes there. Slices count from 0."
)


@dataclass(frozen=True)
class Scene:
    """What the viewer shows at a time.

    Attributes:
        name: shown to people; may hold any characters.
        block: the volume; of a pair, the one after.
        before: of a pair, the one before, on the same grid.
        layers: maps on the same grid by their names in :data:`LAYERS`.
        notes: what people must know of it.
    """

    name: str
    block: Block
    before: Block | None = None
    layers: Mapping[str, Block] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """Return everything but the voxels."""
        notes = [*self.notes, *self._held()]
        return {"name": self.name, **self.block.facts(), "pair": self.before is not None, "notes": notes}

    def blocks(self) -> dict[str, Block]:
        """Return all that it shows by name."""
        before = {} if self.before is None else {"before": self.before}
        return {**before, "after": self.block, **self.layers}

    def _held(self) -> list[str]:
        """Say what of the volume is not held."""
        every, notes = self.block.every, []
        if every > 1:
            ordinal = {2: "2nd", 3: "3rd"}.get(every, f"{every}th")
            notes.append(f"every {ordinal} slice is held, for size (--max-mb)")
        if any(block.rounded for block in self.blocks().values()):
            notes.append("HU to whole numbers")
        return notes


def viewer_page(items: Sequence[tuple[str, Volume]], title: str, max_mb: float = PAGE_MB) -> str:
    """Return a page that shows volumes slice by slice and needs no other file.

    Args:
        items: names, which may hold any characters, and volumes; at least one. They are asked for one by one.
        title: of the page.
        max_mb: of voxels; of volumes that are larger, every second, third, ... slice is held.
    """
    scenes, left = [], max_mb
    for i in range(len(items)):
        name, volume = items[i]
        block = embed(volume, every_of(volume.reoriented("LPS").shape, 1, left / (len(items) - i)))
        left -= block.megabytes
        scenes.append(Scene(name, block))
    return scenes_page(scenes, title)


def scenes_page(scenes: Sequence[Scene], title: str, served: bool = False) -> str:
    """Return a page of its own for scenes; where it is served, voxels are asked for by :func:`address`."""
    content = viewer(scenes, served=served)
    return page(title, [part("volumes", "Volumes", content)], viewer=True, served=served, alone=True)


def address(number: int, name: str) -> str:
    """Return where a page asks for a map of a scene, relative to itself."""
    return f"voxels/{number}/{name}"


def viewer(scenes: Sequence[Scene], identity: str = "viewer", served: bool = False) -> Markup:
    """Return the viewer of some scenes, the first one shown; scripts of the page bring it to life.

    Args:
        scenes: at least one.
        identity: of its elements, where a page has several viewers.
        served: whether voxels are asked for instead of held by the page.
    """
    held, listed = [], []
    for number, scene in enumerate(scenes):
        layers: dict[str, Any] = {}
        for name, block in scene.blocks().items():
            key = f"{identity}-{number}-{name}"
            place = {"url": address(number, name)} if served else {"id": key}
            layers[name] = {**place, "packed": block.packed, "slope": block.slope}
            if not served:
                held.append(_data(key, block.data))
        listed.append({**scene.facts(), "layers": layers})
    windows = {key: {"level": level, "width": width} for key, (_, level, width) in WINDOWS.items()}
    return element(
        "div",
        _bar(scenes, identity),
        _stage(identity),
        _sliders(identity),
        element("p", element("span", data_role="readout", data_testid="hu-readout"), class_="readout", aria_live="off"),
        element("p", element("span", data_role="disc", data_testid="disc"), class_="facts"),
        element("p", class_="facts", data_role="facts"),
        element("p", HINT, class_="hint"),
        json_block(f"{identity}-data", {"scenes": listed, "windows": windows}),
        join(*held),
        element("noscript", "The viewer needs JavaScript; tables do not."),
        class_="viewer",
        data_testid="viewer",
        data_viewer=identity,
    )


def _data(identity: str, data: bytes) -> Markup:
    return element("script", Markup(b64encode(data).decode("ascii")), type="text/plain", id=identity)


def _bar(scenes: Sequence[Scene], identity: str) -> Markup:
    """Return the choices above the picture."""
    names = [(str(i), scene.name + (" (before and after)" if scene.before else "")) for i, scene in enumerate(scenes)]
    windows = [
        (key, f"{i} {name} {level:.0f}/{width:.0f}".replace("-", "−"))
        for i, (key, (name, level, width)) in enumerate(WINDOWS.items(), 1)
    ]
    layers = [element("span", _check(name, shown, True), data_role=name, hidden=True) for name, shown in LAYERS.items()]
    return element(
        "div",
        _choice(f"{identity}-volume", "volume", "Volume", names) if len(scenes) > 1 else None,
        _choice(f"{identity}-plane", "plane", "Plane", list(PLANES.items())),
        _choice(f"{identity}-window", "window", "Window", windows, element("option", "Own", value="own", hidden=True)),
        _choice(f"{identity}-tool", "tool", "Drag", list(TOOLS.items())),
        element(
            "div",
            *(_button(name, sign, title) for name, sign, title in _ZOOMS),
            element("span", _check("difference", "Difference"), data_role="pair", hidden=True),
            *layers,
            _check("smoothed", "Smooth", True),
            _check("lines", "Lines", True),
            class_="checks",
        ),
        class_="viewer-bar",
    )


_ZOOMS = (("farther", "−", "Zoom out"), ("closer", "+", "Zoom in"), ("home", "Whole", "Whole picture"))


def _button(role: str, sign: str, title: str) -> Markup:
    return element("button", sign, type="button", data_testid=role, title=title, aria_label=title)


def _check(role: str, label: str, checked: bool = False) -> Markup:
    box = element("input", type="checkbox", data_testid=role, checked=checked, autocomplete="off")
    return element("label", box, label, class_="check")


def _choice(identity: str, role: str, label: str, options: Sequence[tuple[str, str]], *more: Markup) -> Markup:
    choices = [element("option", shown, value=value) for value, shown in options]
    return element(
        "label",
        element("span", label),
        element("select", *choices, *more, id=identity, data_testid=role, autocomplete="off"),
        class_="choice",
    )


def _stage(identity: str) -> Markup:
    """Return the picture, the glass over it that hands touch, and the line between before and after."""
    return element(
        "div",
        element("canvas", data_role="canvas"),
        element("div", data_role="glass", data_testid="slice", tabindex="0", role="img", id=f"{identity}-slice"),
        element(
            "div",
            element("span", "before", class_="tag before", data_role="tag-before"),
            element("span", "after", class_="tag after", data_role="tag-after"),
            element("span", class_="handle", data_role="handle", data_testid="handle", aria_hidden="true"),
            class_="split",
            data_role="split",
            hidden=True,
        ),
        element("p", class_="message", role="status", data_role="message", hidden=True),
        class_="stage",
    )


def _sliders(identity: str) -> Markup:
    """Return the scrubber, the slider between before and after, and the one of the overlays' strength."""
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
            "label",
            element("span", "After"),
            _range(f"{identity}-slider", "slider", max="100"),
            element("output", "Before"),
            class_="slide",
            data_role="pair",
            hidden=True,
        ),
        element(
            "label",
            element("span", "Overlay"),
            _range(f"{identity}-strength", "strength", max="100", value="50"),
            class_="slide",
            data_role="strength",
            hidden=True,
        ),
        class_="sliders",
    )


def _range(identity: str, role: str, **attributes: str) -> Markup:
    given = {"min": "0", "max": "0", "value": "0", "step": "1"} | attributes
    return element("input", type="range", id=identity, data_testid=role, autocomplete="off", **given)
