"""Training recipes: frozen, checked, and read from YAML."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from ctgrid.base.causes import reading
from ctgrid.base.documents import parsed_yaml, text_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.families import meant
from ctgrid.base.keys import first_problem
from ctgrid.scan.grid import Tiled
from ctgrid.stages.diffusion.samplers import find_sampler

Kind = Literal["codec", "stage1", "stage2", "detail"]


MOST_EXTENDS = 20
MOST_SEED = 2**32 - 1
"""NumPy takes no larger one."""

YAML_WORDS = {True: {"yes", "on", "true", "y"}, False: {"no", "off", "false", "n"}}
"""What YAML reads as true and false."""


def _known_sampler(name: str) -> str:
    find_sampler(name)
    return name


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _words_that_yaml_took_for_switches(cls, values: Any) -> Any:
        """Give choices such as ``no`` their word back, which YAML reads as false unless it stands in quotes."""
        if not isinstance(values, dict):
            return values
        words = {
            name: YAML_WORDS[value] & set(get_args(cls.model_fields[name].annotation))
            for name, value in values.items()
            if isinstance(value, bool) and name in cls.model_fields
            if get_origin(cls.model_fields[name].annotation) is Literal
        }
        return {**values, **{name: min(found) for name, found in words.items() if len(found) == 1}}


class Optimisation(_Frozen):
    """The loop's numbers; ``steps`` counts optimizer steps, not micro-batches."""

    steps: int = Field(gt=0)
    batch_size: int = Field(gt=0, description="examples per optimizer step and process")
    accumulate: int = Field(1, gt=0, description="micro-batches that make one batch")
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw", description="muon makes the momentum of a transformer's hidden matrices orthogonal"
    )
    learning_rate: float = Field(1e-4, gt=0)
    hidden_rate: float = Field(1.0, gt=0, description="learning rate of muon's hidden matrices over learning_rate")
    warmup_start: float = Field(1e-6, gt=0, description="learning rate at the first step")
    warmup_steps: int = Field(0, ge=0)
    decay_steps: int = Field(0, ge=0, description="linear decay to zero over the last steps")
    weight_decay: float = Field(0.0, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float | None = Field(1.0, gt=0, description="largest norm of the gradients; null for any")
    ema_decay: float = Field(0.9999, ge=0, lt=1)
    ema_warmup: bool = Field(True, description="average over less at the start, see ctgrid.methods.training.average")
    precision: Literal["auto", "no", "bf16", "fp16"] = Field(
        "no", description="mixed precision; auto by what the hardware multiplies in, see ctgrid.base.precision"
    )
    sharding: Literal["none", "fsdp"] = Field("none", description="share the weights out over the processes")
    gradient_checkpointing: bool = Field(False, description="compute activations twice rather than keep them")
    compile: bool = Field(False, description="compile the network, block by block")
    fused: bool = Field(True, description="one kernel for AdamW's step")
    loader_threads: int = Field(0, ge=0, description="threads that draw the next batch meanwhile; 0 draws in line")
    checkpoint_every: int = Field(500, gt=0)
    keep_last: int = Field(2, gt=0)

    @model_validator(mode="after")
    def _batch_divides(self) -> Optimisation:
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be split into {self.accumulate} micro-batches; "
                "choose a multiple of accumulate"
            )
        return self


class Validation(_Frozen):
    """What is looked at while training goes on, with the averaged weights."""

    every: int = Field(0, ge=0, description="optimizer steps between two looks; 0 never looks")
    examples: int = Field(64, gt=0, description="examples of the validation data, always the same")
    picture_steps: int = Field(20, gt=0, description="sampler steps of the picture")


class Monitor(_Frozen):
    """Where the numbers go besides log.jsonl."""

    tensorboard: bool = True
    wandb: str | None = Field(None, description="name of a Weights & Biases project; needs the package wandb")


def _known_layout(name: str) -> str:
    from ctgrid.data.video.layouts import find_layout

    return find_layout(name).name


