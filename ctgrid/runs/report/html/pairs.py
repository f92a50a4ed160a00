"""Where the inputs and outputs of a run are now, and which volume was made from which scan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ctgrid.base.errors import CtgridError
from ctgrid.base.record_place import records_of
from ctgrid.runs.report.given import Given
from ctgrid.runs.report.html.found import Run, Shown
from ctgrid.runs.results.files import is_run, read_json


def paired(volumes: Iterable[Shown], inputs: Sequence[Path], given: Given) -> list[Shown]:
    """Give denoised volumes the scans they were made from, where the run records beside them name these.

    Scans that became the one side of a pair are not shown once more by themselves.

    Args:
        volumes: those of a report.
        inputs: of the report, where scans that were moved are looked for.
        given: what may be read; a record may name any file.
    """
    origins: dict[Path, dict[Path, _Origin]] = {}  # by record: one of many volumes is read once, not once a volume
    made = []
    for shown in volumes:
        before: str | Path | None = None
        for record in () if shown.in_store else records_of(shown.path):
            if record not in origins:
                origins[record] = _origins(record, inputs, given)
            origin = origins[record].get(shown.path.resolve())
            if origin is not None:
                before, shown = origin.scan, replace(shown, maps=origin.maps)
                break
        if isinstance(before, str):
            note = (
                f"the scan it was made from is no longer at {before} or not among the inputs, so there is no before "
                f"and after; name it too"
            )
            shown = replace(shown, notes=(*shown.notes, note))
        elif before is not None:
            shown = replace(shown, before=before)
        made.append(shown)
    hidden = {shown.before.resolve() for shown in made if shown.before is not None}
    return [shown for shown in made if shown.before is not None or shown.path.resolve() not in hidden]


@dataclass(frozen=True)
class _Origin:
    """The scan that a volume was made from, as it was written down where it is gone or must not be read; its maps."""

    scan: str | Path
    maps: dict[str, Path]


def _origins(record: Path, inputs: Sequence[Path], given: Given) -> dict[Path, _Origin]:
    """Return what denoised volumes were made from."""
    if not given.holds(record) or not record.is_file():
        return {}
    try:
        content = read_json(record)
    except CtgridError:  # of another program, say; the volumes beside it are none the worse
        return {}
    if not is_run(content) or content["command"] != "denoise":
        return {}
    run = Run(record, content)
    found: dict[Path, _Origin] = {}
    maps = dict(mapped(content))
    for output, source in denoised(content):
        made = output_of(output, run)
        if made is not None:
            places = {kind: output_of(name, run) for kind, name in maps.get(output, {}).items()}
            held = {kind: path for kind, path in places.items() if path is not None and given.holds(path)}
            found[made.resolve()] = _Origin(_source(source, run, inputs, made, given) or source, held)
    return found


def denoised(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (result, scan) of every case of a denoising run."""
    results = record.get("results")
    cases = results.get("cases") if isinstance(results, dict) else None
    for case in cases if isinstance(cases, list) else []:
        outputs = paths(case.get("outputs")) if isinstance(case, dict) else []
        if outputs and isinstance(case.get("source"), str):
            yield outputs[0], case["source"]


def mapped(record: dict[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (result, maps of it by kind) of every case of a denoising run that has maps of trust."""
    results = record.get("results")
    cases = results.get("cases") if isinstance(results, dict) else None
    for case in cases if isinstance(cases, list) else []:
        trust = case.get("trust") if isinstance(case, dict) else None
        outputs = paths(case.get("outputs")) if isinstance(trust, dict) else []
        if outputs and isinstance(trust, dict):
            names = {"trust": trust.get("path"), "labels": trust.get("changed_path")}
            yield outputs[0], {kind: name for kind, name in names.items() if isinstance(name, str)}


def paths(listed: Any) -> list[str]:
    """Return the paths of a record's inputs or outputs."""
    items = listed if isinstance(listed, list) else []
    return [item["path"] for item in items if isinstance(item, dict) and isinstance(item.get("path"), str)]


def output_of(name: str, run: Run) -> Path | None:
    """Return where an output of a run is now: beside its record, or else where it was written."""
    folder = run.path.parent
    tried = (folder / Path(name).name, as_typed(name, run))
    return next((path for path in tried if path.exists() and path.resolve() != folder.resolve()), None)


def as_typed(name: str, run: Run) -> Path:
    """Return a path of a record, relative ones from the folder that the command was run in."""
    start = run.record.get("working_folder")
    return Path(start) / name if isinstance(start, str) else Path(name)


def _source(name: str, run: Run, inputs: Iterable[Path], made: Path, given: Given) -> Path | None:
    """Return where an input of a run is now: where it was, or among the report's own inputs; never its output."""
    tried = (as_typed(name, run), *(path for path in inputs if path.name == Path(name).name))
    held = (path for path in tried if given.holds(path) and path.exists())
    return next((path for path in held if path.resolve() != made.resolve()), None)
