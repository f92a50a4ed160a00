"""The worker beside SinSR's code: weights fitted, slices padded and cut, every failure one line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ctgrid.runs.evaluation import sinsr_worker
from ctgrid.runs.evaluation.sinsr_worker import Enlarger


def test_weights_are_found_whatever_else_the_file_holds(tmp_path: Path) -> None:
    wanted = nn.Linear(2, 3)
    state = {f"module.{key}": value for key, value in wanted.state_dict().items()}
    torch.save({"state_dict": state | {"more": torch.zeros(1)}, "step": 5}, tmp_path / "a.pth")
    found = sinsr_worker._filled(nn.Linear(2, 3), tmp_path / "a.pth")
    assert torch.equal(found.weight, wanted.weight) and torch.equal(found.bias, wanted.bias)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"weight": torch.zeros(3, 2)}, "lacks 1 of the network's tensors, such as bias"),
        ({"weight": torch.zeros(2, 2), "bias": torch.zeros(3)}, "does not fit: .*size mismatch"),
        ({"weight": 5}, "is no checkpoint of tensors"),
        ([1], "is no checkpoint of tensors"),
    ],
)
def test_other_weights_are_refused(held: Any, words: str, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=words):
        sinsr_worker._filled(nn.Linear(2, 3), tmp_path / "a.pth")


def test_slices_are_padded_by_reflection_and_cut_again() -> None:
    """The sampler sees multiples of 64; here it repeats pixels, so that the outcome is known."""
    seen: list[Tensor] = []

    def p_sample_loop(y: Tensor, **rest: Any) -> Tensor:
        seen.append(y)
        return y.repeat_interleave(4, -1).repeat_interleave(4, -2)

    enlarger = Enlarger.__new__(Enlarger)
    enlarger.diffusion, enlarger.network, enlarger.codec = SimpleNamespace(p_sample_loop=p_sample_loop), None, None
    enlarger.k, enlarger.device = 4, torch.device("cpu")
    image = torch.linspace(-1, 1, 40 * 40).reshape(40, 40)
    made = enlarger.enlarge(image[None].numpy(), seed=0)
    assert torch.allclose(torch.from_numpy(made[0, ::4, ::4]), image) and made.shape == (1, 160, 160)
    assert seen[0].shape == (1, 3, 64, 64) and torch.equal(seen[0][0, 0, 40, :40], image[38])
    with pytest.raises(ValueError, match="too small"):
        enlarger.sampled(torch.zeros(1, 3, 32, 32))


def test_a_failure_is_one_line(tmp_path: Path) -> None:
    answers = io.StringIO()
    sinsr_worker.serve(io.StringIO(""), answers, [str(tmp_path), "a", "b", "cpu"])
    (line,) = answers.getvalue().splitlines()
    assert json.loads(line)["error"].startswith("FileNotFoundError: ")
