"""What is to be denoised and where it goes: cases among and below paths, their outputs, and what must not be."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import check_apart, check_folder, check_output, full_suffix
from ctgrid.scan.cases import Case, find_cases, named
from ctgrid.scan.formats.kinds import DICOM_SUFFIXES, output_kind, writable
from ctgrid.scan.formats.open import check_writable, is_dicom
from ctgrid.scan.names import DENOISED, beside, scan_name, written_suffix

PICTURE = "_compared.png"
JOURNAL = "denoise.jsonl"
"""In a folder of results: one line per case."""


@dataclass(frozen=True)
class Job:
    """One scan and what is made of it.

    Attributes:
        source: a file, a zip or a DICOM folder.
        out: the volume to write; a name without suffix is a DICOM series folder.
        residual: likewise what was removed, where wanted.
        picture: likewise before, after and removed.
    """

    source: Path
    out: Path
    residual: Path | None = None
    picture: Path | None = None

    @property
    def outputs(self) -> list[Path]:
        """All that will be written."""
        return [path for path in (self.out, self.residual, self.picture) if path is not None]


@dataclass(frozen=True)
class DenoisingPlan:
    """All cases of one call.

    Attributes:
        jobs: the cases, in the order of the inputs and sorted by path within each.
        many: whether several were asked for: their results are listed in a journal beside them, and one that fails
            does not stop the others.
        earlier: scans that are left out as results of an earlier call, see :func:`earlier_results`.
    """

    jobs: list[Job]
    many: bool = False
    earlier: list[Path] = field(default_factory=list)

    @property
    def owned(self) -> list[Path]:
        """Folders that belong to this call alone: those of results, or the DICOM series of one scan."""
        if self.many:
            return self.folders
        return [path for job in self.jobs for path in job.outputs if full_suffix(path) not in (*writable(), ".png")]

    @property
    def folders(self) -> list[Path]:
        """Where results go; the record of the call lies in the first."""
        return list(dict.fromkeys(job.out.parent for job in self.jobs))


def plan_jobs(
    inputs: Sequence[Path], out: Path | None = None, *, residual: Path | None = None, picture: bool = True
) -> DenoisingPlan:
    """Decide what goes where.

    A name with a volume's suffix takes one scan. Any other name is a folder: of one DICOM series where one is given
    by itself, else of results that keep their inputs' names. Where no name is given, the result of every input lies
    beside it: that of ``scan.nii.gz`` is ``scan_denoised.nii.gz``, that of a folder or zip ``NAME_denoised``, a folder.

    Args:
        inputs: scans, and folders that are searched for them.
        out: a volume's file, or a folder.
        residual: where what was removed goes: a volume's file for one scan, a folder for a folder of results.
        picture: draw scan, result and what was removed, beside the result.

    Raises:
        CtgridError: where nothing is found, an output is an input or in the way, or several scans would get one name.
    """
    if out is not None:
        for source in inputs:
            check_apart(out, [source])
    cases, earlier = earlier_results(find_cases(inputs))
    if out is not None:
        plan = _plan_into(cases, out, residual, picture)
    else:
        groups = _by_input(inputs, cases)
        if len(groups) == 1:
            plan = _plan_into(groups[0][1], beside(groups[0][0], DENOISED), residual, picture)
        else:
            plan = _plan_beside(groups, residual, picture)
    taken: set[Path] = set()
    for job in plan.jobs:
        for path in job.outputs:
            check_apart(path, [job.source])
            if path.resolve() in taken:
                raise CtgridError(f"{path} would be written twice; choose another --residual or --out")
            taken.add(path.resolve())
    return replace(plan, earlier=earlier)


def earlier_results(cases: Sequence[Case]) -> tuple[list[Case], list[Path]]:
    """Part scans from results of earlier calls, which lie beside them under names of their own.

    ``a_denoised.nii.gz`` is one where ``a``, of any format, is among the scans too, and so is everything in a folder
    ``b_denoised`` where a scan is in ``b``, or is ``b``. Alone it is a scan like any other.

    Returns:
        The scans, and the paths of the results.
    """
    places = {place for case in cases for place in (case.path.with_name(scan_name(case.path)), *case.path.parents)}
    own: list[Case] = []
    results: list[Path] = []
    for case in cases:
        ways = (case.path.with_name(scan_name(case.path)), *case.path.parents)
        made = any(
            way.name.endswith(DENOISED) and way.with_name(way.name.removesuffix(DENOISED)) in places
            for way in ways
            if way.name != DENOISED
        )
        if made:
            results.append(case.path)
        else:
            own.append(case)
    return own, results


def _by_input(inputs: Sequence[Path], cases: Sequence[Case]) -> list[tuple[Path, list[Case]]]:
    """Return every input that has scans, with its own; one that two inputs hold belongs to the first."""
    left, groups = list(cases), []
    for source in inputs:
        whole = Path(os.path.abspath(source))  # noqa: PTH100 (as find_cases does: resolve() would follow links)
        own = [case for case in left if case.path.is_relative_to(whole)]
        if own:
            groups.append((source, own))
            left = [case for case in left if case not in own]
    return groups


def _plan_beside(groups: Sequence[tuple[Path, list[Case]]], residual: Path | None, picture: bool) -> DenoisingPlan:
    """Return the plan of several inputs, the results of each beside it."""
    _check_residual_folder(residual)
    jobs: list[Job] = []
    for source, cases in groups:
        jobs += _plan_into(cases, beside(source, DENOISED), None, picture).jobs
    if residual is not None:
        rests = {case.path: _residual(case, residual) for case in named(c for _, cases in groups for c in cases)}
        jobs = [replace(job, residual=rests[job.source]) for job in jobs]
    return DenoisingPlan(jobs, many=True)


def _plan_into(cases: Sequence[Case], out: Path, residual: Path | None, picture: bool) -> DenoisingPlan:
    """Return the plan of scans that go into one file or folder."""
    suffix = full_suffix(out)
    is_file = suffix in writable() and not out.is_dir()
    if not is_file and (suffix in DICOM_SUFFIXES or output_kind(out) != "dicom"):
        raise CtgridError(
            f"cannot write {out}: a volume must end in {' or '.join(writable())}; a DICOM series, or the results of "
            "several scans, go into a folder, whose name has no such suffix"
        )
    if is_file and len(cases) > 1:
        raise CtgridError(f"{len(cases)} scans cannot go into one file {out}; name a folder with --out")
    one_series = len(cases) == 1 and cases[0].path.exists() and is_dicom(cases[0].path)
    if is_file or one_series:
        if residual is not None and full_suffix(residual) not in writable():
            raise CtgridError(f"cannot write {residual}: a residual must end in {' or '.join(writable())}")
        picture_path = out.with_name(scan_name(out) + PICTURE) if picture else None
        return DenoisingPlan([Job(cases[0].path, out, residual, picture_path)])
    _check_residual_folder(residual)
    jobs = [
        Job(
            case.path,
            out / f"{case.name}{written_suffix(case.path)}",
            None if residual is None else _residual(case, residual),
            out / f"{case.name}{PICTURE}" if picture else None,
        )
        for case in named(cases)
    ]
    return DenoisingPlan(jobs, many=True)


def _check_residual_folder(residual: Path | None) -> None:
    if residual is not None and full_suffix(residual) in writable():
        raise CtgridError(f"{residual} is a file; the residuals of several scans go into a folder")


def _residual(case: Case, folder: Path) -> Path:
    """Return where a named case's residual goes, in a folder of them."""
    return folder / f"{case.name}{written_suffix(case.path) or '.nii.gz'}"


def check_job(job: Job, many: bool, overwrite: bool) -> None:
    """Make sure that a case's outputs can be written, before any work.

    Args:
        job: the case.
        many: it is one of several, whose folder is made where its parent exists.
        overwrite: whether what is there may be replaced.

    Raises:
        CtgridError: where they cannot.
    """
    for path in job.outputs:
        if many and not path.parent.exists():
            check_folder(path.parent)
        elif path == job.picture:
            check_output(path, overwrite)
        else:
            check_writable(path, overwrite)
