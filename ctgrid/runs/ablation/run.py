"""An ablation from its name and a folder of volumes to results: every variant and seed, one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctgrid.base.causes import reading
from ctgrid.base.documents import as_json, json_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.extras import require
from ctgrid.base.files import atomic_output
from ctgrid.base.progress import Progress, silent
from ctgrid.methods.training.config import TrainConfig
from ctgrid.runs.ablation.bench import VariantBench
from ctgrid.runs.ablation.data import read_volumes
from ctgrid.runs.ablation.spec import Ablation, grid_of, load_ablation
from ctgrid.stages.codecs.codecs import load_codec

RESULTS = "results.json"


def run_ablation(
    name: str | Path,
    data: Path,
    out: Path,
    *,
    split: str | None = None,
    seeds: int | None = None,
    max_steps: int | None = None,
    overrides: dict[str, Any] | None = None,
    resume: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train, sample and measure an ablation's variants; results are on disk after every one of them.

    Args:
        name: of a shipped ablation, or a YAML file.
        data: folder of volumes or a store; all volumes chosen are held in memory.
        out: folder of runs, samples and ``results.json``; made where its parent exists.
        split: see :func:`ctgrid.runs.ablation.data.read_volumes`.
        seeds: trainings of each variant, instead of the ablation's.
        max_steps: see :func:`ctgrid.methods.training.run.train`.
        overrides: dotted keys of every variant's recipe to values.
        resume: keep what is done, and go on.
        progress: called with (phase, done, total).

    Returns:
        What ``results.json`` holds.

    Raises:
        CtgridError: for a wrong ablation or data, or a folder that holds another one.
    """
    ablation = load_ablation(name)
    check_out(out, resume)
    recipes = {variant.name: ablation.recipe(variant, overrides) for variant in ablation.variants}
    check_alike(ablation, recipes)
    first = next(iter(recipes.values()))
    require("accelerate")
    volumes = read_volumes(data, first, split, progress)
    bench = VariantBench.open(ablation, first, volumes, out, max_steps, progress)
    rows = read_rows(out) if resume else []
    done: list[dict[str, Any]] = []
    for seed in range(ablation.seeds if seeds is None else seeds):
        for variant in ablation.variants:
            case = bench.case(variant, recipes[variant.name], seed)
            row = next((row for row in rows if row["case"] == case), None)
            row = row or bench.row(variant, recipes[variant.name], seed, case)
            done.append(row)
            results = bench.results(str(name), done, seeds)
            with atomic_output(out / RESULTS, overwrite=True) as temporary:
                temporary.write_text(as_json(results, 1) + "\n", encoding="utf-8")
    return results


def check_out(out: Path, resume: bool) -> None:
    """Make sure that an ablation can be started or gone on with in a folder.

    Raises:
        CtgridError: where its parent is missing, or it holds something.
    """
    if not out.parent.is_dir():
        raise CtgridError(f"{out.parent}: this folder does not exist; create it first")
    if out.exists() and not out.is_dir():
        raise CtgridError(f"{out}: is a file; an ablation needs a folder, choose another --out")
    if (out / "runs").exists() and not resume:
        raise CtgridError(f"{out}: holds an ablation already; pass --resume to go on with it, or choose another --out")


def check_alike(ablation: Ablation, recipes: dict[str, TrainConfig]) -> None:
    """Refuse variants that cannot be compared, before anything is read.

    Raises:
        CtgridError: naming what differs, or a plan that cannot be followed.
    """
    for variant in ablation.variants:
        recipe = grid_of(recipes[variant.name])
        sampling = ablation.sampling_of(variant)
        sampling.plan(recipe.slices, recipe.k)
        if sampling.schedule == "hierarchical" and not recipe.network.get("absolute_z"):
            raise CtgridError(f"variant {variant.name}: schedule 'hierarchical' needs stage1.network.absolute_z")
        try:
            codec = load_codec(recipe.codec)
        except CtgridError as error:
            first = f"; {ablation.first} makes one" if ablation.first else ""
            raise CtgridError(f"variant {variant.name}: its codec cannot be used: {error}{first}") from error
        if codec.grid_side is not None and len(sampling.plan(recipe.slices, recipe.k)) > 1:
            raise CtgridError(
                f"variant {variant.name}: codec {recipe.codec} makes clips of {codec.grid_side**2} slices, which "
                f"cannot be gone on with: set sampling.slices to {codec.grid_side**2}"
            )
    for key in ("size", "slices", "fov_mm"):
        values = {getattr(grid_of(recipe), key) for recipe in recipes.values()}
        if len(values) > 1:
            raise CtgridError(f"the variants' stage1.{key} differ ({', '.join(map(str, values))}): nothing to compare")


def read_rows(out: Path) -> list[dict[str, Any]]:
    """Return the rows of an ablation that was stopped; none where it had not come so far.

    Raises:
        CtgridError: where the file holds something else.
    """
    path = out / RESULTS
    if not path.exists():
        return []
    what, remedy = "the results of an ablation", "remove it, or choose another --out"
    content = json_of(path, what, remedy)
    with reading(path, what, remedy):
        return [row for row in content["rows"] if isinstance(row["case"], str)]
