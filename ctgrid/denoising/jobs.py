"""What is to be denoised and where it goes: cases among and below paths, their outputs, and what must not be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ctgrid.data.store.cases import find_cases, named
from ctgrid.errors import CtgridError
from ctgrid.files import check_output, full_suffix
from ctgrid.formats import DICOM_SUFFIXES, NIFTI_SUFFIXES, WRITABLE, check_writable, is_dicom, output_kind

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
class Plan:
    """All cases of one call.

    Attributes:
        jobs: the cases, sorted by path.
        folder: where the results of several cases go, and their journal; None for a single one.
    """

    jobs: list[Job]
    folder: Path | None = None


def plan_jobs(inputs: Sequence[Path], out: Path, *, residual: Path | None = None, picture: bool = True) -> Plan:
    """Decide what goes where.

    A name with a volume's suffix takes one scan. Any other name is a folder: of one DICOM series where one is given
    by itself, else of results that keep their inputs' names.

    Args:
        inputs: scans, and folders that are searched for them.
        out: a volume's file, or a folder.
        residual: where what was removed goes: a volume's file for one scan, a folder for a folder of results.
        picture: draw scan, result and what was removed, beside the result.

    Raises:
        CtgridError: where nothing is found, an output is an input or in the way, or several scans would get one name.
    """
    for source in inputs:
        check_apart(source, out)
    suffix = full_suffix(out)
    is_file = suffix in WRITABLE and not out.is_dir()
    if not is_file and (suffix in DICOM_SUFFIXES or output_kind(out) != "dicom"):
        raise CtgridError(
            f"cannot write {out}: a volume must end in {' or '.join(WRITABLE)}; a DICOM series, or the results of "
            "several scans, go into a folder, whose name has no such suffix"
        )
    cases = [case.path for case in find_cases(inputs)]
    if is_file and len(cases) > 1:
        raise CtgridError(f"{len(cases)} scans cannot go into one file {out}; name a folder with --out")
    one_series = len(cases) == 1 and cases[0].exists() and is_dicom(cases[0])
    if is_file or one_series:
        if residual is not None and full_suffix(residual) not in WRITABLE:
            raise CtgridError(f"cannot write {residual}: a residual must end in {' or '.join(WRITABLE)}")
        plan = Plan([Job(cases[0], out, residual, out.with_name(stem_of(out) + PICTURE) if picture else None)])
    else:
        plan = Plan(_into_folder(inputs, cases, out, residual, picture), out)
    taken: set[Path] = set()
    for job in plan.jobs:
        for path in job.outputs:
            check_apart(job.source, path)
            if path.resolve() in taken:
                raise CtgridError(f"{path} would be written twice; choose another --residual or --out")
            taken.add(path.resolve())
    return plan


def _into_folder(
    inputs: Sequence[Path], cases: list[Path], out: Path, residual: Path | None, picture: bool
) -> list[Job]:
    """Return the jobs of a folder of results."""
    if residual is not None and full_suffix(residual) in WRITABLE:
        raise CtgridError(f"{residual} is a file; the residuals of several scans go into a folder")
    jobs = []
    for case in named(find_cases(inputs)):
        suffix = full_suffix(case.path) if not case.path.is_dir() else ""
        kept = suffix if suffix in WRITABLE else {".nhdr": ".nrrd", ".mhd": ".mha"}.get(suffix, "")
        jobs.append(
            Job(
                case.path,
                out / f"{case.name}{kept}",
                None if residual is None else residual / f"{case.name}{kept or '.nii.gz'}",
                out / f"{case.name}{PICTURE}" if picture else None,
            )
        )
    assert len(jobs) == len(cases)
    return jobs


def stem_of(path: Path) -> str:
    """Return a file's name without its suffix, ``.nii.gz`` counting as one."""
    return path.name[: len(path.name) - len(full_suffix(path))] if full_suffix(path) in WRITABLE else path.name


def check_apart(source: Path, out: Path) -> None:
    """Refuse to write over the input or into an input folder.

    Raises:
        CtgridError: where ``out`` is ``source``, by whatever name, or lies inside it.
    """
    if out.exists() and source.exists() and out.is_dir() == source.is_dir() and out.samefile(source):
        raise CtgridError(f"{out} is the input; the input is never written to, choose another --out")
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise CtgridError(f"{out} lies inside the input folder {source}; choose an --out elsewhere")


def check_job(job: Job, folder: Path | None, overwrite: bool) -> None:
    """Make sure that a case's outputs can be written, before any work.

    Args:
        job: the case.
        folder: of several results; it is made where its parent exists.
        overwrite: whether what is there may be replaced.

    Raises:
        CtgridError: where they cannot.
    """
    for path in job.outputs:
        if folder is not None and not path.parent.exists():
            check_folder(path.parent)
        elif path == job.picture:
            check_output(path, overwrite)
        else:
            check_writable(path, overwrite)


def check_folder(folder: Path) -> None:
    """Make sure that a folder is there or can be made in its parent.

    Raises:
        CtgridError: where a file has that name, or the parent is missing.
    """
    if folder.exists() and not folder.is_dir():
        raise CtgridError(f"cannot write into {folder}: it is a file, not a folder")
    if not folder.exists():
        check_output(folder)


def template_of(job: Job) -> Path | None:
    """Return the NIfTI file whose header the outputs keep, where the case is one."""
    return job.source if full_suffix(job.source) in NIFTI_SUFFIXES and job.source.is_file() else None
