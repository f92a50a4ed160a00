"""The adapter to SinSR's repository, beside a stand-in of the same layout and names."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation import sinsr_worker
from ctgrid.runs.evaluation.sinsr import AUTOENCODER, CONFIG, WEIGHTS, SinSR, SinSRSettings

CODE = """
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self, bias):
        super().__init__()
        self.bias = nn.Parameter(torch.full((1,), float(bias)))

class Diffusion:
    def __init__(self, sf):
        self.sf = sf

    def p_sample_loop(self, *, y, model, first_stage_model, clip_denoised, model_kwargs, one_step):
        assert one_step and not clip_denoised and model_kwargs["lq"] is y and not torch.is_grad_enabled()
        assert y.shape[:2] == (1, 3) and y.shape[2] % 64 == 0 and y.shape[3] % 64 == 0
        print("the real one prints")
        large = nn.functional.interpolate(y, scale_factor=self.sf)
        return large + model.bias + first_stage_model.bias + 0.01 * torch.randn_like(large)
"""
CONFIG_TEXT = """
model: {target: toy_sinsr.Network, params: {bias: 9}}
diffusion: {target: toy_sinsr.Diffusion, params: {sf: 4}}
autoencoder: {target: toy_sinsr.Network, params: {bias: 9}, use_fp16: true}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """Lay out a repository with weights as its trainer and its releases write them."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "weights").mkdir()
    (tmp_path / "toy_sinsr.py").write_text(CODE)
    (tmp_path / CONFIG).write_text(CONFIG_TEXT)
    torch.save({"module.bias": torch.tensor([0.1])}, tmp_path / WEIGHTS)
    torch.save({"state_dict": {"bias": torch.tensor([0.2]), "more": torch.ones(2)}}, tmp_path / AUTOENCODER)
    before = list(sys.path)
    yield tmp_path
    sys.path[:] = before
    sys.modules.pop("toy_sinsr", None)


def served(checkout: Path, *requests: dict[str, object]) -> list[dict[str, object]]:
    """Return what the worker answers, without a process of its own."""
    arguments = [str(checkout), str(checkout / WEIGHTS), str(checkout / AUTOENCODER), "cpu"]
    answers = io.StringIO()
    sinsr_worker.serve(io.StringIO("".join(json.dumps(r) + "\n" for r in requests)), answers, arguments)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_slices_are_enlarged_as_rgb_one_by_one(checkout: Path, tmp_path: Path) -> None:
    """Padded to 64 by reflection and cut again; the same noise for every slice, another for another seed."""
    images = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 40, 40)).astype(np.float32)
    np.save(tmp_path / "in.npy", np.stack([images[0], images[1], images[0]]))
    request = {"images": str(tmp_path / "in.npy"), "made": str(tmp_path / "a.npy"), "seed": 5}
    answers = served(checkout, request, {**request, "made": str(tmp_path / "b.npy"), "seed": 6})
    assert answers == [{"k": 4, "torch": torch.__version__}, {}, {}]
    made, other = np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy")
    assert made.shape == (3, 160, 160) and made.dtype == np.float32
    assert np.array_equal(made[0], made[2]) and not np.array_equal(made, other)
    wanted = images[1].repeat(4, axis=0).repeat(4, axis=1) + 0.3
    assert np.abs(made[1] - wanted).max() < 0.05


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        (WEIGHTS, {"other": torch.ones(1)}, "lacks 1 of the network's tensors, such as bias"),
        (AUTOENCODER, {"bias": torch.ones(2)}, "does not fit"),
        (AUTOENCODER, [1], "no checkpoint of tensors"),
        (CONFIG, "model: {}", "KeyError: 'diffusion'"),
    ],
)
def test_what_is_wrong_goes_back_in_one_line(checkout: Path, file: Path, content: object, words: str) -> None:
    if isinstance(content, str):
        (checkout / file).write_text(content)
    else:
        torch.save(content, checkout / file)
    (answer,) = served(checkout)
    assert words in str(answer["error"]) and "\n" not in str(answer["error"])


def test_slices_that_are_too_small_are_refused(checkout: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.zeros((1, 16, 16), np.float32))
    answers = served(checkout, {"images": str(tmp_path / "in.npy"), "made": str(tmp_path / "a.npy"), "seed": 0})
    assert "slices of 16 pixels are too small" in str(answers[1]["error"])


def test_files_are_looked_for_before_anything_starts(checkout: Path) -> None:
    """The factor is read; what is missing is named, with where to get it; hashes follow the files."""
    settings = SinSRSettings(checkout)
    assert settings.check() == 4
    facts = settings.facts()
    torch.save({"bias": torch.tensor([0.3])}, checkout / "mine.pth")
    assert SinSRSettings(checkout, checkout / "mine.pth").facts() != facts == settings.facts()
    for wrong, words in (
        (SinSRSettings(checkout / "no"), "is no checkout of SinSR"),
        (SinSRSettings(checkout, checkout / "no.pth"), "no.pth does not exist"),
        (SinSRSettings(checkout, python=checkout / "python"), "--sinsr-python names"),
    ):
        with pytest.raises(CtgridError, match=words):
            wrong.check()
    (checkout / CONFIG).write_text("diffusion: 3")
    with pytest.raises(CtgridError, match=r"names no diffusion\.params\.sf"):
        settings.check()


PYTHON = """#!{python}
import json, sys
assert sys.argv[1].endswith("sinsr_worker.py") and sys.argv[2:] == {arguments}, sys.argv
print(json.dumps({{"k": 4}}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["seed"] == 13:
        sys.exit("Traceback\\nNo module named 'timm'")
    from shutil import copyfile
    copyfile(request["images"], request["made"])
    print("{{}}", flush=True)
"""


@pytest.fixture
def python(checkout: Path) -> Path:
    """Return a stand-in for the Python of SinSR's environment, which gives back what it gets."""
    arguments = [str(checkout), str(checkout / WEIGHTS), str(checkout / AUTOENCODER), "auto"]
    path = checkout / "python"
    path.write_text(PYTHON.format(python=sys.executable, arguments=arguments))
    path.chmod(0o755)
    return path


def test_the_process_answers_and_ends(checkout: Path, python: Path) -> None:
    """Slices come back through files; the process is gone with the object, and when it fails, with its last word."""
    method = SinSR(SinSRSettings(checkout, python=python), seed=3)
    coarse = torch.rand(2, 1, 4, 4)
    assert method.k == 4 and torch.equal(method(coarse), coarse) and torch.equal(method(coarse), coarse)
    process = method._process
    del method
    assert process.returncode is not None
    failing = SinSR(SinSRSettings(checkout, python=python), seed=13)
    with pytest.raises(CtgridError, match=r"No module named 'timm'; it runs in the environment"):
        failing(coarse)
    with pytest.raises(CtgridError, match="cannot be started"):
        SinSR(SinSRSettings(checkout, python=checkout / CONFIG), seed=0)
