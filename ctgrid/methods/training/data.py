"""The data of a run: a folder of scans or a store, the volumes chosen from it, and its identity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from ctgrid.base.causes import reading
from ctgrid.base.documents import as_json, json_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output
from ctgrid.base.privacy import hides, without_paths
from ctgrid.base.progress import Progress, silent
from ctgrid.data.store.splits import select_volumes
from ctgrid.data.volumes import check_excluded, find_volumes, load_volumes
from ctgrid.methods.training.recipes import CodecRecipe, DetailRecipe, DiffusionRecipe, GridRecipe, RefineRecipe
from ctgrid.methods.training.volumes import TrainingData

if TYPE_CHECKING:
    from ctgrid.data.store import Store

DATA_FILE = "data.json"
"""What a run was trained on, beside its config."""

Recipe = CodecRecipe | GridRecipe | RefineRecipe | DetailRecipe
KINDS = {CodecRecipe: "codec", GridRecipe: "stage1", RefineRecipe: "stage2", DetailRecipe: "detail"}


@dataclass(frozen=True)
class Selection:
    """Which volumes of a folder or store a run takes.

    Attributes:
        path: the folder or store.
        exclude: names left out; each must be there, but for those that a shipped recipe names.
        split: see :func:`ctgrid.data.store.splits.select_volumes`.
        fraction: percent of the patients, likewise.
        part: of a published split of video clips, instead of the recipe's.
        metadata: the collection's tables, for a folder of scans that hold stored values.
    """

    path: Path
    exclude: tuple[str, ...] = ()
    split: str | None = None
    fraction: float | None = None
    part: Literal["train", "test"] | None = None
    metadata: tuple[Path, ...] = ()

    def choose(self, recipe: Recipe) -> list[Path]:
        """Return the scans or the stored volumes' folders that are chosen, without opening them.

        Raises:
            CtgridError: where there are none, or the store was not made for this recipe.
        """
        if is_video(recipe):
            from ctgrid.methods.training.video import choose_clips

            return [clip.path for clip in choose_clips(recipe, **vars(self))]  # type: ignore[arg-type]
        return list(self.volumes(recipe))

    def volumes(self, recipe: Recipe) -> dict[Path, str]:
        """Return the chosen volumes, no video clips, with their names.

        Raises:
            CtgridError: as :meth:`choose`.
        """
        from ctgrid.data.store import Store, is_store

        own = tuple(name for name in self.exclude if name not in excluded_by_shipped())
        if is_store(self.path):
            store = Store.open(self.path)
            check_settings(store, recipe)
            paths = [store.path / name for name in store.names()]
            if not paths:
                raise CtgridError(f"{self.path}: this store holds no volume yet; fill it with ctgrid prepare")
            check_excluded(own, [p.name for p in paths], self.path)
            name_of = {path: path.name for path in paths if path.name not in self.exclude}
        else:
            name_of = {case.path: case.name for case in find_volumes(self.path, self.exclude, own)}
        chosen = set(select_volumes(set(name_of.values()), self.split, self.fraction))
        if not chosen:
            raise CtgridError(f"{self.path}: every volume here is excluded by the recipe; leave one")
        return {path: name for path, name in name_of.items() if name in chosen}

    def held_out(self, recipe: Recipe) -> Selection | None:
        """Return the part ``valid`` of the split whose part ``train`` this is; None where there is none.

        Of video clips without ``--split`` it is the published part ``test``.
        """
        if is_video(recipe) and self.split is None:
            return self._if_there(replace(self, part="test"), recipe) if recipe.video.part == "train" else None  # type: ignore[union-attr]
        file, colon, part = (self.split or "").rpartition(":")
        if not colon or part != "train":
            return None
        return self._if_there(replace(self, split=f"{file}:valid", fraction=None), recipe)

    @staticmethod
    def _if_there(other: Selection, recipe: Recipe) -> Selection | None:
        try:
            other.choose(recipe)
        except CtgridError:
            return None
        return other


def is_video(recipe: Recipe) -> bool:
    """Whether a recipe trains on video clips instead of CT volumes."""
    return getattr(recipe, "video", None) is not None


@cache
def excluded_by_shipped() -> frozenset[str]:
    """Return the volumes that shipped recipes leave out: of the data they were made for, seldom of the user's."""
    recipes = (file for file in files("ctgrid_configs").iterdir() if file.name.endswith(".yaml"))
    contents = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in recipes)
    return frozenset(name for content in contents for name in content.get("exclude", ()))


