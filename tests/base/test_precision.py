"""In which number format networks compute, and the same tests on the other kind of processor."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from ctgrid.base import precision
from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.base.precision import autocast, available, choose_dtype, choose_precision, multiplies_in
from ctgrid.methods.pipeline import cast_weights
from ctgrid.stages.models.bundle import load_bundle

CPU, CUDA, MPS = (torch.device(name) for name in ("cpu", "cuda", "mps"))
SWITCH = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
"""Makes oneDNN, which multiplies, and torch's own kernels do without AVX512 and AMX, as on a processor of 2021."""

pytestmark = pytest.mark.precision


@pytest.fixture(params=[True, False], ids=["bf16", "no-bf16"])
def fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A processor that multiplies in 16 bits, and one that does not."""
    monkeypatch.setattr(precision, "_processor_multiplies_in", lambda dtype: request.param)
    return bool(request.param)


def graphics(monkeypatch: pytest.MonkeyPatch, generation: int) -> None:
    """Let CUDA GPUs be of a generation: 7 before bfloat16, 8 with it."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (generation, 0))


def test_formats_by_name_and_by_hardware(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bfloat16 where it is fast; float16 on older GPUs; float32 on other processors and on Apple's GPUs."""
    assert choose_dtype("float32", CPU) == torch.float32
    assert choose_dtype("auto", CPU) == (torch.bfloat16 if fast else torch.float32)
    assert choose_precision("auto", CPU) == ("bf16" if fast else "no")
    assert choose_dtype("auto", MPS) == torch.float32 and choose_precision("auto", MPS) == "no"
    for generation, dtype, name in ((7, torch.float16, "fp16"), (8, torch.bfloat16, "bf16")):
        graphics(monkeypatch, generation)
        assert choose_dtype("auto", CUDA) == dtype and choose_precision("auto", CUDA) == name
    graphics(monkeypatch, 7)
    assert choose_precision("auto", CUDA, sharded=True) == "no"
    with pytest.raises(CtgridError, match="'half' is unknown; use auto, float32, bfloat16, float16"):
        choose_dtype("half", CPU)


def test_a_wish_that_would_crawl_is_followed_with_a_warning(fast: bool) -> None:
    """Of one line that says what to ask for instead; work beside it takes float32 without a word."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert choose_dtype("bfloat16", CPU) == torch.bfloat16
        assert choose_precision("bf16", CPU) == "bf16"
        assert (choose_dtype("float32", CPU), choose_precision("no", CPU)) == (torch.float32, "no")
        assert available(torch.bfloat16, CPU) == (torch.bfloat16 if fast else torch.float32)
    words = [str(entry.message) for entry in caught if entry.category is CtgridWarning]
    assert len(words) == (0 if fast else 2) and all("\n" not in text for text in words)
    if not fast:
        assert "does not multiply in bfloat16" in words[0] and "--dtype auto" in words[0]
        assert "optimisation.precision=auto" in words[1]


def test_scaled_losses_need_a_cuda_gpu() -> None:
    """Accelerate has them nowhere else."""
    for device in (CPU, MPS):
        with pytest.raises(CtgridError, match=f"'fp16' trains on CUDA GPUs only, not on {device.type}; use auto"):
            choose_precision("fp16", device)


def test_a_processor_is_asked_besides_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    """With AVX512 alone oneDNN says that it can, by products in float32; both must agree, on x86."""
    told = {"architecture": "x86_64", "avx512_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    for can in (True, False):
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda can=can: can)
        assert not multiplies_in(torch.bfloat16, CPU)
        told["avx512_bf16"] = True
        assert multiplies_in(torch.bfloat16, CPU) == can
        told["avx512_bf16"] = False
    told.clear()
    told["architecture"] = "aarch64"
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert multiplies_in(torch.bfloat16, CPU)


def test_autocast_multiplies_in_the_precision_chosen() -> None:
    """float32 leaves everything as it is."""
    ones = torch.ones(2, 2)
    for dtype in (torch.float32, torch.bfloat16):
        with autocast(CPU, dtype):
            assert (ones @ ones).dtype == dtype


def test_weights_cast_once_give_what_autocast_gives(tiny_model: Path) -> None:
    """To the bit, positions and residuals staying in float32."""
    model = load_bundle(str(tiny_model)).stage1
    latent = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    arguments = (latent, torch.tensor([10, 700]))
    z_index = torch.arange(32.0).view(2, 16)
    with torch.no_grad(), autocast(CPU, torch.bfloat16):
        expected = model(*arguments, z_index=z_index)
        cast_weights(model, torch.bfloat16)
        assert torch.equal(model(*arguments, z_index=z_index), expected)
    assert model.pos_embed.dtype == torch.float32 and model.blocks[0].mlp.fc1.weight.dtype == torch.bfloat16


def test_under_the_switch_nothing_multiplies_in_bfloat16() -> None:
    """What the tests of the other kind of processor rest on."""
    if os.environ.get("ONEDNN_MAX_CPU_ISA") != SWITCH["ONEDNN_MAX_CPU_ISA"]:
        pytest.skip("runs inside test_tests_of_precision_pass_on_the_other_kind_of_processor")
    assert not multiplies_in(torch.bfloat16, CPU) and choose_dtype("auto", CPU) == torch.float32
    assert torch.backends.cpu.get_cpu_capability() == "AVX2"


@pytest.mark.slow
def test_tests_of_precision_pass_on_the_other_kind_of_processor() -> None:
    """All tests marked ``precision`` again, where oneDNN and torch may not use what this processor has for bfloat16."""
    if any(name in os.environ for name in SWITCH):
        pytest.skip("the switch is on already")
    if platform.machine() not in ("x86_64", "AMD64") or not multiplies_in(torch.bfloat16, CPU):
        pytest.skip("this processor has no bfloat16 that could be switched off; the tests ran on the other kind")
    here = Path(__file__).parents[1]
    marked = [str(path) for path in sorted(here.rglob("test_*.py")) if "mark.precision" in path.read_text("utf-8")]
    assert len(marked) >= 4
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    options = ["-m", "precision", "-q", "-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *marked],
        env={**plain, **SWITCH},
        cwd=here.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert " passed" in done.stdout.splitlines()[-1]
