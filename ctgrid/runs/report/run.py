"""``ctgrid preview`` and ``ctgrid report`` as calls of Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctgrid.base.errors import CtgridError, MisuseError
from ctgrid.base.files import check_output, full_suffix
from ctgrid.base.locks import owned
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import record_beside
from ctgrid.base.settings import gather, spelled_out
from ctgrid.runs.report.settings import PreviewSettings, ReportSettings
from ctgrid.scan.names import beside


@spelled_out(PreviewSettings, "changes")
def preview_volumes(
    source: Path | str,
    out: Path | str | None = None,
    settings: PreviewSettings | None = None,
    *,
    argv: Sequence[str] = (),
    **changes: Any,
) -> RunRecord:
    """Draw a volume, or several of a store or a folder: a picture, a movie or a page, with a run record.

    Args:
        source: a volume's file, a DICOM folder, a folder of volumes, or a store.
        out: ends in ``.png``, ``.gif``, ``.mp4`` or ``.html``; None is ``IN_preview.png`` beside the input.
        settings: how; None takes the defaults.
        argv: the command line, for the record.
        changes: settings other than those, by name.

    Returns:
        The record; its inputs hold every volume's provenance, shape and spacing.

    Raises:
        MisuseError: for another suffix, or what belongs to a movie where none is asked for.
        CtgridError: where a volume cannot be found, read or drawn.
    """
    from ctgrid.runs.report.animation import FPS
    from ctgrid.runs.report.preview import MOVIES, SUFFIXES, save_preview, volumes_of

    asked, source = gather(PreviewSettings, changes, settings or PreviewSettings()), Path(source)
    path = beside(source, "_preview", ".png") if out is None else Path(out)
    suffix = full_suffix(path)
    if suffix not in SUFFIXES:
        raise MisuseError(f"--out: {str(path)!r} must end in {', '.join(SUFFIXES)}")
    for option, value in (("--plane", asked.plane), ("--fps", asked.fps)):
        if value is not None and suffix not in MOVIES:
            raise MisuseError(f"{option} belongs to a .gif or .mp4")
    if not source.exists():
        raise CtgridError(f"{source} does not exist")
    check_output(path, asked.overwrite)
    plane, fps = asked.plane or "axial", asked.fps or FPS
    shown = volumes_of(source, asked.name, asked.all, asked.hu)
    record = RunRecord("preview", record_beside(path, "preview"), list(argv))
    record.settings = {"window_hu": asked.window, "hu": asked.hu, "volumes": [one.name for one in shown]}
    record.settings |= {"plane": plane, "fps": fps} if suffix in MOVIES else {}
    with recorded(record, path):
        with record.timed("read and draw"):
            seen = save_preview(shown, path, window=asked.window, plane=plane, fps=fps, overwrite=asked.overwrite)
        record.decisions = {"hu": seen[0].record.get("hu")}
        for one, volume in zip(shown, seen, strict=True):
            facts = {"shape": volume.shape, "spacing_mm": volume.spacing_mm}
            record.add_input(one.path, record=dict(volume.record), **facts)
        record.add_output(path)
    return record


@spelled_out(ReportSettings, "changes")
def make_report(
    sources: Path | str | Sequence[Path | str],
    out: Path | str = "report.html",
    settings: ReportSettings | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Report runs, results and volumes in one page that needs no other file, with a run record.

    Args:
        sources: see :func:`ctgrid.runs.report.html.collect.collect`.
        out: the page; ``.md`` and ``.json`` of that name are written beside it.
        settings: how; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        The record; its ``results`` count what the page holds, and ``notes`` say what it does not.

    Raises:
        MisuseError: the page's name does not end in ``.html``.
        CtgridError: as :func:`ctgrid.runs.report.html.report.write_report`, or another process is at work on the page.
    """
    from ctgrid.runs.report.html.report import check_outputs, write_report

    asked, path = gather(ReportSettings, changes, settings or ReportSettings()), Path(out)
    given = [sources] if isinstance(sources, str | Path) else sources
    if full_suffix(path) != ".html":
        raise MisuseError(f"--out: {str(path)!r} must end in .html")
    outputs = check_outputs(path, asked.overwrite)
    record = RunRecord("report", record_beside(path, "report"), list(argv))
    record.settings = asked.as_dict()
    with owned(path, record.command), recorded(record, *outputs):
        with record.timed("report"):
            written = write_report([Path(one) for one in given], path, asked.options, asked.overwrite, progress)
        for file in dict.fromkeys(written.found.files()):
            record.add_input(file)
        for file in written.paths:
            record.add_output(file)
        content = written.content
        record.results = {
            "volumes": len(content.scenes),
            "pairs": sum(scene.before is not None for scene in content.scenes),
            "results": len(content.results),
            "runs": len(content.runs),
            "notes": content.notes,
        }
    return record
