"""``import ctgrid``: light, and its two calls are the two commands."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import ctgrid
from ctgrid_cli import app

AFFINE = np.diag([-0.9, -0.9, 2.5, 1.0])


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Run ``ctgrid ARGS`` in an empty folder; it must succeed."""
    monkeypatch.chdir(tmp_path)

    def run(*args: object) -> Result:
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return result

    return run


def test_denoise_is_the_command(
    command: Callable[..., Result], detailed_model: Path, chest: Callable[..., np.ndarray]
) -> None:
    """With nothing said: the same method, the same voxels, from a path and from a volume."""
    hu = chest((18, 64, 64), noise_hu=60)
    hu[:, :4, :4], hu[9, 30:34, 30:34] = -2000, 2500  # padding and metal, which method grid would lose
    path = ctgrid.Volume(hu, AFFINE).write("in.nii.gz")
    command("denoise", path, "--model", detailed_model)
    written = ctgrid.Volume.read("in_denoised.nii.gz")
    model = str(detailed_model)
    for given in (path, ctgrid.Volume.read(path)):
        made = ctgrid.denoise(given, model=model)
        assert np.array_equal(made.hu, written.hu) and np.array_equal(made.affine, written.affine)
    assert made.record["denoising"]["method"] == "grid-detail"
    assert (made.hu[:, :4, :4] == -2000).all() and made.hu.max() > 1500
    assert not np.array_equal(made.hu, hu)


def test_synthesize_is_the_command(command: Callable[..., Result], tiny_model: Path) -> None:
    """The same voxels and affine, and a record that says how."""
    command("synthesize", "--slices", 9, "--seed", 3, "--model", tiny_model)
    written = ctgrid.Volume.read(f"{tiny_model.name}_9slices_seed3.nii.gz")
    made = ctgrid.synthesize(slices=9, seed=3, model=str(tiny_model))
    assert isinstance(made, ctgrid.Volume) and made.shape == (9, 64, 64)
    assert np.array_equal(made.hu, written.hu) and np.allclose(made.affine, written.affine, atol=1e-4)
    record = json.loads(Path(f"{tiny_model.name}_9slices_seed3.run.json").read_text(encoding="utf-8"))
    assert made.record["settings"] == {k: record["settings"][k] for k in made.record["settings"] if k != "seed"} | {
        "seed": 3
    }
    assert made.record["settings"]["size"] == 64 and made.record["model"]["files"] == record["model"]["files"]


def test_defaults_of_the_calls_are_those_of_the_commands() -> None:
    """Whatever a command takes if nothing is said, the call takes too."""
    import inspect

    from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
    from ctgrid.methods.synthesis.settings import Settings
    from ctgrid_cli import synthesize

    told = {name: p.default for name, p in inspect.signature(synthesize.command).parameters.items()}
    for call in (ctgrid.synthesize, SynthesisPipeline.generate, SynthesisPipeline.load, Settings):
        for name, parameter in inspect.signature(call).parameters.items():
            if name in told and parameter.default is not inspect.Parameter.empty:
                assert parameter.default == told[name], f"{call.__qualname__}: {name}"


def test_evaluations_take_what_their_commands_take() -> None:
    """Every measurement that is a command is a call with the command's defaults."""
    import inspect

    from ctgrid.runs.evaluation.denoising_plan import Evaluation, quick_methods
    from ctgrid.runs.evaluation.fidelity.evaluate import FidelityPlan
    from ctgrid.runs.evaluation.super_resolution import Comparison
    from ctgrid_cli import ablation, ceiling, evaluate, evaluate_super_resolution, evaluate_volumes

    pairs = (
        (evaluate.denoising, Evaluation, ctgrid.evaluate_denoising),
        (evaluate.nodules, Evaluation, ctgrid.evaluate_nodules),
        (evaluate_super_resolution.command, Comparison, ctgrid.evaluate_super_resolution),
        (evaluate_volumes.command, FidelityPlan, ctgrid.evaluate_volumes),
        (ceiling.command, ctgrid.codec_ceiling, ctgrid.codec_ceiling),
        (ablation.command, ctgrid.run_ablation, ctgrid.run_ablation),
    )
    for command, *calls in pairs:
        told = {name: p.default for name, p in inspect.signature(command).parameters.items()}
        compared = 0
        for call in calls:
            for name, parameter in inspect.signature(call).parameters.items():
                own = parameter.default
                if name in told and own is not inspect.Parameter.empty and told[name] not in (None, ()):
                    compared += 1
                    if name != "measures":  # a text there that is split, and names here
                        assert own == told[name], f"{call.__qualname__}: {name}"
        assert compared, command.__qualname__
    assert Evaluation(()).methods == quick_methods()


def test_importing_is_light() -> None:
    """Nothing heavy until it is used; and looking at the methods reads no model from the disk."""
    code = """
import sys, time
start = time.perf_counter()
import ctgrid
seconds = time.perf_counter() - start
assert {"CtgridError", "Volume", "denoise", "synthesize"} <= set(ctgrid.__all__) <= set(dir(ctgrid))
heavy = {"torch", "numpy", "diffusers", "nibabel", "monai", "SimpleITK", "scipy", "PIL"} & set(sys.modules)
assert not heavy, heavy
assert seconds < 2, seconds  # 0.01 s; wide, because test machines are busy
from ctgrid.stages.models import sources
def refuse(name): raise AssertionError("read at import")
sources.resolve_model = refuse
import ctgrid.methods.denoising.methods, ctgrid.runs.evaluation.denoising
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_names_that_others_build_on() -> None:
    """They stay where they are."""
    from ctgrid.denoising import estimate_noise
    from ctgrid.diffusion import sample, training_loss
    from ctgrid.grid import from_grid, to_grid
    from ctgrid.metrics import flicker
    from ctgrid.models import build_dit, load_dit
    from ctgrid.preprocess import generatect

    names = (estimate_noise, sample, training_loss, build_dit, load_dit, to_grid, from_grid, generatect, flicker)
    assert all(map(callable, names))


@pytest.mark.parametrize(
    "face",
    [
        "",
        *[
            ".base",
            ".scan",
            ".data",
            ".stages",
            ".methods",
            ".runs",
            ".runs.results",
            ".grid",
            ".preprocess",
            ".models",
            ".diffusion",
            ".denoising",
            ".metrics",
        ],
    ],
)
def test_every_name_of_a_face_is_there(face: str) -> None:
    module = importlib.import_module(f"ctgrid{face}")
    assert module.__all__
    for name in module.__all__:
        assert getattr(module, name) is not None, name
