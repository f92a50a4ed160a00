"""Find out what the inputs of a report are: runs, results, stores, volumes, and folders of all these."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ctgrid.base.causes import reading
from ctgrid.base.documents import as_json
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import full_suffix
from ctgrid.base.record_place import RECORD, records_in
from ctgrid.data.store.store import is_store
from ctgrid.runs.report.given import Given
from ctgrid.runs.report.html.content import group_html
from ctgrid.runs.report.html.found import Found, Run, Shown, some
from ctgrid.runs.report.html.pairs import as_typed, denoised, output_of, paired, paths
from ctgrid.runs.report.html.run_view import describe_runs, record_view
from ctgrid.runs.results.files import ResultsFile, is_run, read_json, read_results
from ctgrid.runs.results.kinds import result_files
from ctgrid.scan.formats.kinds import readable, writable

PICTURES = (".png",)
_LOOKS = ("preview", "report", "view")
"""Commands whose outputs show what others made."""


def collect(inputs: Sequence[Path]) -> Found:
    """Sort out the inputs; no volume is read.

    A folder with a ``run.json`` is a run: its record, its results, its pictures, the volumes and stores it made; of
    a denoising run each volume with its scan; and what the other records in it tell of. A store stands for its volumes.
    Any other folder stands for the runs, results, stores and volumes in it, at whatever depth. Files are volumes, or
    JSON files of results or of a run.

    Raises:
        CtgridError: Nothing is there, or an input itself is none of these. What is damaged inside a folder is noted.
    """
    found = Found(given=Given.of(inputs))
    for path in inputs:
        if not path.exists():
            raise CtgridError(f"{path} does not exist; give a run folder, a store, volumes, or results.json")
        if is_store(path):
            _add_store(found, path)
        elif path.is_dir() and is_store(path.parent):
            _add_stored(found, path)
        elif (path / RECORD).is_file():
            if found.may_read(path / RECORD):
                _add_run(found, _run(path / RECORD))
                _add_others(found, path)
        elif path.is_dir():
            _add_folder(found, path)
        elif full_suffix(path) == ".json":
            _add_json(found, path)
        else:
            found.add_volume(Shown(_name(path), path, given=True))
    named = {path.resolve() for path in inputs}
    found.notes += [note for run in found.runs if run.path.resolve() not in named for note in _passed_over(found, run)]
    found.volumes = _told_apart(paired(found.volumes, inputs, Given.of(inputs)))
    _check_any(found)
    return found


def _check_any(found: Found) -> None:
    """Refuse inputs of which nothing may be read."""
    if found.notes and not (found.runs or found.results or found.volumes or found.stores):
        raise CtgridError(found.notes[0].removeprefix("Left out: "))


def _run(path: Path) -> Run:
    content = read_json(path)
    if not is_run(content):
        raise CtgridError(f"{path} is no run record of ctgrid: it lacks command, status or outputs")
    return _showable(Run(path, content))


def _showable(run: Run) -> Run:
    """Refuse a record whose parts are not of the kinds that ctgrid writes: found here, it is one input that fails."""
    with reading(run.path, "a run record that a report can show"):
        record_view(run)
        for one in describe_runs([run]):
            group_html(one)
        as_json(run.record)
        for _ in (*paths(run.record.get("outputs")), *paths(run.record.get("inputs")), *denoised(run.record)):
            pass
    return run


def _showable_results(results: ResultsFile) -> ResultsFile:
    with reading(results.path, "a file of results that a report can show"):
        group_html(results.description)
        as_json(results.content)
    return results


def _add_run(found: Found, run: Run) -> None:
    """Add a run with everything it left behind that is still there."""
    if not found.add_run(run):
        return
    for name in result_files():
        path = run.path.parent / name
        if path.is_file():
            _or_note(found, _add_results, path)
    made = [output for output, _ in denoised(run.record)] if run.command == "denoise" else None
    for output in paths(run.record.get("outputs")):
        left = output_of(output, run)
        if left is None or not found.may_read(left):
            continue
        if full_suffix(left) in PICTURES:
            found.add_picture(left)
        elif is_store(left):
            _or_note(found, _add_store, left)
        elif (made is None or output in made) and _is_volume(left):
            found.add_volume(Shown(_name(left), left))


def _add_others(found: Found, folder: Path) -> set[Path]:
    """Add the runs in a folder by whose records something is there that no record before tells of.

    Returns:
        All that they, and the runs of this folder that were there already, made.
    """
    told = {path for run in found.runs if run.path.parent == folder for path in _made(run)}
    for path in records_in(folder):
        if not found.may_read(path):
            continue
        try:
            run = _run(path)
        except CtgridError as error:
            if path.name != RECORD:
                found.notes.append(f"Left out: {error}")
            continue
        if run.command in _LOOKS or not _made(run) - told:
            continue
        _add_run(found, run)
        told |= _made(run)
    return told


def _made(run: Run) -> set[Path]:
    """Return the outputs of a run that are there."""
    outputs = (output_of(name, run) for name in paths(run.record.get("outputs")))
    return {path.resolve() for path in outputs if path is not None}


def _passed_over(found: Found, run: Run) -> list[str]:
    """Say which volumes, stores and run folders in a run's folder no record in it and no other input tells of."""
    told = {(output_of(name, run) or as_typed(name, run)).resolve() for name in paths(run.record.get("outputs"))}
    told |= {as_typed(name, run).resolve() for name in paths(run.record.get("inputs"))}
    told |= {as_typed(name, run).resolve() for _, name in denoised(run.record)}
    told |= {path for other in found.runs if other.path.parent == run.path.parent for path in _made(other)}
    if run.path.name != RECORD:
        return []
    beside = [path for path in sorted(run.path.parent.iterdir()) if not path.name.startswith(".")]

    def counts(path: Path) -> bool:
        if path.is_dir():
            return (path / RECORD).is_file() or is_store(path)
        return full_suffix(path) in readable()

    told |= {path.resolve() for path in (*found.files(), *found.stores, *(other.path.parent for other in found.runs))}
    names = [path.name for path in beside if counts(path) and path.resolve() not in told]
    return [f"{run.path.parent}: its {RECORD} tells nothing of {some(names)}; name what is wanted."] if names else []


