"""Every denoising method by its name, and the one call that uses any of them.

A new method is one entry of :data:`METHODS`: a name, one line about it, how much of a volume it looks at, and
how it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from ctgrid.base.errors import CtgridError
from ctgrid.base.families import look_up
from ctgrid.base.progress import Progress, silent
from ctgrid.base.settings import Checked, Known, all_settings
from ctgrid.base.usual import DtypeName
from ctgrid.methods.denoising.result import Denoiser, DenoisingResult
from ctgrid.methods.denoising.settings import (
    DIFFUSION,
    DetailSettings,
    DrawnSettings,
    GridDetailSettings,
    GridSettings,
    Loading,
    NoSettings,
    PaperSettings,
    SelfSettings,
    Strength,
)
from ctgrid.scan.volume import Volume

if TYPE_CHECKING:
    from ctgrid.methods.denoising.trust.maps import Trust


@dataclass(frozen=True)
class Method:
    """One way to denoise.

    Attributes:
        name: as users write it.
        summary: one line.
        load: makes it ready to run.
        context: slices on either side that a slice's result depends on, once the noise is told; None for the whole
            volume, by which networks judge where it is noisy.
        settings: keywords of its ``run`` with its defaults, a dataclass of :mod:`ctgrid.base.settings`.
        partial: its ``run`` can be told by ``only`` which slices to finish.
        classical: whether it is a filter to be compared with.
    """

    name: str
    summary: str
    load: Callable[[Loading], Denoiser]
    context: int | None = None
    settings: Checked = field(default_factory=NoSettings)
    partial: bool = False
    classical: bool = False

    @property
    def known(self) -> dict[str, Known]:
        """What is said of its settings, by name."""
        return all_settings(type(self.settings))

    @property
    def keywords(self) -> tuple[str, ...]:
        """What its ``run`` takes besides the scan, the strength and the progress."""
        return (*self.known, "only") if self.partial else tuple(self.known)


@dataclass(frozen=True)
class Preset:
    """A pipeline with a method's defaults, under its name."""

    name: str
    pipeline: Any
    defaults: GridSettings

    def describe(self) -> dict[str, Any]:
        """Return what the pipeline says of its networks."""
        return dict(self.pipeline.describe())

    def run(
        self, volume: Volume, strength: Strength = "auto", *, progress: Progress = silent, **settings: Any
    ) -> DenoisingResult:
        """Denoise one volume; ``settings`` are the pipeline's."""
        asked = {**self.defaults.as_dict(), **settings}
        result = self.pipeline.run(volume, strength=strength, progress=progress, **asked)
        named: DenoisingResult = replace(result, settings={**result.settings, "method": self.name})
        return named


def _load_grid(name: str, loading: Loading) -> Denoiser:
    from ctgrid.methods.denoising.pipeline import DenoisePipeline
    from ctgrid.stages.models.bundle import DETAIL, load_detail, model_folder

    defaults: Any = METHODS[name].settings
    if getattr(defaults, DETAIL, False) and not has_detail(loading.model):
        load_detail(model_folder(loading.model))  # says what is missing
    pipeline = DenoisePipeline.load(model=loading.model, device=loading.device, dtype=loading.dtype)
    return Preset(name, pipeline, defaults)


def _load_paper(loading: Loading) -> Denoiser:
    from ctgrid.methods.denoising.paper import PaperPipeline

    return PaperPipeline.load(model=loading.model, device=loading.device, dtype=loading.dtype)


def _load_detail(loading: Loading) -> Denoiser:
    from ctgrid.methods.denoising.detail import DetailDenoiser

    return DetailDenoiser.load(loading.model, loading.device, loading.dtype)


def _load_self(loading: Loading) -> Denoiser:
    from ctgrid.methods.denoising.self_taught import SelfTaught

    return SelfTaught.load(loading.model, loading.device, loading.dtype)


def _load_generatect(loading: Loading) -> Denoiser:
    from ctgrid.methods.denoising.baselines.generatect import GenerateCT

    return GenerateCT.load(loading.weights, loading.device)


def _load_classical(name: str, loading: Loading) -> Denoiser:
    from ctgrid.methods.denoising.baselines.classical import CLASSICAL

    return CLASSICAL[name]


def _classical(name: str, summary: str) -> Method:
    return Method(name, summary, partial(_load_classical, name), context=0, classical=True)


def has_detail(model: str | Path) -> bool:
    """Tell whether a model has the part that the detail step needs.

    Raises:
        CtgridError: where there is no such model.
    """
    from ctgrid.stages.models.sources import resolve_model

    return (resolve_model(model) / "detail" / "config.json").exists()


