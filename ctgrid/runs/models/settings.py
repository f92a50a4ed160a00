"""What is asked of the commands ``ctgrid model``: the same for Python and the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import Checked, Setting
from ctgrid.base.usual import OUTPUT, WHAT, BatchSize, Device, Offline, Overwrite, Seed
from ctgrid.scan.reading import Hu

Half = Annotated[bool, Setting("Store weights in 16 bits, half the size.", panel=OUTPUT)]
Heads = Annotated[int | None, Setting("Attention heads, where nothing tells.", least=1)]
Hashes = Annotated[
    tuple[str, ...],
    Setting("The hash that a file must have; repeatable.", metavar="FILE=HASH", flag="--sha256"),
]
HashFile = Annotated[Path | None, Setting("Hashes as sha256sum or ctgrid writes them.", metavar="FILE")]


def read_slices(text: str) -> slice:
    """Read Python's ``A:B:STEP``, parts of which may be missing, or one number.

    Raises:
        CtgridError: for anything else.
    """
    match = re.fullmatch(r"(-?\d+)|(-?\d*):(-?\d*)(?::(-?\d*))?", text)
    if match is None:
        raise CtgridError(f"{text!r} is not A:B:STEP, such as 20:120:5, or one slice's number")
    if match[1]:
        only = int(match[1])
        return slice(only, only + 1 if only != -1 else None)
    first, last, step = (int(part) if part not in (None, "", "-") else None for part in match.groups()[1:])
    if step == 0:
        raise CtgridError(f"{text!r}: the step is 0")
    return slice(first, last, step)


def write_slices(chosen: slice) -> str:
    """Write a slice as it is typed."""
    return ":".join("" if part is None else str(part) for part in (chosen.start, chosen.stop, chosen.step))


@dataclass(frozen=True)
class PackSettings(Checked):
    """Of what a model is put together: training runs or folders.

    Attributes:
        codec: of the codec.
        stage1: of stage 1.
        stage2: of stage 2.
        gaps: of a stage 1 that fills gaps between keyframes; None leaves that to ``stage1``.
        detail: of the detail network; None leaves it out.
        half: store weights in 16 bits.
        overwrite: replace what is there.
    """

    codec: Annotated[Path, Setting("Training run or folder of the codec.", metavar="DIR|NAME", panel=WHAT)]
    stage1: Annotated[Path, Setting("Training run or folder of stage 1.", metavar="DIR", panel=WHAT)]
    stage2: Annotated[Path, Setting("Training run or folder of stage 2.", metavar="DIR", panel=WHAT)]
    gaps: Annotated[
        Path | None, Setting("Of a stage 1 trained to fill gaps between keyframes.", metavar="DIR", panel=WHAT)
    ] = None
    detail: Annotated[
        Path | None, Setting("Training run or folder of the detail network.", metavar="DIR", panel=WHAT)
    ] = None
    half: Half = False
    overwrite: Overwrite = False


@dataclass(frozen=True)
class ConversionSettings(Checked):
    """How a checkpoint is converted; see :func:`ctgrid.stages.weights.convert.convert`.

    Attributes:
        stage: what it is to be; None tells by its condition.
        weights: of a training checkpoint; None takes ema where it has them.
        latent_size: side of the latents.
        positions: another table than the checkpoint's own.
        heads: of attention.
        k: cells along a grid's side.
        dataset: of the paper, that it was trained on; None tells by what is recorded.
        half: store weights in 16 bits.
        overwrite: replace what is there.
    """

    stage: Annotated[
        int | None,
        Setting("What it is to be; 2 if it takes a condition, else 1.", metavar="1|2", least=1, most=2, panel=WHAT),
    ] = None
    weights: Annotated[
        Literal["ema", "model"] | None,
        Setting("Which weights of a training checkpoint; ema where it has them.", panel=WHAT),
    ] = None
    latent_size: Annotated[int | None, Setting("Side of the latents, an eighth of the slices'.", least=1)] = None
    positions: Annotated[
        Literal["grid", "depth_major", "2d"] | None, Setting("Another position table than the checkpoint's own.")
    ] = None
    heads: Heads = None
    k: Annotated[int | None, Setting("Cells along a grid's side, where nothing tells.", least=1)] = None
    dataset: Annotated[
        Literal["ct-rate", "sky", "taichi", "minecraft"] | None,
        Setting("What a published checkpoint was trained on; ct-rate where nothing tells another."),
    ] = None
    half: Half = False
    overwrite: Overwrite = False


@dataclass(frozen=True)
class ModelInfoSettings(Checked):
    """What is told of a model that its files do not: ``heads``."""

    heads: Heads = None


@dataclass(frozen=True)
class FetchSettings(Checked):
    """What is fetched of a model, and which hashes it must have.

    Attributes:
        include: only files of these patterns.
        pickles: take pickled weights as well.
        hashes: ``file=hash``.
        manifest: a file of hashes.
        offline: use no network.
    """

    include: Annotated[
        tuple[str, ...], Setting("Only such files, as vae/*; repeatable.", metavar="PATTERN", panel=WHAT)
    ] = ()
    pickles: Annotated[bool, Setting("Take pickled weights (.bin, .pt) as well.", flag="--allow-pickle")] = False
    hashes: Hashes = ()
    manifest: HashFile = None
    offline: Offline = False


@dataclass(frozen=True)
class VerifySettings(Checked):
    """With what a model's files are compared.

    Attributes:
        hashes: ``file=hash``.
        manifest: a file of hashes.
        record: write the hashes of a folder of one's own first.
    """

    hashes: Hashes = ()
    manifest: HashFile = None
    record: Annotated[bool, Setting("Write the hashes of a folder of one's own first.", panel=OUTPUT)] = False


@dataclass(frozen=True)
class CeilingSettings(Checked):
    """How a codec's ceiling is measured; see :func:`ctgrid.runs.evaluation.ceiling.codec_ceiling`.

    Attributes:
        codec: embedded, a folder, a file, or a hub's.
        size: pixels of a slice's side.
        k: cells along a grid's side.
        slices: from the feet; None takes 32, evenly spaced.
        batch_size: slices or grids at once.
        device: where to compute.
        hu: how stored values become HU.
        overwrite: replace a record that is there.
    """

    codec: Annotated[
        str,
        Setting("embedded, a folder, a file, or hub:OWNER/NAME[@REVISION].", metavar="CODEC", panel=WHAT),
    ] = "embedded"
    size: Annotated[int, Setting("Pixels of a slice's side.", least=1)] = 512
    k: Annotated[int, Setting("Cells along a grid's side.", least=1)] = 4
    slices: Annotated[
        slice | None,
        Setting(
            "From the feet; if not given, 32 evenly spaced.",
            metavar="A:B:STEP",
            read=read_slices,
            write=write_slices,
            panel=WHAT,
        ),
    ] = None
    batch_size: BatchSize = 1
    device: Device = "auto"
    hu: Hu = "auto"
    overwrite: Overwrite = False


@dataclass(frozen=True)
class CalibrationSettings(Checked):
    """How a model's table of trust is made; see :func:`ctgrid.methods.denoising.trust.calibrate.calibrate`.

    Attributes:
        slices: of every scan.
        seed: of the noise that is added.
        device: where to compute.
        hu: how stored values become HU.
        overwrite: replace a table that is there.
    """

    slices: Annotated[int, Setting("Slices of every scan.", least=1, panel=WHAT)] = 5
    seed: Seed = 0
    device: Device = "auto"
    hu: Hu = "auto"
    overwrite: Overwrite = False