class VideoRecipe(_Frozen):
    """Clips of video in place of CT volumes; see :mod:`ctgrid.data.video`."""

    layout: Annotated[str, AfterValidator(_known_layout)] = Field(description="how folders are named")
    part: Literal["train", "test"] = Field("train", description="of the published split")
    frame_stride: int = Field(1, gt=0, description="every how many frames one counts")
    gray: bool = Field(False, description="luma instead of colour")
    mirror: bool = Field(True, description="left and right exchanged half the time, cell by cell")


class CodecRecipe(_Frozen):
    """How the embedded autoencoder is trained: reconstruction of slices and of grid cells."""

    network: dict[str, Any] = Field(default_factory=dict)
    size: int = Field(512, gt=0, description="slices are resized to size x size")
    crop: int = Field(256, gt=0, multiple_of=8, description="side of the random crops of full slices")
    cell: int = Field(128, gt=0, multiple_of=8, description="side of a grid's cell (size / K)")
    cells_per_crop: int = Field(4, gt=0, description="cells per crop in an example")
    kl_weight: float = Field(1e-4, ge=0)
    encoder_of: str | None = Field(None, description="codec whose encoder is kept; only the rest is trained")
    start: str | None = Field(None, description="weights that training starts from, see ctgrid.methods.training.start")
    video: VideoRecipe | None = Field(None, description="clips instead of CT volumes")

    @property
    def coarse_factor(self) -> int | None:
        """How far slices are shrunk for the network's second encoder; None where it has none."""
        return int(self.network.get("coarse_factor", 4)) if self.network.get("coarse_width") else None

    @model_validator(mode="after")
    def _crop_fits(self) -> CodecRecipe:
        if self.crop > self.size:
            raise ValueError(f"crop {self.crop} is larger than the slices, size {self.size}")
        return self


class DiffusionRecipe(Tiled, _Frozen):
    """What the two diffusion stages share."""

    network: dict[str, Any] = Field(default_factory=dict)
    start: str | None = Field(None, description="weights that training starts from, see ctgrid.methods.training.start")
    codec: str = Field("embedded", description="'embedded' or a folder with a codec")
    prediction: Literal["epsilon", "v", "x0"] = "epsilon"
    min_snr_gamma: float | None = Field(None, gt=0)
    size: int = Field(512, gt=0, multiple_of=8)
    k: int = Field(4, ge=2, description="a grid has k x k cells")
    scale: PositiveInt | None = Field(
        None, description="how many times slices are shrunk to cells; null for k, grids then being as large as a slice"
    )
    slices: int = Field(201, gt=1, description="slices a volume is resampled to, the range of z")
    fov_mm: float = Field(340.0, gt=0, description="side of the body-centred field of view")
    video: VideoRecipe | None = Field(None, description="clips instead of CT volumes")

    @model_validator(mode="after")
    def _cells_fit(self) -> DiffusionRecipe:
        if self.size % self.factor:
            name = "k" if self.scale is None else "scale"
            raise ValueError(f"size {self.size} is no multiple of {name} {self.factor}; cells have whole pixels")
        return self