def _add_store(found: Found, path: Path) -> None:
    """Add the volumes of a store by their names; nothing of them is read."""
    from ctgrid.runs.report.preview import volumes_of

    listed = volumes_of(path, everything=True)
    if found.add_store(path):
        for one in listed:
            found.add_volume(Shown(one.name, one.path, in_store=True))


def _add_stored(found: Found, path: Path) -> None:
    """Add one volume of a store, named itself."""
    from ctgrid.runs.report.preview import volumes_of

    (one,) = volumes_of(path.parent, [path.name])
    found.add_volume(Shown(one.name, one.path, given=True, in_store=True))


@dataclass
class _Inside:
    """What lies in a folder besides volumes; ``recorded`` are the folders in which single outputs have records."""

    runs: list[Run] = field(default_factory=list)
    recorded: list[Path] = field(default_factory=list)
    results: list[Path] = field(default_factory=list)
    stores: list[Path] = field(default_factory=list)


def _add_folder(found: Found, path: Path) -> None:
    """Add the runs, results, stores and volumes below a folder; a run's folder is the run's and not searched."""
    from ctgrid.scan.cases import find_cases, named

    inside = _search(found, Path(os.path.abspath(path)))  # noqa: PTH100 (as find_cases: resolve() would follow links)
    for run in inside.runs:
        _add_run(found, run)
    told = {made for folder in inside.recorded for made in _add_others(found, folder)}
    for file in inside.results:
        _or_note(found, _add_results, file)
    for store in inside.stores:
        _or_note(found, _add_store, store)
    own = {run.path.parent for run in inside.runs}
    try:
        cases = [
            case
            for case in find_cases([path])
            if own.isdisjoint((case.path, *case.path.parents)) and case.path.resolve() not in told
        ]
    except CtgridError:  # no scan: the search above would have met a folder that cannot be searched
        cases = []
    for case in named(cases):
        found.add_volume(Shown(case.name, case.path))
    if not (cases or told or inside.runs or inside.results or inside.stores):
        raise CtgridError(
            f"{path} holds nothing to report: no {RECORD} of a run, no {' or '.join(result_files())}, no store, no scan"
        )


def _search(found: Found, top: Path) -> _Inside:
    """List runs, results and stores below a folder; records that are none are noted."""
    inside = _Inside()
    for folder, folders, files in os.walk(top, onerror=_raise):
        here = Path(folder)
        if RECORD in files and found.may_read(here / RECORD):
            try:
                inside.runs.append(_run(here / RECORD))
                inside.recorded.append(here)
                folders.clear()
                continue
            except CtgridError as error:
                found.notes.append(f"Left out: {error}")
        if any(name.endswith(f".{RECORD}") for name in files):
            inside.recorded.append(here)
        inside.results += [here / name for name in result_files() if name in files]
        kept = []
        for name in sorted(name for name in folders if not name.startswith(".")):
            if is_store(here / name):
                inside.stores.append(here / name)
            elif not name.endswith(".zarr"):
                kept.append(name)
        folders[:] = kept
    return inside


def _raise(error: OSError) -> None:
    raise CtgridError(f"cannot search {error.filename}: {error.strerror or error}") from error


def _or_note(found: Found, add: Callable[[Found, Path], None], path: Path) -> None:
    """Add what was not named itself; where it is damaged or empty, the report does without and says so."""
    try:
        if found.may_read(path):
            add(found, path)
    except CtgridError as error:
        found.notes.append(f"Left out: {error}")


def _add_json(found: Found, path: Path) -> None:
    content = read_json(path)
    if is_run(content):
        _add_run(found, _showable(Run(path, content)))
    else:
        found.add_results(_showable_results(read_results(path, content)))


def _add_results(found: Found, path: Path) -> None:
    found.add_results(_showable_results(read_results(path)))


def _told_apart(volumes: Sequence[Shown]) -> list[Shown]:
    """Name the folder of volumes that are called alike."""
    count = Counter(shown.name for shown in volumes)
    return [
        replace(shown, name=f"{shown.path.resolve().parent.name}/{shown.name}") if count[shown.name] > 1 else shown
        for shown in volumes
    ]


def _is_volume(path: Path) -> bool:
    """Tell a volume that ctgrid wrote, a DICOM series included, from its other outputs."""
    return full_suffix(path) in writable() or (path.is_dir() and any(path.glob("*.dcm")))


def _name(path: Path) -> str:
    """Return a volume's name for people."""
    suffix = full_suffix(path)
    known = (*readable(), ".dcm")
    return path.name[: -len(suffix)] if suffix in known and not path.is_dir() else path.name
