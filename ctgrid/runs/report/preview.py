"""Look at volumes: a picture, a movie or a page, whichever the file name asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output, check_output, full_suffix
from ctgrid.runs.report.animation import FPS, Items, Plane
from ctgrid.runs.report.given import Given
from ctgrid.scan.windows import CHEST_WINDOW_HU

if TYPE_CHECKING:
    from ctgrid.scan.volume import Volume

SUFFIXES = (".png", ".gif", ".mp4", ".html")
MOVIES = (".gif", ".mp4")
PAGE_VOLUMES = 20
"""Most volumes of a page, which holds all of them."""


@dataclass(frozen=True)
class Shown:
    """One volume to look at.

    Attributes:
        name: as written beside it.
        path: of the file, the DICOM folder, or the volume's folder in a store.
        hu: how stored values become HU; of no account in a store, which holds HU.
        in_store: whether it lies in a store.
    """

    name: str
    path: Path
    hu: str = "auto"
    in_store: bool = False

    def load(self) -> Volume:
        """Read the volume; out of a store, on the patient's own grid."""
        if self.in_store:
            from ctgrid.data.store.store import StoredVolume

            return StoredVolume(self.path).to_volume()
        from ctgrid.scan.volume import Volume

        return Volume.read(self.path, hu=self.hu)


@dataclass(frozen=True)
class Seen:
    """What is worth recording of a volume after it was drawn.

    Attributes:
        shape: voxels (z, y, x).
        spacing_mm: (z, y, x).
        record: the volume's provenance.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    record: Mapping[str, Any]


def volumes_of(source: Path, names: Sequence[str] = (), everything: bool = False, hu: str = "auto") -> list[Shown]:
    """List what is to be shown of a source, without reading it.

    Args:
        source: a file, a DICOM folder, a folder with volume files, a store, or one volume's folder in a store.
        names: of volumes in a store or folder; none takes the first.
        everything: take all of them.
        hu: see :class:`Shown`.

    Raises:
        CtgridError: for an empty store, a name that is not there, or names where there is a single volume.
    """
    every = _in_store(source) or _in_folder(source, hu)
    if not every:
        from ctgrid.data.volumes import volume_name

        if names:
            raise CtgridError(f"{source}: names choose volumes of a store or a folder of volumes; this is neither")
        return [Shown(volume_name(source), source, hu)]
    if names:
        by_name = {shown.name: shown for shown in every}
        missing = [name for name in names if name not in by_name]
        if missing:
            raise CtgridError(f"{source} has no volume {missing[0]!r}; it has {_some(list(by_name))}")
        return [by_name[name] for name in dict.fromkeys(names)]
    return every if everything else every[:1]


def save_preview(
    shown: Sequence[Shown],
    path: Path,
    *,
    window: tuple[float, float] = CHEST_WINDOW_HU,
    plane: Plane = "axial",
    fps: float = FPS,
    overwrite: bool = False,
) -> list[Seen]:
    """Write a picture (.png), a movie (.gif, .mp4) or a page with a viewer (.html), all or nothing.

    Args:
        shown: the volumes.
        path: of the file.
        window: HU shown as black and as white; a page has presets instead.
        plane: of a movie.
        fps: of a movie.
        overwrite: replace a file that is there.

    Returns:
        What was seen of each volume.

    Raises:
        CtgridError: for another suffix, or what the writers refuse.
    """
    check_output(path, overwrite)
    suffix = full_suffix(path)
    seen: list[Seen] = []

    def noted(one: Shown) -> Callable[[], Volume]:
        def load() -> Volume:
            volume = one.load()
            seen.append(Seen(volume.shape, volume.spacing_mm, volume.record))
            return volume

        return load

    items = [(one.name, noted(one)) for one in shown]
    if suffix in MOVIES:
        from ctgrid.runs.report.animation import save_animation

        save_animation(items, path, plane=plane, window=window, fps=fps, overwrite=overwrite)
    elif suffix == ".html":
        from ctgrid.runs.report.html.viewer import viewer_page

        if len(items) > PAGE_VOLUMES:
            raise CtgridError(f"a page holds 1 to {PAGE_VOLUMES} volumes, got {len(items)}; name fewer")
        page = viewer_page(_OneByOne(items), title=", ".join(name for name, _ in items))
        with atomic_output(path, overwrite) as temporary:
            temporary.write_text(page, encoding="utf-8")
    elif suffix == ".png" and len(items) > 1:
        from ctgrid.runs.report.gallery import save_gallery

        save_gallery(items, path, window, overwrite)
    elif suffix == ".png":
        from ctgrid.runs.report.picture import save_picture

        save_picture(items[0][1](), path, window, overwrite)
    else:
        raise CtgridError(f"cannot write {path}: a preview must end in {', '.join(SUFFIXES)}")
    return seen


class _OneByOne(Sequence[tuple[str, "Volume"]]):
    """Names and volumes; a volume is read when it is asked for, and not kept."""

    def __init__(self, items: Items) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        name, load = self._items[index]
        return name, load()


def _in_store(source: Path) -> list[Shown]:
    """Return the volumes of a store, or the one whose folder in a store is given; none where it is neither."""
    from ctgrid.data.store import Store, is_store

    if is_store(source.parent) and source.name in Store.open(source.parent):
        return [Shown(source.name, source, in_store=True)]
    if not is_store(source):
        return []
    store = Store.open(source)
    if not len(store):
        raise CtgridError(f"{source}: this store holds no volume yet; fill it with ctgrid prepare")
    given = Given.of([source])
    names = [name for name in store.names() if given.holds(store.path / name)]
    if not names:
        raise CtgridError(f"{source}: its volumes are links out of it; name the store that they lie in")
    return [Shown(name, store.path / name, in_store=True) for name in names]


def _in_folder(source: Path, hu: str) -> list[Shown]:
    """Return the volume files that lie in a folder itself; none of a DICOM folder."""
    from ctgrid.data.volumes import volume_name
    from ctgrid.scan.formats.kinds import readable

    if not source.is_dir():
        return []
    files = [p for p in sorted(source.iterdir()) if p.name.lower().endswith(readable()) and not p.name.startswith(".")]
    files = [path for path in files if path.is_file()]
    held = [path for path in files if Given.of([source]).holds(path)]
    if files and not held:
        raise CtgridError(f"{source}: its volumes are links out of it; name them themselves")
    return [Shown(volume_name(path), path, hu) for path in held]


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