def default_method(model: str | Path = "embedded") -> str:
    """Return the method to use where none is named: the best that a model has the parts for.

    Raises:
        CtgridError: where there is no such model.
    """
    return "grid-detail" if has_detail(model) else "grid"


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "grid",
            "grid diffusion with both stages (Algorithm 3, keeping the share of the scan that its noise allows)",
            partial(_load_grid, "grid"),
            settings=GridSettings(),
            partial=True,
        ),
        Method(
            "grid-detail",
            "overlapping grids, both stages, then the detail network on the scan itself with that as prior",
            partial(_load_grid, "grid-detail"),
            settings=GridDetailSettings(**DIFFUSION.as_dict(), detail=True),
            partial=True,
        ),
        Method(
            "grid-paper",
            "the paper's Algorithm 3 to the letter, which keeps nothing of the scan",
            _load_paper,
            settings=PaperSettings(),
            partial=True,
        ),
        Method(
            "detail",
            "the detail network alone, without diffusion: fast",
            _load_detail,
            settings=DetailSettings(),
            partial=True,
        ),
        Method(
            "self",
            "the detail network, taught by each scan itself what its noise is like; minutes",
            _load_self,
            settings=SelfSettings(),
            partial=True,
        ),
        _classical("bilateral", "bilateral filter of scikit-image"),
        _classical("nlm", "non-local means of scikit-image, fast mode"),
        _classical("tv", "total variation (Chambolle) of scikit-image"),
        _classical("wavelet", "wavelet shrinkage of scikit-image, averaged over shifts"),
        _classical("curvature-flow", "curvature flow of SimpleITK"),
        _classical("anisotropic-diffusion", "curvature anisotropic diffusion of SimpleITK"),
        _classical("patch-based", "patch-based denoising of SimpleITK; half a minute a slice"),
        Method(
            "generatect",
            "GenerateCT's diffusion super-resolution 128 -> 512 without prompt; needs its package and --weights",
            _load_generatect,
            context=0,
            settings=DrawnSettings(),
        ),
    )
}


def find_method(name: str) -> Method:
    """Return a method by its name.

    Raises:
        CtgridError: with the names there are.
    """
    return look_up(METHODS, name, "denoising method")


def load_method(
    name: str | None = None,
    *,
    model: str = "embedded",
    device: str = "auto",
    dtype: DtypeName = "auto",
    weights: str | Path | None = None,
) -> Denoiser:
    """Load a method once, to run it on many volumes.

    Args:
        name: one of :data:`METHODS`; None takes :func:`default_method`.
        model: see :class:`Loading`; likewise the others.
        device: where networks run.
        dtype: their number format.
        weights: a checkpoint, for the methods that come without.

    Raises:
        CtgridError: where there is no such method, or what it needs is missing.
    """
    name = name or default_method(model)
    return find_method(name).load(Loading(model, device, dtype, None if weights is None else Path(weights)))


@overload
def denoise(
    volume: Volume | str | Path,
    method: str | None = None,
    strength: Strength = "auto",
    *,
    model: str = "embedded",
    device: str = "auto",
    dtype: DtypeName = "auto",
    weights: str | Path | None = None,
    trust: Literal[False] = False,
    **settings: Any,
) -> Volume: ...


@overload
def denoise(
    volume: Volume | str | Path,
    method: str | None = None,
    strength: Strength = "auto",
    *,
    model: str = "embedded",
    device: str = "auto",
    dtype: DtypeName = "auto",
    weights: str | Path | None = None,
    trust: Literal[True],
    **settings: Any,
) -> tuple[Volume, Trust]: ...


def denoise(
    volume: Volume | str | Path,
    method: str | None = None,
    strength: Strength = "auto",
    *,
    model: str = "embedded",
    device: str = "auto",
    dtype: DtypeName = "auto",
    weights: str | Path | None = None,
    trust: bool = False,
    **settings: Any,
) -> Volume | tuple[Volume, Trust]:
    """Denoise one volume in a single call: what ``ctgrid denoise`` does, by default to the voxel.

    Args:
        volume: a volume or the path of one; :meth:`ctgrid.Volume.read` has more ways to read it.
        method: one of :data:`METHODS`; None takes :func:`default_method`.
        strength: the noise's standard deviation in HU, or "auto" to estimate it.
        model: ``embedded`` or a folder, for methods with networks of ctgrid's.
        device: see :func:`ctgrid.base.devices.choose_device`.
        dtype: see :func:`ctgrid.base.precision.choose_dtype`.
        weights: a checkpoint, for the methods that come without.
        trust: tell too how far each voxel may be off; see :func:`ctgrid.methods.denoising.trust.maps.trust_of`.
        settings: of the method's own ``run``: ``progress``, ``seed`` where it draws numbers, and what switches its
            parts off (``phases``, ``refine``, ``detail``).

    Returns:
        The result on the input's grid, in its dtype; its record's ``denoising`` tells the settings. With ``trust``, the
        result and its maps of trust.

    Raises:
        CtgridError: for a bad volume, method or strength, or a model that cannot tell trust.
    """
    scan = volume if isinstance(volume, Volume) else Volume.read(volume)
    method = method or default_method(model)
    check_settings(method, settings)
    if trust:
        from ctgrid.methods.denoising.trust.maps import load_table, trust_of

        load_table(model)  # says what is missing
    loaded = load_method(method, model=model, device=device, dtype=dtype, weights=weights)
    result = loaded.run(scan, strength, **settings)
    clean = replace(result.volume, record={**result.volume.record, "denoising": result.settings})
    return (clean, trust_of(scan, clean, model)) if trust else clean


def check_settings(method: str, settings: dict[str, Any]) -> None:
    """Refuse settings that a method does not have.

    Raises:
        CtgridError: with those that it has.
    """
    known = find_method(method).keywords
    unknown = set(settings) - {*known, "progress"}
    if unknown:
        raise CtgridError(
            f"method {method!r} has no setting {', '.join(sorted(unknown))}; it takes {', '.join(known) or 'none'}"
        )
