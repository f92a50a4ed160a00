"""Many scans at several doses and kernels in one call: a paired set with its table; a bad scan stops no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.documents import plain
from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.base.files import check_apart, check_folder
from ctgrid.base.journal import Journal
from ctgrid.base.present import Present
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import RunRecord, fingerprint, recorded
from ctgrid.base.record_place import RECORD
from ctgrid.base.settings import gather, spelled_out
from ctgrid.data.pair_table import PAIRS, ScanPair, write_pairs
from ctgrid.metrics.regions import TISSUES_HU
from ctgrid.runs.scans.dose import lowered, write_lowered
from ctgrid.runs.scans.settings import LowDoseSettings
from ctgrid.scan.cases import Case, find_cases, named
from ctgrid.scan.ct import require_ct
from ctgrid.scan.formats.kinds import writable
from ctgrid.scan.formats.open import check_writable, is_dicom
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.names import beside, written_suffix
from ctgrid.scan.volume import Volume

JOURNAL = "low-dose.jsonl"
"""In a folder of noisy scans: one line per scan that was made or failed."""

SET = "_low_dose"
"""Stands behind the name of an input in that of its folder of noisy scans."""

Entry = dict[str, Any]
DONE, FAILED, KEPT = "done", "failed", "kept"


@dataclass(frozen=True)
class Wanted:
    """One noisy scan to be made."""

    source: Path
    out: Path
    dose: float
    cutoff: float | None


@dataclass
class _Set:
    """A set in the making: what is wanted, and what became of it so far."""

    asked: LowDoseSettings
    out: Path
    wanted: list[Wanted]
    table: MetadataTable | None
    entries: list[Entry] = field(default_factory=list)

    @property
    def journal(self) -> Journal:
        return Journal(self.out / JOURNAL)

    def identity(self, one: Wanted) -> dict[str, Any]:
        """Return what the voxels depend on besides the input."""
        asked = self.asked
        own = {"dose": one.dose, "cutoff": one.cutoff, "seed": asked.seed, "series": asked.reading.series}
        rest = {name: getattr(asked, name) for name in ("geometry", "photons", "electronic_noise", "mode")}
        return {**own, **rest, "hu": asked.reading.hu}


def is_set(sources: Sequence[Path], asked: LowDoseSettings) -> bool:
    """Tell whether a call makes a set: of several scans, doses or kernels, or of a folder of scans."""
    if len(sources) > 1 or len(asked.doses) * len(asked.cutoffs) > 1:
        return True
    if not sources or not sources[0].is_dir():
        return False
    cases = find_cases(sources)
    return len(cases) > 1 or not is_dicom(cases[0].path)


@spelled_out(LowDoseSettings, "changes")
def lower_doses(
    sources: Path | str | Sequence[Path | str],
    out: Path | str | None = None,
    settings: LowDoseSettings | None = None,
    *,
    argv: Sequence[str] = (),
    on_scan: Callable[[Entry], None] = lambda entry: None,
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Make noisy versions of scans, each on its scan's own grid, with a table of the pairs.

    The folder gets ``NAME_dose0.25.nii.gz`` for each, :data:`ctgrid.data.pair_table.PAIRS`, a journal to go on by, and
    the record of the run. The noise of a pair has a seed of its own, made of the call's, the scan and the dose.

    Args:
        sources: scans, and folders that are searched for them.
        out: the folder; None is ``IN_low_dose`` beside the one input.
        settings: how; None takes the defaults.
        argv: the command line, for the record.
        on_scan: called with an entry for every noisy scan, and for every scan that failed.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        The record; its ``results`` count ``done``, ``kept`` and ``failed`` and hold the entries.

    Raises:
        CtgridError: before any work for what is in the way; where nothing could be made.
    """
    asked = gather(LowDoseSettings, changes, settings or LowDoseSettings())
    given = [Path(sources)] if isinstance(sources, str | Path) else [Path(source) for source in sources]
    if not given:
        raise CtgridError("there is nothing to make noisier: no scan was given")
    if out is None and len(given) > 1:
        raise CtgridError("the noisy versions of several inputs need a folder; name it with --out")
    folder = beside(given[0], SET, "") if out is None else Path(out)
    check_apart(folder, given)
    if "".join(folder.suffixes[-2:]).lower().endswith(tuple(writable())) and not folder.is_dir():
        raise CtgridError(f"{folder}: several noisy scans cannot go into one file; name a folder with --out")
    check_folder(folder)
    table = MetadataTable.read_all(asked.reading.metadata)
    work = _Set(asked, folder, list(_wanted(named(find_cases(given)), folder, asked)), table)
    kept = _kept(work)
    record = RunRecord("simulate low-dose", folder / RECORD, list(argv), asked.seed)
    record.settings = asked.as_dict()
    with recorded(record, owns=[folder]), Present(folder) as place:
        try:
            for entry in _make(work, kept, place, progress):
                work.entries.append(entry)
                record.worth_keeping = record.worth_keeping or entry["status"] == DONE
                on_scan(entry)
        finally:
            _note(record, work)
        made = [entry for entry in work.entries if entry["status"] != FAILED]
        if not made:
            first = work.entries[0]["error"]
            raise CtgridError(first if len(work.entries) == 1 else f"no scan was made noisier; first: {first}")
    return record


