"""Where the parts of a model lie: in one folder, or in the training runs they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctgrid.base.documents import dict_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.base.record_place import RECORD
from ctgrid.scan.names import made_by
from ctgrid.stages.codecs.codec_files import codec_path, codec_weights
from ctgrid.stages.codecs.codecs import load_codec
from ctgrid.stages.models.manifest import digest_of
from ctgrid.stages.models.sources import EMBEDDED, describe_source, resolve_model

PARTS = ("codec", "stage1", "stage2")
GAPS, DETAIL = "gaps", "detail"
"""The optional parts: a stage 1 of its own for what lies between keyframes, and the network of the detail step."""

TRUST = "trust.json"
"""In its folder: how far its answers are off. No voxel of an answer depends on it."""


def model_folder(name: str | Path) -> Path:
    """Return the folder of a model with all its parts.

    Args:
        name: ``embedded``, a folder, or ``hub:owner/name[@revision]`` of a model fetched before.

    Raises:
        CtgridError: where it is not here or lacks a part.
    """
    folder = resolve_model(name)
    if not folder.is_dir():
        raise CtgridError(f"{folder}: no such model folder; use 'embedded' or a folder with {', '.join(PARTS)}")
    missing = [part for part in PARTS if not (folder / part / "config.json").exists()]
    if len(missing) == len(PARTS) and _is_part(folder):
        kind = _recipe(folder).get("kind")
        raise CtgridError(
            f"{folder}: this is {f'a training run of {kind}' if kind else 'a single part'}, not a whole model; put the "
            "parts together with ctgrid model pack, or give ctgrid synthesize the runs: --stage1 RUN --stage2 RUN"
        )
    if missing:
        raise CtgridError(f"{folder}: this model lacks {', '.join(missing)} (a folder with config.json and weights)")
    return folder


def part_folder(folder: str | Path, part: str = "codec") -> Path:
    """Return where a part's weights lie: in a named model, in ``model`` inside a training run, else the folder itself.

    Args:
        folder: the run or folder, or ``embedded`` or ``hub:owner/name[@revision]``.
        part: one of :data:`PARTS`.
    """
    if str(folder) == EMBEDDED or str(folder).startswith("hub:"):
        return codec_path(folder) if part == "codec" else resolve_model(folder) / part
    path = Path(folder)
    return path / "model" if (path / "model").is_dir() else path


@dataclass(frozen=True)
class Parts:
    """The folders, or files, of a model's parts.

    Attributes:
        name: of the whole, for records and file names.
        gaps: the stage 1 that fills gaps, where it is not the same.
        detail: the network of the detail step, where there is one.
        source: where they come from, for run records, all but the hashes.
        trained_on: (what, identity of the codec it was trained with), of what is known to have been.
    """

    name: str
    codec: Path
    stage1: Path
    stage2: Path
    gaps: Path | None = None
    detail: Path | None = None
    source: dict[str, Any] | None = None
    trained_on: tuple[tuple[Path, str], ...] = ()

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of the weights by ``PART/FILE``."""
        folders = {"stage1": self.stage1, "stage2": self.stage2, GAPS: self.gaps, DETAIL: self.detail}
        files = [(part, path) for part, folder in folders.items() if folder for path in folder.glob("*.safetensors")]
        codec = self.codec.glob("*.safetensors") if self.source is None else codec_weights(self.codec)
        files += [("codec", path) for path in codec]
        return dict(sorted((f"{part}/{path.name}", sha256_of(path)) for part, path in files))

    def describe(self, hashes: dict[str, str]) -> dict[str, Any]:
        """Return where they come from, for run records; see :func:`ctgrid.stages.models.sources.describe_source`."""
        if self.source is None:
            return describe_source(self.name, hashes)
        return {**self.source, "sha256": digest_of(hashes)}


