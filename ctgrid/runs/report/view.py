"""``ctgrid view`` as a call of Python: volumes in a browser, from this machine or as one file."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ctgrid.base.errors import CtgridError, MisuseError
from ctgrid.base.files import atomic_output, check_apart, check_output, full_suffix
from ctgrid.base.interrupt import Stopped
from ctgrid.base.progress import Progress, silent, titled
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import record_beside
from ctgrid.base.settings import gather, spelled_out
from ctgrid.runs.report.html.viewer import Scene, address, scenes_page
from ctgrid.runs.report.preview import volumes_of
from ctgrid.runs.report.settings import PAGE_MB, SERVED_MB, ViewSettings
from ctgrid.scan.volume import Volume


@spelled_out(ViewSettings, "changes")
def view(
    source: Path | str,
    other: Path | str | None = None,
    out: Path | str | None = None,
    settings: ViewSettings | None = None,
    *,
    labels: Path | str | None = None,
    trust: Path | str | None = None,
    residual: Path | str | None = None,
    argv: Sequence[str] = (),
    announce: Callable[[str], None] = print,
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord | None:
    """Show a volume, or two of them before and after, in a browser.

    Args:
        source: a volume's file, a DICOM folder, a folder of volumes, or a store.
        other: likewise; on the same grid it is what comes after, else a second volume to choose.
        out: one page that needs no other file, instead; ends in ``.html``.
        settings: how; None takes the defaults.
        labels: a map of whole numbers that is laid over the volume; 0 is nothing.
        trust: a map of what is not certain, likewise.
        residual: a map of what was removed, likewise.
        argv: the command line, for the record.
        announce: told the page's address.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        With ``out`` the record. Without it None, once Ctrl-C ended it: until then the page is answered for.

    Raises:
        MisuseError: the page's name does not end in ``.html``.
        CtgridError: something cannot be found or read, lies elsewhere than the volume, or cannot be written.
    """
    asked = gather(ViewSettings, changes, settings or ViewSettings())
    inputs = [Path(source), *([] if other is None else [Path(other)])]
    given = {"labels": labels, "trust": trust, "residual": residual}
    maps = {kind: Path(path) for kind, path in given.items() if path is not None}
    for path in (*inputs, *maps.values()):
        if not path.exists():
            raise CtgridError(f"{path} does not exist")
    if out is None:
        scenes, _ = _scenes(inputs, maps, asked, asked.max_mb or SERVED_MB, False, progress)
        _serve(scenes, asked, announce)
        return None
    path = Path(out)
    if full_suffix(path) != ".html":
        raise MisuseError(f"--out: {str(path)!r} must end in .html")
    check_output(path, asked.overwrite)
    check_apart(path, [*inputs, *maps.values()])
    record = RunRecord("view", record_beside(path, "view"), list(argv))
    record.settings = asked.as_dict() | {kind: str(one) for kind, one in maps.items()}
    with recorded(record, path):
        with record.timed("read and embed"):
            scenes, read = _scenes(inputs, maps, asked, asked.max_mb or PAGE_MB, True, progress)
            page = scenes_page(scenes, _title(scenes))
            with atomic_output(path, asked.overwrite) as temporary:
                temporary.write_text(page, encoding="utf-8")
        for one, volume in read:
            facts = {"shape": volume.shape, "spacing_mm": volume.spacing_mm}
            record.add_input(one, record=dict(volume.record), **facts)
        record.decisions = {"hu": read[0][1].record.get("hu")}
        record.add_output(path)
    return record


def _scenes(
    inputs: Sequence[Path],
    maps: Mapping[str, Path],
    asked: ViewSettings,
    max_mb: float,
    packed: bool,
    progress: Progress,
) -> tuple[list[Scene], list[tuple[Path, Volume]]]:
    """Return what is shown, and all that was read for it."""
    from ctgrid.runs.report.html.block import embed, every_of
    from ctgrid.runs.report.html.overlay import read_map, same_grid
    from ctgrid.runs.report.html.scenes import upright_shape

    wanted = [] if asked.name is None else [asked.name]
    chosen = [volumes_of(path, wanted if i == 0 else [], hu=asked.hu)[0] for i, path in enumerate(inputs)]
    names = told_apart([(one.name, one.path) for one in chosen])
    volumes = [one.load() for one in chosen]
    read = [(one.path, volume) for one, volume in zip(chosen, volumes, strict=True)]
    laid = {kind: read_map(path, kind, volumes[0]) for kind, path in maps.items()}
    read += [(maps[kind], volume) for kind, volume in laid.items()]
    pair = len(volumes) == 2 and same_grid(*volumes)
    shape = upright_shape(volumes[0])
    every = every_of(shape, (2 if pair else 1) + len(laid), max_mb if pair else max_mb / len(volumes))

    def held(volume: Volume, name: str, every: int, continuous: bool = False) -> Any:
        told = titled(progress, name)
        return embed(volume, every, packed=packed, continuous=continuous, progress=told)

    layers = {kind: held(volume, kind, every, kind != "labels") for kind, volume in laid.items()}
    blocks = [held(volume, name, every) for volume, name in zip(volumes[: 2 if pair else 1], names, strict=False)]
    if pair:
        return [Scene(f"{names[0]} → {names[1]}", blocks[1], blocks[0], layers)], read
    scenes = [Scene(names[0], blocks[0], None, layers)]
    if len(volumes) == 2:
        note = [f"{names[0]} and {names[1]} lie on different grids, so there is no before and after"]
        step = every_of(upright_shape(volumes[1]), 1, max_mb / 2)
        second = Scene(names[1], held(volumes[1], names[1], step), notes=note)
        scenes = [Scene(scenes[0].name, scenes[0].block, None, layers, note), second]
    return scenes, read


def told_apart(volumes: Sequence[tuple[str, Path]]) -> list[str]:
    """Return names of volumes, given with their paths; those of one name get the folders from where paths part."""
    names = [name for name, _ in volumes]
    if len(set(names)) == len(names):
        return names
    parts = [path.absolute().parts[::-1] for _, path in volumes]
    first = next((i for i, level in enumerate(zip(*parts, strict=False)) if len(set(level)) > 1), None)
    if first is None:  # one file twice
        return names
    if first == 0:  # two formats in one folder
        return [path.name for _, path in volumes]
    return ["/".join([*whole[first:0:-1], name]) for whole, name in zip(parts, names, strict=True)]


def _title(scenes: Sequence[Scene]) -> str:
    return ", ".join(scene.name for scene in scenes)


def _serve(scenes: Sequence[Scene], asked: ViewSettings, announce: Callable[[str], None]) -> None:
    """Answer for the page until it is interrupted; Ctrl-C is its proper end."""
    from ctgrid.runs.report.html.serve import Served

    files = {
        address(number, name): block.data
        for number, scene in enumerate(scenes)
        for name, block in scene.blocks().items()
    }
    with Served(scenes_page(scenes, _title(scenes), served=True), files, asked.port) as served:
        announce(served.url)
        try:
            if asked.browser and has_screen():
                import webbrowser

                webbrowser.open(served.url)
            served.wait()
        except KeyboardInterrupt as stop:
            if isinstance(stop, Stopped) and stop.number != signal.SIGINT:
                raise


def has_screen() -> bool:
    """Tell whether a browser that is opened here would be seen; of a terminal's own browsers none can show pictures."""
    if sys.platform in ("win32", "darwin"):
        return not os.environ.get("SSH_CONNECTION")
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