def open_data(selection: Selection, recipe: Recipe, progress: Progress = silent) -> TrainingData:
    """Read a folder's scans, or look a store's volumes over without reading them.

    Raises:
        CtgridError: as :meth:`Selection.choose`, or where a volume cannot be read or is damaged.
    """
    from ctgrid.data.store import Store, is_store
    from ctgrid.scan.hu.metadata import MetadataTable

    if is_video(recipe):
        from ctgrid.methods.training.video import open_videos

        return open_videos(recipe, progress=progress, **vars(selection))  # type: ignore[arg-type]
    chosen = selection.volumes(recipe)
    facts: dict[str, Any] = {"path": str(selection.path), "split": selection.split, "fraction": selection.fraction}
    if not is_store(selection.path):
        table = MetadataTable.read_all(selection.metadata)
        facts["metadata"] = [str(path) for path in selection.metadata]
        scans = load_volumes(list(chosen), recipe.size, progress, list(chosen.values()), table)
        return TrainingData(scans, {scan.name: scan.digest()[:32] for scan in scans}, None, {"kind": "folder", **facts})
    from ctgrid.data.stored import in_parallel, stored_volumes

    if selection.metadata:
        raise CtgridError(f"{selection.path}: a store holds HU already; leave --metadata out")
    store = Store.open(selection.path)
    volumes = stored_volumes(store, list(chosen.values()))
    needed = ("coarse",) if isinstance(recipe, GridRecipe) else ("slices", "coarse")
    digests = in_parallel(lambda volume: volume.digest(needed)[:32], volumes, "looking volumes over", progress)
    named = {volume.name: digest for volume, digest in zip(volumes, digests, strict=True)}
    if isinstance(recipe, DetailRecipe):  # trains on whole volumes
        held = in_parallel(lambda volume: volume.in_memory(), volumes, "reading volumes", progress)
        return TrainingData(held, named, store, {"kind": "store", **facts})
    return TrainingData(volumes, named, store, {"kind": "store", **facts})


def check_settings(store: Store, recipe: Recipe) -> None:
    """Refuse a store whose slices are not those of the recipe.

    Raises:
        CtgridError: naming the recipe's key and both values.
    """
    settings, kind = store.settings, KINDS[type(recipe)]
    wanted = {"size": settings.size}
    if isinstance(recipe, DiffusionRecipe):
        wanted["k" if recipe.scale is None else "scale"] = settings.k
    if isinstance(recipe, GridRecipe):
        wanted["slices"] = settings.slices
    for key, value in wanted.items():
        if getattr(recipe, key) != value:
            raise CtgridError(
                f"{store.path} was made with {key} {value}, the recipe's {kind}.{key} is {getattr(recipe, key)}; "
                f"pass --set {kind}.{key}={value}, or prepare another store"
            )


def check_same_data(out: Path, data: TrainingData, codec: str | None) -> None:
    """Refuse to resume a run on data that are not those it was started with.

    Args:
        out: the run's folder.
        data: what it would go on with.
        codec: identity of the codec that makes its latents.

    Raises:
        CtgridError: naming what differs. Runs without a record of their data are let through.
    """
    path = out / DATA_FILE
    if not path.exists():
        return
    what, remedy = "the record of a run's data", "remove it, or start another run"
    before = json_of(path, what, remedy)
    with reading(path, what, remedy):
        digests = dict(before["volumes"])
    now = data.digests
    changed = sorted(name for name in digests.keys() | now.keys() if digests.get(name) != now.get(name))
    if changed:
        shown = ", ".join(changed[:3]) + (", …" if len(changed) > 3 else "")
        raise CtgridError(
            f"{out}: cannot resume, {len(changed)} volume(s) of the data are others than the run was started with "
            f"({shown}); give the same --data, --split and --fraction, or another --out"
        )
    if before.get("codec") not in (None, codec):
        raise CtgridError(
            f"{out}: cannot resume, the codec has other weights than the run was started with; "
            "give the same codec, or another --out"
        )


def write_data_record(out: Path, data: TrainingData, codec: str | None) -> None:
    """Write what a run is trained on: names with hashes, and the codec's identity."""
    content: dict[str, Any] = {**data.facts, "codec": codec}
    content = {**(without_paths(content) if hides() else content), "volumes": data.digests}
    with atomic_output(out / DATA_FILE, overwrite=True) as temporary:
        temporary.write_text(as_json(content, 1) + "\n", encoding="utf-8")
