"""What is trained, by kind: the part of a recipe that says network, data and examples."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, model_validator

from ctgrid.scan.grid import Tiled
from ctgrid.stages.diffusion.samplers import find_sampler
from ctgrid.stages.diffusion.spacing import STEPS, Spacing

YAML_WORDS = {True: {"yes", "on", "true", "y"}, False: {"no", "off", "false", "n"}}
"""What YAML reads as true and false."""


def _known_sampler(name: str) -> str:
    find_sampler(name)
    return name


class Frozen(BaseModel):
    """A part of a recipe: nothing changes it, and unknown keys are refused."""

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


def _known_layout(name: str) -> str:
    from ctgrid.data.video.layouts import find_layout

    return find_layout(name).name


class VideoRecipe(Frozen):
    """Clips of video in place of CT volumes; see :mod:`ctgrid.data.video`."""

    layout: Annotated[str, AfterValidator(_known_layout)] = Field(description="how folders are named")
    part: Literal["train", "test"] = Field("train", description="of the published split")
    frame_stride: int = Field(1, gt=0, description="every how many frames one counts")
    gray: bool = Field(False, description="luma instead of colour")
    mirror: bool = Field(True, description="left and right exchanged half the time, cell by cell")


class CodecRecipe(Frozen):
    """How the embedded autoencoder is trained: reconstruction of slices and of grid cells."""

    network: dict[str, Any] = Field(default_factory=dict)
    size: int = Field(512, gt=0, description="slices are resized to size x size")
    crop: int = Field(256, gt=0, multiple_of=8, description="side of the random crops of full slices")
    cell: int = Field(128, gt=0, multiple_of=8, description="side of a grid's cell (size / K)")
    cells_per_crop: int = Field(4, gt=0, description="cells per crop in an example")
    kl_weight: float = Field(1e-4, ge=0)
    clips: bool = Field(
        False, description="train diffusers' AutoencoderKLCogVideoX on clips of 16 slices; network holds its sizes"
    )
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


class DiffusionRecipe(Tiled, Frozen):
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

    @model_validator(mode="after")
    def _convolutions_fit(self) -> DiffusionRecipe:
        if self.network.get("convolutions") and self.prediction != "x0":
            raise ValueError("network.convolutions correct an estimate of the clean latent: set prediction to x0")
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
    zoom_share: float = Field(0.1, ge=0, le=0.5, description="most change of the variants' size in the axial plane")
    width_share: float = Field(
        0.0, ge=0, le=0.5, description="most change of their width against their depth (folders of scans)"
    )
    feet_share: float = Field(
        0.0, ge=0, le=0.5, description="most of their slices left out at the feet (folders of scans)"
    )
    mirrored: bool = Field(False, description="mirror every second variant, left to right (folders of scans)")
    strides: tuple[PositiveInt, ...] = Field((1,), min_length=1, description="slice steps inside a grid")
    starts: Literal["random", "paper"] = Field(
        "random", description="where grids begin: anywhere, or side by side from the first slice (paper)"
    )
    keyframe_share: float = Field(0.0, ge=0, le=1, description="grids that span the whole volume")
    window_share: float = Field(0.0, ge=0, le=1, description="stride-1 grids between two known slices")
    unknown_share: float = Field(1.0, ge=0, le=1, description="other grids drawn without known cells")
    reversed_share: float = Field(
        0.0, ge=0, le=1, description="windows whose slices are taken in reverse order, at the same z"
    )
    mending_share: float = Field(0.0, ge=0, le=1, description="windows whose both ends are known, but for the middle")
    drawn_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="grids that fill a gap between keyframes as drawn_by makes them; the others by the shares above "
        "(folders of scans)",
    )
    drawn_by: str | None = Field(None, description="the model whose stage 1 makes them of noisy keyframes")
    drawn_levels: tuple[int, int] = Field((450, 820), description="timesteps that those are diffused to")
    drawn_sets: PositiveInt = Field(12, description="such keyframes made of each volume")
    taught_by: str | None = Field(
        None,
        description="a model whose stage 1's estimates, not the clean latents, are what grids without known cells are "
        "trained to from taught_from up: seeds stay the people that they are there",
    )
    taught_from: int = Field(600, ge=0, lt=STEPS, description="the lowest timestep of those")
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
    bone_weight: float = Field(
        0.0, ge=0, description="how much the loss counts where bone is, beside 1 everywhere (folders of scans)"
    )
    channel_weights: Literal["even", "decoded"] = Field(
        "even",
        description="what the channels of latents weigh in the loss: the same, or as much as the codec's decoder makes "
        "of them (folders of scans)",
    )
    window_spacing_mm: float | None = Field(
        None, gt=0, description="draw windows only from scans whose slices lie no further apart (folders of scans)"
    )
    sampler: Annotated[str, AfterValidator(_known_sampler)] | None = Field(
        None, description="what synthesis takes for this stage, unless told otherwise"
    )
    sampling_steps: PositiveInt | None = Field(None, description="its network calls per grid, likewise")
    sampling_stop: PositiveInt | None = Field(
        None, lt=STEPS, description="the timestep of the last of them, whose estimate is taken, likewise"
    )
    fill_steps: PositiveInt | None = Field(None, description="its network calls per grid that fills a gap, likewise")
    fill_spacing: Spacing | None = Field(None, description="where those calls lie, likewise")
    habitus: float | None = Field(
        None, ge=0, le=1, description="how far its bodies vary beside what this stage makes, likewise"
    )

    @property
    def knows_cells(self) -> bool:
        """Whether some grids are drawn with known cells, which stay clean at their own timestep."""
        return self.window_share > 0 or self.unknown_share < 1 or self.drawn_share > 0

    @model_validator(mode="after")
    def _shares_fit(self) -> GridRecipe:
        if self.keyframe_share + self.window_share > 1:
            raise ValueError(
                f"keyframe_share {self.keyframe_share} and window_share {self.window_share} exceed 1 together"
            )
        return self

    @model_validator(mode="after")
    def _drawn_fits(self) -> GridRecipe:
        low, high = self.drawn_levels
        if not 0 < low <= high < STEPS:
            raise ValueError(
                f"drawn_levels must be a lowest and a highest timestep of 1 ... {STEPS - 1}, got {low}, {high}"
            )
        if not self.drawn_share:
            return self
        if self.drawn_by is None or self.video is not None:
            raise ValueError("drawn_share is for CT and needs a model that makes keyframes: name it in drawn_by")
        if self.cell_encoding != "cell" or not self.network.get("absolute_z"):
            raise ValueError("drawn_share needs cell_encoding cell and network.absolute_z")
        return self

    @model_validator(mode="after")
    def _teacher_fits(self) -> GridRecipe:
        if self.taught_by is not None and self.video is not None:
            raise ValueError("taught_by is for CT: leave it out")
        if self.taught_by is not None and (self.prediction, self.layout) != ("x0", "grid"):
            raise ValueError("taught_by compares clean latents of tiled cells: set prediction to x0, layout to grid")
        if self.taught_by is not None and self.network.get("learned_variance", True):
            raise ValueError("taught_by gives no noise to learn a variance from: set network.learned_variance to false")
        return self

    @model_validator(mode="after")
    def _bone_is_there(self) -> GridRecipe:
        if self.bone_weight and self.video is not None:
            raise ValueError("bone_weight is for CT, movies show no bone: leave it out")
        return self

    @model_validator(mode="after")
    def _channels_are_there(self) -> GridRecipe:
        if self.channel_weights != "even" and (self.video is not None or self.cell_encoding != "cell"):
            raise ValueError("channel_weights decoded is for CT whose slices are encoded alone: set cell_encoding cell")
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

    poses: int = Field(1, ge=0, description="poses each scan is cached in besides its own (folders of scans)")
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


class DetailRecipe(Frozen):
    """The denoiser's detail step: noisy slices, their diffusion results, and what lies below."""

    network: dict[str, Any] = Field(
        default_factory=dict, description="sizes; kind: unet is another network, see ctgrid.stages.networks.details"
    )
    model: str = Field("embedded", description="the model whose diffusion results the network is trained with")
    size: int = Field(512, gt=0, multiple_of=8, description="slices are resized to size x size")
    crop: int = Field(128, gt=0, multiple_of=8)
    levels_hu: tuple[float, float] = Field((12.0, 550.0), description="range of the noise, drawn log-uniformly")
    versions: int = Field(4, gt=0, description="noisy versions of each volume")
    low_dose_share: float = Field(0.25, ge=0, le=1, description="versions whose noise is simulated in projections")
    alone_share: float = Field(0.3, ge=0, le=1, description="examples without the diffusion result")
    fresh_share: float = Field(0.0, ge=0, le=1, description="of those, examples with noise drawn on the spot")
    fields: int = Field(0, ge=0, description="places along each volume that noise as scanners make it is made for")
    field_share: float = Field(0.0, ge=0, le=1, description="of the fresh examples, those with such noise, else white")
    field_levels_hu: tuple[float, float] = Field((8.0, 300.0), description="its range in soft tissue")
    cutoffs_per_mm: tuple[float, float] = Field(
        (0.45, 1.8), description="its kernels: where their window ends, drawn log-uniformly; smooth ones end early"
    )
    quiet_share: float = Field(
        0.0, ge=0, le=1, description="of the fresh examples, those from quieter versions of the scans"
    )
    remove_own: float = Field(
        0.0, ge=0, le=1, description="share of the scans' own noise that is to be removed with what was added"
    )
    start: str | None = Field(None, description="weights that training starts from, see ctgrid.methods.training.start")
    level_power: float = Field(0.7, ge=0, description="errors are weighted by the noise level to minus this power")

    @model_validator(mode="after")
    def _ranges_ascend(self) -> DetailRecipe:
        for name in ("levels_hu", "field_levels_hu", "cutoffs_per_mm"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} must be a lowest and a highest value above 0, got {low}, {high}")
        return self

    @model_validator(mode="after")
    def _fields_are_there(self) -> DetailRecipe:
        if self.field_share and not self.fields:
            raise ValueError(f"field_share {self.field_share} draws from fields of noise; set fields above 0")
        return self
