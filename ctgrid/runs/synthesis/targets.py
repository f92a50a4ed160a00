"""What the volumes and movies of a synthesis are called, and where their pictures go."""

from __future__ import annotations

from pathlib import Path

from ctgrid.base.files import check_folder, check_suffix, full_suffix
from ctgrid.runs.synthesis.settings import SynthesisRequest
from ctgrid.scan.formats.kinds import NIFTI_SUFFIXES
from ctgrid.scan.names import made_by, numbered_name, numbered_outputs


def plan_outputs(out: Path | None, request: SynthesisRequest) -> tuple[list[Path], bool]:
    """Name the volumes: ``out`` itself; or with a count numbered files in a folder or beside a name.

    Returns:
        The files, and whether they are a series that a manifest lists.

    Raises:
        CtgridError: where the name is not that of a NIfTI file, or a folder cannot be made.
    """
    count = request.count
    if out is None:
        return numbered_outputs(_maker(request), request.how.slices, request.seed, count)
    stem, suffix = stem_and_suffix(out)
    if count is None or (count == 1 and suffix):
        check_suffix(out, NIFTI_SUFFIXES, "a volume")
        return [out], False
    digits = max(4, len(str(count - 1)))
    if suffix:
        return [out.with_name(f"{stem}_{i:0{digits}d}{suffix}") for i in range(count)], True
    check_folder(out)
    return [out / f"volume_{i:0{digits}d}.nii.gz" for i in range(count)], True


def plan_movies(out: Path | None, request: SynthesisRequest, frames: int) -> list[Path]:
    """Name movies: ``out`` itself, numbered where there are several; else in the working folder by what they are."""
    count = request.count or 1
    if out is None:
        word = _maker(request)
        return [Path(numbered_name(word, frames, "frames", request.seed + i) + ".mp4") for i in range(count)]
    return [out] if count == 1 else [out.with_name(f"{out.stem}_{i:04d}{out.suffix}") for i in range(count)]


def picture_path(path: Path) -> Path:
    """Return the picture's path: the volume's with ``.png`` for ``.nii`` or ``.nii.gz``."""
    return path.with_name(stem_and_suffix(path)[0] + ".png")


def stem_and_suffix(path: Path) -> tuple[str, str]:
    """Split a file name into stem and NIfTI suffix, the latter empty where it has none."""
    suffix = full_suffix(path)
    if suffix not in NIFTI_SUFFIXES:
        return path.name, ""
    return path.name[: -len(suffix)], suffix


def _maker(request: SynthesisRequest) -> str:
    """Return a word for what makes the volumes."""
    loading = request.loading
    return made_by(loading.model, loading.stage1, loading.stage2, loading.codec)