def pair_seed(seed: int, source_sha256: str, dose: float) -> int:
    """Return the seed of a pair's noise: no two scans or doses share one, kernels of one dose do."""
    return int.from_bytes(sha256(f"{seed} {source_sha256} {dose!r}".encode()).digest()[:4], "big")


def _wanted(cases: Sequence[Case], folder: Path, asked: LowDoseSettings) -> Iterator[Wanted]:
    for case in cases:
        for dose, cutoff in product(asked.doses, asked.cutoffs):
            kernel = "" if cutoff is None else f"_cutoff{cutoff:g}"
            name = f"{case.name}_dose{dose:g}{kernel}{written_suffix(case.path)}"
            yield Wanted(case.path, folder / name, dose, cutoff)


def _kept(work: _Set) -> dict[Path, Entry]:
    """Return the entries of what is there already and stays; refuse what is in the way."""
    asked, kept = work.asked, {}
    listed = work.journal.entries() if asked.resume else {}
    for one in work.wanted:
        if not one.out.exists():
            if work.out.exists():
                check_writable(one.out, asked.overwrite)
            continue
        entry = listed.get(one.out.name)
        if asked.resume and entry is not None and _is_done(one, entry, work):
            kept[one.out] = {**entry, "status": KEPT}
        elif asked.resume and not asked.overwrite:
            why = "is listed with another input, other settings or other bytes" if entry else "is not listed as done"
            raise CtgridError(f"{one.out} exists and {why}; pass --overwrite to make it anew")
        elif not asked.overwrite:
            raise CtgridError(f"{one.out} exists; pass --overwrite to replace it, or --resume to keep what is done")
    return kept


def _is_done(one: Wanted, entry: Mapping[str, Any], work: _Set) -> bool:
    """Tell whether an entry is of this input and these settings, and its output is there, whole."""
    if entry.get("status") != DONE or entry.get("request") != plain(work.identity(one)) or not one.source.exists():
        return False
    return all(
        isinstance(fact := entry.get(name), Mapping) and fingerprint(path)["sha256"] == fact.get("sha256")
        for name, path in (("input", one.source), ("output", one.out))
    )


def _make(work: _Set, kept: Mapping[Path, Entry], place: Present, progress: Progress) -> Iterator[Entry]:
    """Yield an entry for every noisy scan; each scan is read once, and none where all of its versions are kept."""
    done, total = 0, len(work.wanted)
    for source in dict.fromkeys(one.source for one in work.wanted):
        mine = [one for one in work.wanted if one.source == source]
        missing = [one for one in mine if one.out not in kept]
        yield from (kept[one.out] for one in mine if one.out in kept)
        try:
            if missing:
                progress("reading", 0, 1)
                volume, facts = _read(work, source), fingerprint(source)
        except Exception as error:
            place.check()
            yield _failed(work, source, error)
        else:
            for one in missing:
                try:
                    yield _one(work, one, volume, facts, place, progress)
                except Exception as error:
                    place.check()  # a folder that went is no fault of the scan
                    yield _failed(work, source, error, one)
        done += len(mine)
        progress("scans", done, total)


def _read(work: _Set, source: Path) -> Volume:
    reading = work.asked.reading
    series = reading.series if reading.series and source.exists() and is_dicom(source) else None
    volume = Volume.read(source, hu=reading.hu, metadata=work.table, series=series)
    require_ct(volume, min_slices=1)
    return volume


