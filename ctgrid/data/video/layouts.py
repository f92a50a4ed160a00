"""Where published video collections keep their clips, and which of them train and which test.

- SkyTimelapse (MDGAN): ``sky_train/VIDEO/CLIP/*.jpg`` and ``sky_test/…``, frames of 640 x 360; DIGAN's copy of it
  ``train/CLIP/*.png`` and ``val/…``; StyleGAN-V's ``CLIP/*.jpg`` without parts.
- Taichi-HD (first-order-model): ``train/*.mp4`` and ``test/*.mp4``, or a folder of frames for each, named ``….mp4``
  as well.
- Minecraft (TECO): ``train/…/*.mp4`` and ``test/…`` beside ``.npz`` files of actions, which are left alone.

A clip is a video file (an animated webp is one), or a folder that holds frames itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ctgrid.base.errors import CtgridError
from ctgrid.base.families import look_up
from ctgrid.base.files import walk_folders
from ctgrid.data.video.animations import WEBP, is_animated

Part = Literal["train", "test"]

FRAME_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
FILE_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".gif")


@dataclass(frozen=True)
class Layout:
    """One collection's habits.

    Attributes:
        name: as recipes call it.
        size: pixels of a frame's side in the published experiments.
        parts: part to the names its folder may have, the published one first.
    """

    name: str
    size: int
    parts: dict[Part, tuple[str, ...]]


_PLAIN: dict[Part, tuple[str, ...]] = {"train": ("train", "training"), "test": ("test", "val", "valid", "validation")}
SKY = Layout("sky", 256, {part: (f"sky_{part}", *names) for part, names in _PLAIN.items()})
TAICHI = Layout("taichi", 256, _PLAIN)
MINECRAFT = Layout("minecraft", 128, _PLAIN)
FOLDER = Layout("folder", 256, _PLAIN)
LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (FOLDER, SKY, TAICHI, MINECRAFT)}


def find_layout(name: str) -> Layout:
    """Return a layout by its name.

    Raises:
        CtgridError: with the names there are.
    """
    return look_up(LAYOUTS, name, "layout of video clips")


@dataclass(frozen=True)
class Found:
    """A clip on disk.

    Attributes:
        name: its path below the part's folder, ``__`` for every step down, a file's suffix left out.
        path: a video file or a folder of frames.
    """

    name: str
    path: Path


def find_clips(root: str | Path, layout: Layout = FOLDER, part: Part = "train") -> list[Found]:
    """List the clips of a part, sorted by name, without opening any.

    Args:
        root: the collection's folder, or the one folder inside of which it lies. Where none of the layout's parts
            is there, all clips count as ``train``.
        layout: names the parts' folders.
        part: ``train`` or ``test``.

    Raises:
        CtgridError: where the folder, the part or any clip is missing.
    """
    root = Path(root)
    if not root.is_dir():
        raise CtgridError(f"{root}: not a folder; give a folder of video clips")
    folder = part_folder(root, layout, part)
    found: dict[str, Path] = {}
    for path in _clips_below(folder):
        steps = path.relative_to(folder).parts if path != folder else (folder.name,)
        name = "__".join(steps)
        if path.is_file():
            name = name[: -len(path.suffix)]
        if name in found:  # clip.mp4 beside a folder clip/
            raise CtgridError(f"{path}: another clip here has the name {name}, {found[name]}; remove one of them")
        found[name] = path
    if not found:
        raise CtgridError(
            f"{folder}: no clip found here; expected video files ({', '.join(FILE_SUFFIXES)}, animated "
            f"{WEBP}) or folders of frames ({', '.join(FRAME_SUFFIXES)})"
        )
    return [Found(name, found[name]) for name in sorted(found)]


def holds_clips(path: Path) -> bool:
    """Tell whether a folder holds a clip at any depth."""
    return bool(_clips_below(path))


def part_folder(root: Path, layout: Layout, part: Part) -> Path:
    """Return the folder of a part; the root itself for ``train`` where there are no parts.

    Raises:
        CtgridError: where this part is missing.
    """
    inside = [p for p in sorted(root.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    for base in [root, *(inside if len(inside) == 1 else [])]:
        present = [name for names in layout.parts.values() for name in names if (base / name).is_dir()]
        if not present:
            continue
        here = [name for name in layout.parts[part] if name in present]
        if here:
            return base / here[0]
        raise CtgridError(
            f"{base}: no part {part!r} here, only {', '.join(present)}; expected {' or '.join(layout.parts[part])}"
        )
    if part == "train":
        return root
    raise CtgridError(f"{root}: no parts here, so no {part!r}; expected {' or '.join(layout.parts[part])}")


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts ``frame2`` before ``frame10``."""
    import re

    return [(0, int(t), "") if t.isdecimal() else (1, 0, t) for t in re.split(r"([0-9]+)", name) if t]


def _clips_below(folder: Path) -> list[Path]:
    """Return the video files, and the folders that hold frames themselves; hidden ones do not count."""
    clips = []
    for here, _, files in walk_folders(folder):
        moving = {name for name in files if name.lower().endswith(FILE_SUFFIXES) or is_animated(here / name)}
        clips += [here / name for name in files if name in moving]
        if any(name.lower().endswith(FRAME_SUFFIXES) and name not in moving for name in files):
            clips.append(here)
    return clips