def find_parts(
    model: str | Path = EMBEDDED,
    *,
    codec: str | Path | None = None,
    stage1: str | Path | None = None,
    stage2: str | Path | None = None,
) -> Parts:
    """Return a model's parts, some of which may be replaced by others.

    Args:
        model: as :func:`model_folder` takes it; looked at only for parts that are not given.
        codec: a training run, a folder or file of a codec, or a name; None takes the one that the stages given were
            trained with, else the model's.
        stage1: a training run, or a folder of stage 1.
        stage2: likewise of stage 2.

    Raises:
        CtgridError: where a part is missing.
    """
    given = {part: path for part, path in (("stage1", stage1), ("stage2", stage2)) if path is not None}
    if not given and codec is None:
        folder = model_folder(model)
        codec_folder, one, two = (folder / part for part in PARTS)
        return Parts(str(model), codec_folder, one, two, _optional(folder, GAPS), _optional(folder, DETAIL))
    found = {part: _stage(path, part) for part, path in given.items()}
    rest = [part for part in ("stage1", "stage2") if part not in found]
    own = _codec_of_runs(list(given.values())) if codec is None else codec
    base = model_folder(model) if rest or own is None else None
    if base is not None:
        found |= {part: base / part for part in rest}
    codec_folder = base / "codec" if own is None and base is not None else codec_path(str(own))
    source = {"kind": "parts", **{part: str(path) for part, path in {**found, "codec": codec_folder}.items()}}
    known = [(Path(run), _trained_on(Path(run))) for run in given.values()]
    if base is not None and rest and codec_folder != base / "codec":
        known.append((base, load_codec(base / "codec").identity))
    return Parts(
        name=made_by(model, stage1, stage2, codec),
        codec=codec_folder,
        stage1=found["stage1"],
        stage2=found["stage2"],
        gaps=_optional(base, GAPS) if base is not None and "stage1" in rest else None,
        detail=_optional(base, DETAIL) if base is not None and not given else None,
        source=source | ({"model": str(model)} if base is not None else {}),
        trained_on=tuple((run, identity) for run, identity in known if identity),
    )


def digest_of_model(name: str | Path, without: Sequence[str] = ()) -> str:
    """Return one hash over the configs and weights of a model, whichever parts it has.

    Args:
        name: as :func:`ctgrid.stages.models.sources.resolve_model` takes it.
        without: parts left out.
    """
    folder = resolve_model(name)
    files = [path for kind in ("*.safetensors", "*.json") for path in folder.glob(f"*/{kind}")]
    kept = [path for path in files if path.parent.name not in without and path.name not in (RECORD, TRUST)]
    return digest_of({path.relative_to(folder).as_posix(): sha256_of(path) for path in kept})


def _stage(path: str | Path, part: str) -> Path:
    """Return the folder of a stage that is given by itself, or as a whole model that has it."""
    folder = part_folder(path, part)
    if (folder / part / "config.json").exists():
        folder = folder / part
    if not (folder / "config.json").exists() or (folder.resolve() == Path(path).resolve() and _recipe(folder)):
        what = "does not exist" if not Path(path).exists() else "holds no trained weights"
        raise CtgridError(
            f"{path} {what}; --{part} takes the folder of a training run (with model/ inside) or of a part"
        )
    return folder


def _optional(model: Path, part: str) -> Path | None:
    return model / part if (model / part / "config.json").exists() else None


def _is_part(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("config.json", "model/config.json", "checkpoints"))


def _recipe(run: Path) -> dict[str, Any]:
    """Return the recipe that a training run was made by; empty for what is no run."""
    recipe = _read(run / "config.json")
    return recipe if "kind" in recipe and "optimisation" in recipe else {}


def _codec_of_runs(runs: Sequence[str | Path]) -> str | None:
    """Return the codec that training runs name in their recipes, the first of them that does."""
    for run in runs:
        recipe = _recipe(Path(run))
        part = recipe.get(str(recipe.get("kind")))
        if isinstance(part, dict) and isinstance(name := part.get("codec"), str) and name:
            try:
                codec_path(name)
            except CtgridError as error:
                raise CtgridError(
                    f"{run} was trained with the codec {name}, which is not here; name it with --codec"
                ) from error
            return str(name)
    return None


def _trained_on(run: Path) -> str | None:
    """Return the identity of the codec that a run was trained with, where it is known."""
    identity = _read(run / "data.json").get("codec")
    return identity if isinstance(identity, str) else None


def _read(path: Path) -> dict[str, Any]:
    return dict_of(path)