class GridRecipe(DiffusionRecipe):
    """Stage 1: grids of coarse slices."""

    cell_encoding: Literal["cell", "grid"] = Field(
        "grid", description="encode each cell on its own, or the whole grid image as the paper does"
    )
    layout: Literal["grid", "channels"] = Field("grid", description="cells tiled in an image, or stacked as channels")
    variants: int = Field(1, gt=0, description="affine variants of each volume, the first untouched")
    deformation_mm: float = Field(
        0.0, ge=0, description="the variants' smooth random deformation in the axial plane, standard deviation"
    )
    strides: tuple[PositiveInt, ...] = Field((1,), min_length=1, description="slice steps inside a grid")
    starts: Literal["random", "paper"] = Field(
        "random", description="where grids begin: anywhere, or side by side from the first slice (paper)"
    )
    keyframe_share: float = Field(0.0, ge=0, le=1, description="grids that span the whole volume")
    window_share: float = Field(0.0, ge=0, le=1, description="stride-1 grids between two known slices")
    unknown_share: float = Field(1.0, ge=0, le=1, description="other grids drawn without known cells")
    mending_share: float = Field(0.0, ge=0, le=1, description="windows whose both ends are known, but for the middle")
    timestep_shift: float = Field(
        1.0,
        gt=0,
        description="s of all other grids' timesteps, drawn as s u / (1 + (s - 1) u), u uniform: above 1 more noise",
    )
    window_shift: float = Field(
        1.0,
        gt=0,
        description="s of windows' timesteps, likewise",
    )
    window_spacing_mm: float | None = Field(
        None, gt=0, description="draw windows only from scans whose slices lie no further apart (folders of scans)"
    )
    sampler: Annotated[str, AfterValidator(_known_sampler)] | None = Field(
        None, description="what synthesis takes for this stage, unless told otherwise"
    )
    sampling_steps: PositiveInt | None = Field(None, description="its network calls per grid, likewise")
    fill_steps: PositiveInt | None = Field(None, description="its network calls per grid that fills a gap, likewise")

    @property
    def knows_cells(self) -> bool:
        """Whether some grids are drawn with known cells, which stay clean at their own timestep."""
        return self.window_share > 0 or self.unknown_share < 1

    @model_validator(mode="after")
    def _shares_fit(self) -> GridRecipe:
        if self.keyframe_share + self.window_share > 1:
            raise ValueError(
                f"keyframe_share {self.keyframe_share} and window_share {self.window_share} exceed 1 together"
            )
        return self

    @model_validator(mode="after")
    def _layout_fits(self) -> GridRecipe:
        if self.layout == "channels" and (self.knows_cells or self.network.get("absolute_z")):
            raise ValueError(
                "layout 'channels' has one timestep and one place for all cells of a grid: set window_share to 0, "
                "unknown_share to 1 and network.absolute_z to false"
            )
        return self


class RefineRecipe(DiffusionRecipe):
    """Stage 2: full slices given their coarse version."""

    degradations: int = Field(2, gt=0, description="cached degradations of each slice")
    codec_share: float = Field(
        0.0, ge=0, le=1, description="conditions that also pass through the codec at the coarse size"
    )
    noise_levels: tuple[int, int] = Field((10, 15), description="noise added to conditions, of 255 levels")
    blur_share: float = Field(0.5, ge=0, le=1, description="conditions that are blurred as well")
    degradation: Literal["ctgrid", "published"] = Field(
        "ctgrid",
        description="how conditions are made; published: 8 bits before the blur, shrunk without antialiasing, noise of "
        "its own in each colour channel",
    )

    @model_validator(mode="after")
    def _levels_ascend(self) -> RefineRecipe:
        low, high = self.noise_levels
        if not 0 <= low <= high:
            raise ValueError(f"noise_levels must be a lowest and a highest level from 0 up, got {low}, {high}")
        return self


class DetailRecipe(_Frozen):
    """The denoiser's detail step: noisy slices, their diffusion results, and what lies below."""

    network: dict[str, Any] = Field(default_factory=dict)
    model: str = Field("embedded", description="the model whose diffusion results the network is trained with")
    size: int = Field(512, gt=0, multiple_of=8, description="slices are resized to size x size")
    crop: int = Field(128, gt=0, multiple_of=8)
    levels_hu: tuple[float, float] = Field((12.0, 550.0), description="range of the noise, drawn log-uniformly")
    versions: int = Field(4, gt=0, description="noisy versions of each volume")
    low_dose_share: float = Field(0.25, ge=0, le=1, description="versions whose noise is simulated in projections")
    alone_share: float = Field(0.3, ge=0, le=1, description="examples without the diffusion result")
    fresh_share: float = Field(0.0, ge=0, le=1, description="of those, examples with white noise drawn on the spot")
    start: str | None = Field(None, description="weights that training starts from, see ctgrid.methods.training.start")
    level_power: float = Field(0.7, ge=0, description="errors are weighted by the noise level to minus this power")


