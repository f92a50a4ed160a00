"""In which number format networks compute: decided here, by what the hardware multiplies in.

Where a processor has no instructions for a format, its products are written out in others: bfloat16 then takes 4 times
(AVX512 without BF16) to 350 times (AVX2) as long as float32.
"""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from ctgrid.base.errors import CtgridError, CtgridWarning

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

Precision = Literal["no", "bf16", "fp16"]
"""Mixed precision of training, under the names that accelerate gives it."""

RECIPE_DTYPES: dict[Precision, torch.dtype] = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

INSTRUCTIONS = {torch.bfloat16: ("bf16", "avx512_bf16"), torch.float16: ("fp16", "avx512_fp16")}
"""oneDNN's name of a format, and that of an x86 processor's instructions for it."""


def multiplies_in(dtype: torch.dtype, device: torch.device) -> bool:
    """Tell whether the hardware itself multiplies in a format."""
    if dtype == torch.float32:
        return True
    if device.type == "cuda":  # torch's own is_bf16_supported() counts emulation
        newer = torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
        return dtype == torch.float16 or newer
    if device.type == "cpu":
        return _processor_multiplies_in(dtype)
    return dtype == torch.float16


def _processor_multiplies_in(dtype: torch.dtype) -> bool:
    """Ask oneDNN, which may use less than there is, and the processor: oneDNN also says yes where it emulates."""
    if not onednn_knows(dtype):
        return False
    there: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(there.get(INSTRUCTIONS[dtype][1], there.get("architecture") != "x86_64"))


def onednn_knows(dtype: torch.dtype) -> bool:
    """Tell whether oneDNN has bfloat16 or float16, be they emulated: on x86 processors it has those with AVX512."""
    return bool(getattr(torch.ops.mkldnn, f"_is_mkldnn_{INSTRUCTIONS[dtype][0]}_supported", lambda: False)())


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the format named, or for ``auto`` the quickest that networks keep their quality in.

    That is bfloat16 where the hardware multiplies in it; else float16 on CUDA GPUs and float32 elsewhere. A format
    named that would crawl is taken, with a :class:`ctgrid.base.errors.CtgridWarning`.

    Raises:
        CtgridError: for an unknown name.
    """
    if name == "auto":
        if device.type != "mps" and multiplies_in(torch.bfloat16, device):
            return torch.bfloat16
        return torch.float16 if device.type == "cuda" else torch.float32
    if name not in DTYPES:
        raise CtgridError(f"dtype {name!r} is unknown; use auto, {', '.join(DTYPES)}")
    return _noticed(DTYPES[name], device, "--dtype auto")


def choose_precision(name: str, device: torch.device, sharded: bool = False) -> Precision:
    """Return the mixed precision of training named, or for ``auto`` what :func:`choose_dtype` chooses.

    Args:
        name: ``auto`` or a :data:`Precision`.
        device: trained on.
        sharded: the weights are shared out, which goes without fp16.

    Raises:
        CtgridError: for fp16 anywhere but on a CUDA GPU, which alone trains with scaled losses.
    """
    if name == "auto":
        dtype = choose_dtype("auto", device)
        found = next(key for key, value in RECIPE_DTYPES.items() if value == dtype)
        return "no" if sharded and found == "fp16" else found
    if name == "fp16" and device.type != "cuda":
        raise CtgridError(f"optimisation.precision 'fp16' trains on CUDA GPUs only, not on {device.type}; use auto")
    chosen = next(key for key in RECIPE_DTYPES if key == name)
    _noticed(RECIPE_DTYPES[chosen], device, "optimisation.precision=auto")
    return chosen


def recipe_dtype(precision: str) -> torch.dtype:
    """Return the format that a training multiplies in; its precision must have been decided."""
    return {str(key): dtype for key, dtype in RECIPE_DTYPES.items()}[precision]


def available(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """Return a format where the device multiplies in it, else float32: for work beside what was asked for."""
    return dtype if multiplies_in(dtype, device) else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Return the context in which networks compute in ``dtype`` with float32 weights."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype)


def _noticed(dtype: torch.dtype, device: torch.device, instead: str) -> torch.dtype:
    """Return the format; warn where it would crawl."""
    if not multiplies_in(dtype, device):
        name = str(dtype).removeprefix("torch.")
        what = "processor" if device.type == "cpu" else "GPU"
        message = f"this {what} does not multiply in {name}: many times slower than float32; {instead} avoids it"
        warnings.warn(message, CtgridWarning, stacklevel=3)
    return dtype
