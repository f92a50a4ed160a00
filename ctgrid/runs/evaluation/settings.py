"""What is asked of the commands ``ctgrid evaluate``: the same for Python and the command line."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import Checked, Setting
from ctgrid.base.usual import OUTPUT, WHAT, WHERE, Overwrite, Seed
from ctgrid.methods.denoising.settings import Loading, Strength, read_strength
from ctgrid.methods.loading import ModelLoading
from ctgrid.runs.evaluation.fidelity.settings import Detectors, Pins, read_names
from ctgrid.scan.reading import Hu, Metadata

if TYPE_CHECKING:
    from ctgrid.runs.evaluation.denoising_plan import Evaluation
    from ctgrid.runs.evaluation.super_resolution import Comparison

Given = Strength | Literal["known"]

Slices = Annotated[str, Setting("Slices to measure, as in Python; all where left out.", metavar="A:B:STEP", panel=WHAT)]

OtherTools = Annotated[
    tuple[Path, ...],
    Setting(
        "Folder of what another tool made of the inputs, a row under its name; repeatable.", metavar="DIR", panel=WHAT
    ),
]

InputsOut = Annotated[
    Path | None, Setting("Write the methods' inputs here, for other tools.", metavar="DIR", panel=OUTPUT)
]


def read_given(text: str) -> Given:
    """Read ``known``, ``auto`` or a number of HU, 0 or more.

    Raises:
        CtgridError: for anything else.
    """
    return "known" if text == "known" else read_strength(text)


@dataclass(frozen=True)
class TrialRequest(Checked):
    """How denoising methods are compared: of ``evaluate denoising`` and ``evaluate nodules``.

    Attributes:
        noise: kinds of noise, as :func:`ctgrid.runs.evaluation.noise.parse_noise` reads them.
        methods: with settings in brackets; empty takes the quick ones.
        slices: those measured.
        strength: what methods are told.
        seed: of the noise and of the methods.
        hu: how stored values become HU.
        metadata: tables of the scans' collection.
        loading: what methods need to be loaded.
        overwrite: begin anew.
    """

    noise: Annotated[
        tuple[str, ...],
        Setting(
            "gaussian:HU,HU,..., low-dose:FRACTION, or pairs:TABLE of simulate low-dose; repeatable.",
            metavar="KIND:LEVEL,...",
            panel=WHAT,
        ),
    ]
    methods: Annotated[
        tuple[str, ...],
        Setting(
            "Methods, with settings in brackets; 'noisy' does nothing. Left out: the quick ones.", metavar="NAME,..."
        ),
    ] = ()
    slices: Slices = ":"
    strength: Annotated[
        Given,
        Setting(
            "What methods are told: the noise that was added, nothing, or a number.",
            metavar="known|auto|HU",
            read=read_given,
        ),
    ] = "known"
    seed: Seed = 0
    hu: Hu = "auto"
    metadata: Metadata = ()
    loading: Loading = field(default_factory=Loading)
    overwrite: Overwrite = False

    def plan(self) -> Evaluation:
        """Return what is compared.

        Raises:
            CtgridError: where a kind of noise cannot be read, or the methods name none.
        """
        from ctgrid.methods.denoising.choice import split_choices
        from ctgrid.runs.evaluation.denoising_plan import Evaluation, quick_methods
        from ctgrid.runs.evaluation.noise import parse_noise

        named = [name for text in self.methods for name in split_choices(text)]
        if self.methods and not named:
            raise CtgridError("--methods names none")
        return Evaluation(
            noises=tuple(dict.fromkeys(item for text in self.noise for item in parse_noise(text))),
            methods=tuple(dict.fromkeys(named)) or quick_methods(),
            slices=self.slices,
            seed=self.seed,
            strength=self.strength,
            hu=self.hu,
            loading=self.loading,
            metadata=self.metadata,
        )


@dataclass(frozen=True)
class DenoisingRequest(TrialRequest):
    """Of ``evaluate denoising`` alone: what other tools make of the same noisy scans; whether trust is measured."""

    results: OtherTools = ()
    inputs_out: InputsOut = None
    trust: Annotated[
        bool, Setting("Measure the maps of trust too: shares of voxels within 1, 2, 3 standard deviations.")
    ] = False

    def plan(self) -> Evaluation:
        """Return what is compared, other tools among it.

        Raises:
            CtgridError: see :meth:`TrialRequest.plan`.
        """
        return replace(super().plan(), results=self.results, inputs_out=self.inputs_out, trust=self.trust)


@dataclass(frozen=True)
class UpscalingRequest(Checked):
    """How methods of super-resolution are compared, see :class:`ctgrid.runs.evaluation.super_resolution.Comparison`.

    ``train`` are volumes that patch-regression is fitted on.
    """

    methods: Annotated[
        tuple[str, ...],
        Setting(
            "stage2, stage2-projected, bicubic, lanczos, back-projection, patch-regression (fitted on --train), codec "
            "(the ceiling), sinsr (--sinsr); else all that can run.",
            metavar="NAME,...",
        ),
    ] = ()
    slices: Slices = ":"
    train: Annotated[
        tuple[Path, ...], Setting("Volumes to fit patch-regression on.", metavar="PATH...", panel=WHAT)
    ] = ()
    refine_steps: Annotated[
        int | None, Setting("Sampler steps of stage 2; those of synthesis if not given.", least=1)
    ] = None
    size: Annotated[int | None, Setting("Pixels of a full slice's side; the model's if not given.", least=32)] = None
    k: Annotated[int | None, Setting("Factor; the model's if not given.", least=2)] = None
    through_codec: Annotated[bool, Setting("Shrunk slices pass through the model's codec, as those of stage 1 do.")] = (
        False
    )
    seed: Seed = 0
    batch_size: Annotated[int, Setting("Slices at once.", least=1, panel=WHERE)] = 4
    frames: Annotated[
        int, Setting("Slices of a clip of FVD, or of its stand-in where no detector is; 0 measures none.", least=0)
    ] = 16
    detectors: Detectors = None
    pin: Pins = ()
    sinsr: Annotated[
        Path | None, Setting("Checkout of SinSR's public code, its weights in it, for method sinsr.", metavar="DIR")
    ] = None
    sinsr_weights: Annotated[
        Path | None, Setting("Checkpoint of SinSR; DIR/weights/SinSR_v1.pth if not given.", metavar="FILE")
    ] = None
    sinsr_python: Annotated[
        Path | None, Setting("Python of SinSR's environment; the one that runs ctgrid if not given.", metavar="FILE")
    ] = None
    results: OtherTools = ()
    inputs_out: InputsOut = None
    loading: ModelLoading = field(default_factory=ModelLoading)
    overwrite: Overwrite = False

    def chosen(self) -> tuple[str, ...]:
        """Return the methods.

        Raises:
            CtgridError: where there is no such method, or it lacks what it is fitted on.
        """
        from ctgrid.runs.evaluation.super_resolution import QUICK_METHODS, check_methods
        from ctgrid.runs.evaluation.upscalers import FITTED, SINSR

        named = [name for text in self.methods for name in read_names(text)]
        if self.methods and not named:
            raise CtgridError("names none")
        extra = [name for name, there in ((FITTED, bool(self.train)), (SINSR, self.sinsr is not None)) if there]
        methods = tuple(dict.fromkeys(named)) or (*QUICK_METHODS, *extra)
        check_methods(methods, bool(self.train), self.sinsr is not None)
        if self.sinsr is None and (self.sinsr_weights or self.sinsr_python):
            raise CtgridError("--sinsr-weights and --sinsr-python have no use without --sinsr DIR")
        if self.sinsr is not None and SINSR not in methods:
            raise CtgridError(f"--sinsr has no use without method {SINSR}: name it among --methods, or leave it out")
        return methods

    def plan(self) -> Comparison:
        """Return what is compared.

        Raises:
            CtgridError: as :meth:`chosen`, or for a hash that is none.
        """
        from ctgrid.runs.evaluation.clip_distance import ClipMeasure
        from ctgrid.runs.evaluation.fidelity.detectors import parse_pins
        from ctgrid.runs.evaluation.sinsr import SinSRSettings
        from ctgrid.runs.evaluation.super_resolution import Comparison

        return Comparison(
            methods=self.chosen(),
            slices=self.slices,
            seed=self.seed,
            refine_steps=self.refine_steps,
            size=self.size,
            k=self.k,
            batch_size=self.batch_size,
            through_codec=self.through_codec,
            loading=Loading(**self.loading.as_dict()),
            results=self.results,
            inputs_out=self.inputs_out,
            sinsr=None if self.sinsr is None else SinSRSettings(self.sinsr, self.sinsr_weights, self.sinsr_python),
            clips=ClipMeasure(self.frames, self.detectors, parse_pins(list(self.pin)), self.loading.device),
        )
