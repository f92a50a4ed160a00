"""Make a report of runs, results and volumes: one page, and its tables as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ctgrid.base.documents import legible, plain
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_outputs, check_apart, check_output, full_suffix
from ctgrid.base.machine import version_of
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record_place import RECORD
from ctgrid.runs.report.html.collect import collect
from ctgrid.runs.report.html.content import Content
from ctgrid.runs.report.html.found import Found, Shown, some
from ctgrid.runs.report.html.pictures import embed_pictures
from ctgrid.runs.report.html.scenes import choose, make_scenes
from ctgrid.runs.report.settings import Options as Options
from ctgrid.runs.results.kinds import result_files


@dataclass(frozen=True)
class Written:
    """What :func:`write_report` made.

    Attributes:
        paths: page, Markdown and JSON.
        found: what was read for them; volumes that were too many are not in it.
        content: what they hold.
        notes: what they do not hold, and why.
    """

    paths: list[Path]
    found: Found
    content: Content
    notes: list[str] = field(default_factory=list)


def write_report(
    inputs: Sequence[Path], out: Path, options: Options, overwrite: bool = False, progress: Progress = silent
) -> Written:
    """Write ``NAME.html`` and, beside it, ``NAME.md`` and ``NAME.json``; the page last.

    Args:
        inputs: see :func:`ctgrid.runs.report.html.collect.collect`.
        out: the page.
        options: how it is made.
        overwrite: whether reports that are there may be replaced.
        progress: told of volumes.

    Raises:
        CtgridError: An input is missing, damaged or unknown, an output exists, or it is an input.
    """
    outputs = check_outputs(out, overwrite)
    found = collect(inputs)
    for path in outputs:
        check_apart(path, read_of(inputs, found))
    shown, too_many = choose(found.volumes, options.max_volumes)
    found = replace(found, volumes=shown)
    content = gather(found, too_many, inputs, options, progress)
    texts = (content.html(), content.markdown(), json.dumps(plain(content.as_dict()), indent=1, ensure_ascii=False))
    with atomic_outputs(outputs[::-1], overwrite) as temporaries:
        for temporary, text in zip(temporaries, texts[::-1], strict=True):
            temporary.write_text(legible(text.rstrip("\n")) + "\n", encoding="utf-8")
    return Written(outputs, found, content, content.notes)


def check_outputs(out: Path, overwrite: bool) -> list[Path]:
    """Return page, Markdown and JSON, all of which can be written.

    Raises:
        CtgridError: They cannot, or the page's name does not end in ``.html``.
    """
    if full_suffix(out) != ".html":
        raise CtgridError(f"cannot write {out}: a report must end in .html")
    return [check_output(out.with_suffix(suffix), overwrite) for suffix in (".html", ".md", ".json")]


def read_of(inputs: Sequence[Path], found: Found) -> list[Path]:
    """Return what no output may change: files, stores and folders of DICOM, but not the folders they were found in."""
    folders = [*found.stores, *(shown.path for shown in found.volumes if shown.path.is_dir() and not shown.in_store)]
    return [*found.files(), *(path for path in inputs if path.is_file()), *folders]


def gather(
    found: Found, too_many: Sequence[Shown], inputs: Sequence[Path], options: Options, progress: Progress = silent
) -> Content:
    """Read the volumes and pictures, and put everything together.

    Args:
        found: all of it is read.
        too_many: volumes that are listed only.
        inputs: as the user named them.
        options: how the report is made.
        progress: told of volumes.

    Raises:
        CtgridError: as :func:`ctgrid.runs.report.html.scenes.make_scenes`.
    """
    scenes, unread = make_scenes(found.volumes, options.max_mb, options.hu, progress)
    notes = [*found.notes, *unread]
    names = [shown.name for shown in too_many]
    if names:
        of = len(names) + len(found.volumes)
        notes.append(
            f"{len(names)} of {of} volumes are not in this page, which --max-volumes limits to "
            f"{options.max_volumes}: {some(names)}."
        )
    pictures = embed_pictures(found.pictures)
    if pictures.left_out:
        notes.append(f"{len(pictures.left_out)} pictures of the runs are not in this page: see their folders.")
    return Content(
        title=options.title or default_title(inputs),
        facts=facts(inputs),
        scenes=scenes,
        results=found.results,
        runs=found.runs,
        pictures=pictures,
        notes=notes,
        left_out=names,
    )


def default_title(inputs: Sequence[Path]) -> str:
    """Return a title made of the inputs' names."""
    resolved = [path.resolve() for path in inputs]
    names = [path.parent.name if path.name in (RECORD, *result_files()) else path.name for path in resolved]
    return f"Report: {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def facts(inputs: Sequence[Path]) -> list[str]:
    """Return when, by what and from how much the report was made."""
    now: Any = datetime.now(UTC)
    return [
        f"{now:%Y-%m-%d %H:%M} UTC",
        f"ctgrid {version_of('ctgrid') or '(not installed)'}",
        f"{len(inputs)} input{'s' * (len(inputs) != 1)}",
    ]
