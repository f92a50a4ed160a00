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
from ctgrid.scan.names import CHANGED, DENOISED, TRUST, beside, scan_name, written_suffix

PICTURE = "_compared.png"
BESIDE = Path("auto")
"""Stands for a map of trust beside its result, as ``RESULT_trust``."""

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
        trust: likewise how far the result may be off.
    """

    source: Path
    out: Path
    residual: Path | None = None
    picture: Path | None = None
    trust: Path | None = None

    @property
    def changed(self) -> Path | None:
        """Where the map of what was changed by more than noise explains goes: beside the one of trust."""
        return None if self.trust is None else with_addition(self.trust, CHANGED)

    @property
    def outputs(self) -> list[Path]:
        """All that will be written."""
        every = (self.out, self.residual, self.picture, self.trust, self.changed)
        return [path for path in every if path is not None]


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
    inputs: Sequence[Path],
    out: Path | None = None,
    *,
    residual: Path | None = None,
    picture: bool = True,
    trust: Path | None = None,
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
        trust: where the maps of trust go, likewise; :data:`BESIDE` puts each beside its result. Of one DICOM series it
            may be a folder, for a series.

    Raises:
        CtgridError: where nothing is found, an output is an input or in the way, or several scans would get one name.
    """
    if out is not None:
        for source in inputs:
            check_apart(out, [source])
    cases, earlier = earlier_results(find_cases(inputs))
    if out is not None:
        plan = _plan_into(cases, out, residual, picture, trust)
    else:
        groups = _by_input(inputs, cases)
        if len(groups) == 1:
            plan = _plan_into(groups[0][1], beside(groups[0][0], DENOISED), residual, picture, trust)
        else:
            plan = _plan_beside(groups, residual, picture, trust)
    taken: set[Path] = set()
    for job in plan.jobs:
        for path in job.outputs:
            check_apart(path, [job.source])
            if path.resolve() in taken:
                raise CtgridError(f"{path} would be written twice; choose another --residual, --trust or --out")
            taken.add(path.resolve())
    return replace(plan, earlier=earlier)


def earlier_results(cases: Sequence[Case]) -> tuple[list[Case], list[Path]]:
    """Part scans from results of earlier calls, which lie beside them under names of their own.

    ``a_denoised.nii.gz`` is one where ``a``, of any format, is among the scans too, and so are its maps of trust, and
    everything in a folder ``b_denoised`` where a scan is in ``b``, or is ``b``. Alone it is a scan like any other.

    Returns:
        The scans, and the paths of the results.
    """
    places = {place for case in cases for place in (case.path.with_name(scan_name(case.path)), *case.path.parents)}
    own: list[Case] = []
    results: list[Path] = []
    for case in cases:
        ways = (case.path.with_name(scan_name(case.path)), *case.path.parents)
        made = any(way.with_name(name) in places for way in ways if (name := _made_of(way.name)))
        if made:
            results.append(case.path)
        else:
            own.append(case)
    return own, results


def _made_of(name: str) -> str:
    """Return the name of the scan that a result, or a map of trust beside one, would be of; empty for other names."""
    result = name.removesuffix(CHANGED).removesuffix(TRUST) if name.endswith((TRUST, TRUST + CHANGED)) else name
    return result.removesuffix(DENOISED) if result.endswith(DENOISED) else ""


def with_addition(path: Path, addition: str) -> Path:
    """Return the path of a volume with something behind its name, before the suffix."""
    suffix = full_suffix(path) if full_suffix(path) in writable() else ""
    return path.with_name(path.name.removesuffix(suffix) + addition + suffix)


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


def _plan_beside(
    groups: Sequence[tuple[Path, list[Case]]], residual: Path | None, picture: bool, trust: Path | None
) -> DenoisingPlan:
    """Return the plan of several inputs, the results of each beside it."""
    _check_folders(residual, trust)
    jobs: list[Job] = []
    for source, cases in groups:
        jobs += _plan_into(cases, beside(source, DENOISED), None, picture, BESIDE if trust == BESIDE else None).jobs
    every = {case.path: case for case in named(c for _, cases in groups for c in cases)}
    if residual is not None:
        jobs = [replace(job, residual=_residual(every[job.source], residual)) for job in jobs]
    if trust is not None and trust != BESIDE:
        jobs = [replace(job, trust=trust / _written_name(every[job.source])) for job in jobs]
    return DenoisingPlan(jobs, many=True)


def _plan_into(
    cases: Sequence[Case], out: Path, residual: Path | None, picture: bool, trust: Path | None
) -> DenoisingPlan:
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
        if trust == BESIDE:
            trust = with_addition(out, TRUST)
        elif trust is not None and full_suffix(trust) not in writable() and not one_series:
            raise CtgridError(f"cannot write {trust}: a map of trust must end in {' or '.join(writable())}")
        return DenoisingPlan([Job(cases[0].path, out, residual, picture_path, trust)])
    _check_folders(residual, trust)
    jobs = [
        Job(
            case.path,
            out / _written_name(case),
            None if residual is None else _residual(case, residual),
            out / f"{case.name}{PICTURE}" if picture else None,
            _trust(case, out, trust),
        )
        for case in named(cases)
    ]
    return DenoisingPlan(jobs, many=True)


def _check_folders(residual: Path | None, trust: Path | None) -> None:
    for path, what in ((residual, "residuals"), (trust, "maps of trust")):
        if path is not None and full_suffix(path) in writable():
            raise CtgridError(f"{path} is a file; the {what} of several scans go into a folder")


def _written_name(case: Case) -> str:
    """Return what a named case's result is called, in a folder of them."""
    return f"{case.name}{written_suffix(case.path)}"


def _trust(case: Case, out: Path, trust: Path | None) -> Path | None:
    """Return where a named case's map of trust goes: beside its result, or in a folder of them."""
    if trust == BESIDE:
        return with_addition(out / _written_name(case), TRUST)
    return None if trust is None else trust / _written_name(case)


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