def _one(work: _Set, one: Wanted, volume: Volume, facts: dict[str, Any], place: Present, progress: Progress) -> Entry:
    """Make and write one noisy scan, list it, and bring the table up to date."""
    started, seed = time.perf_counter(), pair_seed(work.asked.seed, facts["sha256"], one.dose)
    result = lowered(volume, work.asked, one.dose, one.cutoff, seed, progress)
    progress("writing", 0, 1)
    place.check()
    work.out.mkdir(exist_ok=True)
    place.check()
    write_lowered(result, one.out, one.source, work.asked.overwrite)
    chosen = result.record["low_dose"]
    entry = {
        "file": one.out.name,
        "source": str(one.source),
        "status": DONE,
        "dose": one.dose,
        "cutoff_per_mm": chosen["cutoff_per_mm"],
        "kernel": "scan" if one.cutoff is None else "given",
        "photons": chosen["photons"],
        "seed": seed,
        "added_hu": _added(volume, result),
        "low_dose": chosen,
        "hu": volume.record.get("hu"),
        **({"warnings": volume.record["warnings"]} if volume.record.get("warnings") else {}),
        "shape": list(result.shape),
        "spacing_mm": list(result.spacing_mm),
        "seconds": round(time.perf_counter() - started, 3),
        "request": work.identity(one),
        "input": facts,
        "output": fingerprint(one.out),
    }
    work.journal.append(plain(entry))
    write_pairs(work.out / PAIRS, _pairs(work))
    return entry


def _failed(work: _Set, source: Path, error: Exception, one: Wanted | None = None) -> Entry:
    """Return the entry of a scan, or of one of its versions, that could not be made."""
    known = isinstance(error, CtgridError | OSError)
    reason = reason_of(error) if known else f"unexpected {type(error).__name__}: {reason_of(error)}"
    entry: Entry = {"file": source.name if one is None else one.out.name, "source": str(source), "status": FAILED}
    entry["error"] = reason if str(source) in reason else f"{source}: {reason}"
    if work.out.exists():
        work.journal.append(plain(entry))
    return entry


def _added(before: Volume, after: Volume) -> float | None:
    """Return the standard deviation of what was added in soft tissue, HU; None where there is none."""
    low, high = TISSUES_HU["soft"]
    count, total, squares = 0, 0.0, 0.0
    for one, other in zip(before.hu, after.hu, strict=True):
        rest = (other.astype(np.float64) - one)[(one >= low) & (one <= high)]
        count, total, squares = count + rest.size, total + float(rest.sum()), squares + float(np.square(rest).sum())
    return round(max(0.0, squares / count - (total / count) ** 2) ** 0.5, 2) if count else None


def _pairs(work: _Set) -> Iterator[ScanPair]:
    """Yield all pairs that the journal lists and that are there, those of earlier calls too."""
    for _, entry in sorted(work.journal.entries().items()):
        path = work.out / str(entry["file"])
        if entry.get("status") == DONE and path.exists():
            yield ScanPair(
                clean=Path(entry["source"]),
                noisy=path,
                dose=entry["dose"],
                cutoff_per_mm=entry["cutoff_per_mm"],
                kernel=entry["kernel"],
                photons=entry["photons"],
                seed=entry["seed"],
                slices=entry["shape"][0],
                added_hu=entry["added_hu"],
                clean_sha256=entry["input"]["sha256"],
                noisy_sha256=entry["output"]["sha256"],
            )


def _note(record: RunRecord, work: _Set) -> None:
    """Put what was done into the run record."""
    counts = {status: sum(entry["status"] == status for entry in work.entries) for status in (DONE, KEPT, FAILED)}
    record.results = {**counts, "pairs": list(work.entries)}
    for entry in work.entries:
        if entry["status"] == DONE:
            record.outputs.append({**entry["output"], "shape": entry["shape"], "spacing_mm": entry["spacing_mm"]})
            record.parts[work.out / entry["file"]] = {
                "seed": entry["seed"],
                "seconds": entry["seconds"],
                "settings": {**record.settings, "dose": entry["dose"], "cutoff": entry["request"]["cutoff"]},
                "decisions": {"hu": entry["hu"], "low_dose": entry["low_dose"]},
                "inputs": [entry["input"]],
                "outputs": [entry["output"]],
                "results": {"pairs": [entry]},
            }
    inputs = {str(entry["source"]): entry["input"] for entry in work.entries if entry["status"] == DONE}
    record.inputs = list(inputs.values())
    if (work.out / PAIRS).exists() and record.outputs:
        record.outputs.append(fingerprint(work.out / PAIRS))