class TrainConfig(_Frozen):
    """A whole recipe: what is trained, on what, and how."""

    kind: Kind
    seed: int = Field(0, ge=0, le=MOST_SEED)
    optimisation: Optimisation
    validation: Validation = Field(default_factory=lambda: Validation.model_validate({}))
    monitor: Monitor = Field(default_factory=lambda: Monitor.model_validate({}))
    codec: CodecRecipe | None = None
    stage1: GridRecipe | None = None
    stage2: RefineRecipe | None = None
    detail: DetailRecipe | None = None
    exclude: tuple[str, ...] = Field((), description="volumes left out: names without suffix")

    @property
    def recipe(self) -> CodecRecipe | GridRecipe | RefineRecipe | DetailRecipe:
        """The part that belongs to ``kind``, with its defaults where the file leaves it out."""
        part = getattr(self, self.kind)
        if part is not None:
            return part
        parts = {"codec": CodecRecipe, "stage1": GridRecipe, "stage2": RefineRecipe, "detail": DetailRecipe}
        return parts[self.kind]()


def read_recipe(name: str | Path) -> str:
    """Return the YAML text of a shipped recipe or of a file.

    Raises:
        CtgridError: for an unknown name or an unreadable file.
    """
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return text_of(path, "a recipe")
    shipped = {f.name.removesuffix(".yaml"): f for f in files("ctgrid_configs").iterdir() if ".yaml" in f.name}
    if str(name) not in shipped:
        known = f"{', '.join(sorted(shipped))}{meant(name, shipped)}"
        raise CtgridError(f"config {str(name)!r} is neither a file nor a shipped name; shipped: {known}")
    return shipped[str(name)].read_text(encoding="utf-8")


def read_values(name: str | Path, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a recipe's keys, those of the recipe that it ``extends`` underneath.

    Raises:
        CtgridError: unknown name, not YAML, not a mapping, or a circle of recipes.
    """
    if str(name) in seen:
        raise CtgridError(f"{name}: recipes extend each other in a circle: {' -> '.join((*seen, str(name)))}")
    values = parsed_yaml(read_recipe(name), name)
    if not isinstance(values, dict):
        raise CtgridError(f"{name}: a config is a mapping of keys to values, got {type(values).__name__}")
    base = values.pop("extends", None)
    if len(seen) > MOST_EXTENDS:
        raise CtgridError(f"{name}: recipes extend each other more than {MOST_EXTENDS} deep")
    return values if base is None else _merged(read_values(str(base), (*seen, str(name))), values)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, group by group."""
    both = {k: _merged(base[k], v) for k, v in over.items() if isinstance(v, dict) and isinstance(base.get(k), dict)}
    return {**base, **over, **both}


def load_config(name: str | Path, kind: Kind | None = None, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """Read a recipe by shipped name (``embedded-codec``) or from a YAML file.

    A recipe may say ``extends: NAME`` and hold only what differs from that one.

    Args:
        name: a name in the shipped ``configs/`` or a path to a YAML file.
        kind: what the command trains; must agree with the file's ``kind``.
        overrides: dotted keys to new values, for example ``{"optimisation.steps": 10}``.

    Raises:
        CtgridError: unknown name, unreadable YAML, unknown or wrong keys.
    """
    values = read_values(name)
    for key, value in (overrides or {}).items():
        *parents, leaf = key.split(".")
        group: Any = values
        for parent in parents:
            group = group.setdefault(parent, {})
            if not isinstance(group, dict):
                raise CtgridError(f"{name}: cannot set {key!r}: {parent!r} is not a group of keys")
        group[leaf] = value
    with reading(name, "a recipe"):
        try:
            config = TrainConfig.model_validate(values)
        except ValidationError as error:
            raise CtgridError(f"{name}: {first_problem(error, TrainConfig)}") from error
    if kind is not None and config.kind != kind:
        raise CtgridError(
            f"{name}: this config trains {config.kind!r}, not {kind!r}; choose the matching command or config"
        )
    return config
