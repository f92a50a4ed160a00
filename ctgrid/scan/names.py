"""What an output is called where nobody named it: by what it is, and beside what it was made of."""

from __future__ import annotations

import re
from pathlib import Path

from ctgrid.base.documents import legible, name_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import check_folder, full_suffix
from ctgrid.scan.formats.kinds import DICOM_SUFFIXES, readable, writable

DENOISED = "_denoised"
"""Stands behind the name of a scan in that of its result."""

TRUST, CHANGED = "_trust", "_changed"
"""Stand behind a result's name in that of its map of trust; behind that, in that of what noise does not explain."""

_WRITTEN_AS = {".nhdr": ".nrrd", ".mhd": ".mha"}
_LONGEST_WORD = 80


def scan_name(path: Path) -> str:
    """Return a name without the suffix of a volume, an archive or a store; a folder of another kind keeps its dots."""
    suffix = full_suffix(path)
    removed = (".zarr",) if path.is_dir() else (*readable(), *DICOM_SUFFIXES, ".zarr")
    return (path.name[: -len(suffix)] if suffix in removed else "") or path.name


def plain_name(name: str) -> str:
    r"""Return a name that any file system, record and terminal holds: ``bad\xff`` becomes ``bad-xff``.

    Args:
        name: Made of file names of whatever bytes.
    """
    return name_of(re.sub(r"[\x00-\x1f\\]+", "-", legible(name)))


def written_suffix(source: Path) -> str:
    """Return the suffix of a result in its scan's own format; empty for DICOM, which is written as a folder."""
    suffix = "" if source.is_dir() else full_suffix(source)
    return suffix if suffix in writable() else _WRITTEN_AS.get(suffix, "")


def beside(source: Path, addition: str, suffix: str | None = None) -> Path:
    """Return the path of a result beside its source: ``scan.nii.gz`` and ``_denoised`` give ``scan_denoised.nii.gz``.

    Args:
        source: a file or folder, which need not exist.
        addition: behind its name.
        suffix: of the result; None takes :func:`written_suffix`.

    Raises:
        CtgridError: where ``source`` has no name to begin with, as the root of all folders.
    """
    named = source if source.name not in ("", "..") else source.resolve()
    if not named.name:
        raise CtgridError(f"{source} has no name that one for the output could be made of; name it with --out")
    return named.with_name(scan_name(named) + addition + (written_suffix(named) if suffix is None else suffix))


def model_word(model: str | Path) -> str:
    """Return a model as one word of a file name: ``embedded``, a folder's own name, ``owner-name`` of a hub's."""
    text = str(model)
    name = text.removeprefix("hub:") if text.startswith("hub:") else Path(text).resolve().name
    word = re.sub(r"[^\w.-]+", "-", name).strip("-._")
    return word[:_LONGEST_WORD] or "model"


def made_by(
    model: str | Path,
    stage1: str | Path | None = None,
    stage2: str | Path | None = None,
    codec: str | Path | None = None,
) -> str:
    """Return one word for a model some of whose parts may be replaced; one with both stages replaced is theirs."""
    replaced = [each for each in (stage1, stage2, codec) if each is not None]
    own = [model] if stage1 is None or stage2 is None else []
    return "-".join(model_word(each) for each in (*own, *replaced))


def numbered_name(word: str, count: int, what: str, seed: int | None = None) -> str:
    """Return the name, without suffix, of what is made from a seed: ``embedded_201slices_seed0``.

    Args:
        word: who made it, such as :func:`model_word`.
        count: of its slices or frames.
        what: ``slices`` or ``frames``.
        seed: it was made from; None gives the name of a folder of such.
    """
    return f"{word}_{count}{what}" + ("" if seed is None else f"_seed{seed}")


def numbered_outputs(word: str, slices: int, seed: int, count: int | None) -> tuple[list[Path], bool]:
    """Name the volumes by what they are: one in the working folder, several in a folder there.

    The folder's name holds no seed, so that a longer series, or one of other seeds, goes on in it.

    Args:
        word: for what makes them, such as :func:`made_by`.
        slices: of a volume.
        seed: of the first.
        count: of volumes; None for one.
    """
    names = [numbered_name(word, slices, "slices", seed + i) + ".nii.gz" for i in range(count or 1)]
    if count in (None, 1):
        return [Path(names[0])], False
    folder = Path(numbered_name(word, slices, "slices"))
    check_folder(folder)
    return [folder / name for name in names], True
