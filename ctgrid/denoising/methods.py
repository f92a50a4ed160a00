"""Every denoising method by its name, and the one call that uses any of them.

A new method is one entry of :data:`METHODS`: a name, one line about it, how much of a volume it looks at, and
how it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ctgrid.denoising.result import Denoiser, Strength
from ctgrid.errors import CtgridError
from ctgrid.volume import Volume


@dataclass(frozen=True)
class Loading:
    """What a method may need to be loaded; each takes what concerns it.

    Attributes:
        model: ``embedded`` or a folder, for methods with networks of ctgrid's.
        device: ``auto``, ``cpu`` or ``cuda``.
        dtype: ``auto``, ``float32`` or ``bfloat16``.
        weights: a checkpoint from elsewhere.
    """

    model: str = "embedded"
    device: str = "auto"
    dtype: str = "auto"
    weights: Path | None = None


@dataclass(frozen=True)
class Method:
    """One way to denoise.

    Attributes:
        name: as users write it.
        summary: one line.
        load: makes it ready to run.
        context: slices on either side that a slice's result depends on; None for the whole volume.
        settings: keywords of its ``run`` that users may give.
        classical: whether it is a filter to be compared with.
    """

    name: str
    summary: str
    load: Callable[[Loading], Denoiser]
    context: int | None = None
    settings: tuple[str, ...] = field(default=())
    classical: bool = False


def _load_grid(loading: Loading) -> Denoiser:
    from ctgrid.pipelines.denoise import DenoisePipeline

    return DenoisePipeline.load(model=loading.model, device=loading.device, dtype=loading.dtype)


def _load_generatect(loading: Loading) -> Denoiser:
    from ctgrid.baselines.generatect import GenerateCT

    return GenerateCT.load(loading.weights, loading.device)


def _load_classical(name: str, loading: Loading) -> Denoiser:
    from ctgrid.baselines.classical import CLASSICAL

    return CLASSICAL[name]


def _classical(name: str, summary: str) -> Method:
    return Method(name, summary, partial(_load_classical, name), context=0, classical=True)


DEFAULT_METHOD = "grid"

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "grid",
            "grid diffusion with both stages (Algorithm 3, keeping the share of the scan that its noise allows)",
            _load_grid,
            settings=("seed", "steps", "refine_steps", "batch_size"),
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
            settings=("seed",),
        ),
    )
}


def find_method(name: str) -> Method:
    """Return a method by its name.

    Raises:
        CtgridError: with the names there are.
    """
    if name not in METHODS:
        raise CtgridError(f"no denoising method {name!r}; there are {', '.join(METHODS)}")
    return METHODS[name]


def load_method(
    name: str = DEFAULT_METHOD,
    *,
    model: str = "embedded",
    device: str = "auto",
    dtype: str = "auto",
    weights: str | Path | None = None,
) -> Denoiser:
    """Load a method once, to run it on many volumes.

    Args:
        name: one of :data:`METHODS`.
        model: see :class:`Loading`; likewise the others.
        device: where networks run.
        dtype: their number format.
        weights: a checkpoint, for the methods that come without.

    Raises:
        CtgridError: where there is no such method, or what it needs is missing.
    """
    return find_method(name).load(Loading(model, device, dtype, None if weights is None else Path(weights)))


def denoise(
    volume: Volume | str | Path,
    method: str = DEFAULT_METHOD,
    strength: Strength = "auto",
    *,
    model: str = "embedded",
    device: str = "auto",
    dtype: str = "auto",
    weights: str | Path | None = None,
    **settings: Any,
) -> Volume:
    """Denoise one volume in a single call.

    Args:
        volume: a volume or the path of one.
        method: one of :data:`METHODS`.
        strength: the noise's standard deviation in HU, or "auto" to estimate it.
        model: ``embedded`` or a folder, for methods with networks of ctgrid's.
        device: ``auto``, ``cpu`` or ``cuda``.
        dtype: ``auto``, ``float32`` or ``bfloat16``.
        weights: a checkpoint, for the methods that come without.
        settings: of the method's own ``run``: ``progress``, and ``seed`` where it draws numbers.

    Returns:
        The result on the input's grid, in its dtype; its record's ``denoising`` tells the settings.

    Raises:
        CtgridError: for a bad volume, method or strength.
    """
    scan = volume if isinstance(volume, Volume) else Volume.read(volume)
    unknown = set(settings) - {*find_method(method).settings, "progress"}
    if unknown:
        raise CtgridError(
            f"method {method!r} has no setting {', '.join(sorted(unknown))}; "
            f"it takes {', '.join(find_method(method).settings) or 'none'}"
        )
    loaded = load_method(method, model=model, device=device, dtype=dtype, weights=weights)
    result = loaded.run(scan, strength, **settings)
    return replace(result.volume, record={**result.volume.record, "denoising": result.settings})
