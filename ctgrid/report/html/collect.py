"""Find out what the inputs of a report are: run records, results, volumes, and which volumes belong together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ctgrid.errors import CtgridError
from ctgrid.files import full_suffix
from ctgrid.formats import NIFTI_SUFFIXES, WRITABLE
from ctgrid.report.html.results import Results, is_run, read_json, read_results

RECORD = "run.json"
RESULTS = ("results.json", "nodules.json")
PICTURES = (".png",)


@dataclass(frozen=True)
class Run:
    """One run record and the folder it lies in."""

    path: Path
    record: dict[str, Any]

    @property
    def command(self) -> str:
        """What was run."""
        return str(self.record.get("command"))


@dataclass(frozen=True)
class Shown:
    """A volume to be shown.

    Attributes:
        name: for people.
        path: of the file or the DICOM folder.
        before: the scan it was made from, where the two are worth comparing.
        given: whether it was named itself, so that it must not be left out without an error.
        notes: what people must know of it.
    """

    name: str
    path: Path
    before: Path | None = None
    given: bool = False
    notes: tuple[str, ...] = ()


@dataclass
class Found:
    """All that the inputs hold, each once, in the order given."""

    runs: list[Run] = field(default_factory=list)
    results: list[Results] = field(default_factory=list)
    volumes: list[Shown] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)

    def files(self) -> Iterator[Path]:
        """Yield everything that is read, which no output may replace."""
        yield from (run.path for run in self.runs)
        yield from (one.path for one in self.results)
        yield from self.pictures
        for shown in self.volumes:
            yield from (path for path in (shown.path, shown.before) if path is not None)


def collect(inputs: Sequence[Path]) -> Found:
    """Sort out the inputs.

    A folder with a ``run.json`` is a run: its record, its results, its pictures and the volumes it made; of a
    denoising run each volume with its scan. A folder of such folders stands for them. Other folders and files are
    volumes, or JSON files of results or of a run.

    Raises:
        CtgridError: Nothing is there, or a file is none of these.
    """
    found = Found()
    for path in inputs:
        if not path.exists():
            raise CtgridError(f"{path} does not exist; give a run folder, volumes, or results.json")
        for run in _runs_in(path):
            _add_run(found, run)
        if path.is_dir() and not _runs_in(path):
            _add_folder(found, path)
        elif path.is_file() and full_suffix(path) == ".json":
            _add_json(found, path)
        elif path.is_file():
            _add_volume(found, Shown(_name(path), path, given=True))
    found.volumes = [_paired(shown, inputs) for shown in found.volumes]
    hidden = [shown.before.resolve() for shown in found.volumes if shown.before is not None]
    found.volumes = [s for s in found.volumes if s.before is not None or s.path.resolve() not in hidden]
    return found


def _runs_in(path: Path) -> list[Run]:
    """Return the run of a folder, or those of the folders in it."""
    if not path.is_dir():
        return []
    own = path / RECORD
    records = [own] if own.is_file() else sorted(path.glob(f"*/{RECORD}"))
    return [_run(record) for record in records]


def _run(path: Path) -> Run:
    content = read_json(path)
    if not is_run(content):
        raise CtgridError(f"{path} is no run record of ctgrid: it lacks command, status or outputs")
    return Run(path, content)


def _add_run(found: Found, run: Run) -> None:
    """Add a run with everything it left behind that is still there."""
    if any(run.path.resolve() == other.path.resolve() for other in found.runs):
        return
    found.runs.append(run)
    for name in RESULTS:
        path = run.path.parent / name
        if path.is_file():
            _add_results(found, path)
    made = [output for output, _ in _denoised(run.record)] if run.command == "denoise" else None
    for output in _paths(run.record.get("outputs")):
        left = _output(output, run)
        if left is None:
            continue
        if full_suffix(left) in PICTURES:
            found.pictures.append(left)
        elif (made is None or output in made) and _is_volume(left):
            _add_volume(found, Shown(_name(left), left))


def _add_folder(found: Found, path: Path) -> None:
    """Add the volumes below a folder, or its results where it holds some without a run record."""
    from ctgrid.data.store.cases import find_cases, named

    results = [path / name for name in RESULTS if (path / name).is_file()]
    for file in results:
        _add_results(found, file)
    if not results:
        for case in named(find_cases([path])):
            _add_volume(found, Shown(case.name, case.path))


def _add_json(found: Found, path: Path) -> None:
    content = read_json(path)
    if is_run(content):
        _add_run(found, Run(path, content))
    else:
        _add_results(found, path, content)


def _add_results(found: Found, path: Path, content: Any = None) -> None:
    if all(path.resolve() != other.path.resolve() for other in found.results):
        found.results.append(read_results(path, content))


def _add_volume(found: Found, shown: Shown) -> None:
    if all(shown.path.resolve() != other.path.resolve() for other in found.volumes):
        found.volumes.append(shown)


def _paired(shown: Shown, inputs: Iterable[Path]) -> Shown:
    """Give a denoised volume the scan it was made from, where the run record beside it names it."""
    record = shown.path.parent / RECORD
    if not record.is_file():
        return shown
    content = read_json(record)
    if not is_run(content) or content["command"] != "denoise":
        return shown
    run = Run(record, content)
    for output, source in _denoised(content):
        made = _output(output, run)
        if made is None or made.resolve() != shown.path.resolve():
            continue
        before = _source(source, run, inputs, made)
        if before is None:
            note = f"the scan it was made from is no longer at {source}, so there is no before and after"
            return replace(shown, notes=(*shown.notes, note))
        return replace(shown, before=before)
    return shown


def _denoised(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (result, scan) of every case of a denoising run."""
    cases = (record.get("results") or {}).get("cases") or []
    for case in cases if isinstance(cases, list) else []:
        outputs = _paths(case.get("outputs")) if isinstance(case, dict) else []
        if outputs and isinstance(case.get("source"), str):
            yield outputs[0], case["source"]


def _paths(listed: Any) -> list[str]:
    """Return the paths of a record's inputs or outputs."""
    items = listed if isinstance(listed, list) else []
    return [item["path"] for item in items if isinstance(item, dict) and isinstance(item.get("path"), str)]


def _output(name: str, run: Run) -> Path | None:
    """Return where an output of a run is now: beside its record, or else where it was written."""
    folder = run.path.parent
    tried = (folder / Path(name).name, _as_typed(name, run))
    return next((path for path in tried if path.exists() and path.resolve() != folder.resolve()), None)


def _source(name: str, run: Run, inputs: Iterable[Path], made: Path) -> Path | None:
    """Return where an input of a run is now: where it was, or among the report's own inputs; never its output."""
    tried = (_as_typed(name, run), *(path for path in inputs if path.name == Path(name).name))
    return next((path for path in tried if path.exists() and path.resolve() != made.resolve()), None)


def _as_typed(name: str, run: Run) -> Path:
    """Return a path of a record, relative ones from the folder that the command was run in."""
    start = run.record.get("working_folder")
    return Path(start) / name if isinstance(start, str) else Path(name)


def _is_volume(path: Path) -> bool:
    """Tell a volume that ctgrid wrote, a DICOM series included, from its other outputs."""
    return full_suffix(path) in WRITABLE or (path.is_dir() and any(path.glob("*.dcm")))


def _name(path: Path) -> str:
    """Return a volume's name for people."""
    suffix = full_suffix(path)
    known = (*WRITABLE, *NIFTI_SUFFIXES, ".nhdr", ".mhd", ".zip", ".dcm")
    return path.name[: -len(suffix)] if suffix in known and not path.is_dir() else path.name
