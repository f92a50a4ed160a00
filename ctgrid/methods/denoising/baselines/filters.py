"""Classical filters of one slice. All take HU and the noise in HU, so that one setting serves every noise level.

A slice is (y, x) float32 in HU, any values; ``noise_hu`` is the standard deviation of its noise, above 0.
"""

from __future__ import annotations

from itertools import product

import numpy as np

COLOUR_BINS = 10_000
"""Entries of the bilateral filter's table of weights; fewer are visible at low noise."""

FLOW_STEP, DIFFUSION_STEP = 0.125, 0.125
"""Time steps in pixels squared at which ITK's two curvature filters are stable in two dimensions."""


def bilateral(hu: np.ndarray, noise_hu: float, *, window: int, colour: float, spatial_px: float) -> np.ndarray:
    """Average neighbours that are near in place and in value (Tomasi & Manduchi 1998).

    Args:
        hu: the slice.
        noise_hu: its noise.
        window: pixels along the side of the neighbourhood, odd.
        colour: width of the Gaussian over values, as a multiple of the noise.
        spatial_px: width of the Gaussian over places, pixels.
    """
    from skimage.restoration import denoise_bilateral

    low = float(hu.min())  # scikit-image takes no negative values
    result = denoise_bilateral(
        hu - low,
        win_size=window,
        sigma_color=colour * noise_hu,
        sigma_spatial=spatial_px,
        bins=COLOUR_BINS,
        mode="edge",
    )
    return np.asarray(result, np.float32) + np.float32(low)


def nlm(hu: np.ndarray, noise_hu: float, *, patch: int, distance: int, h: float, sigma: float) -> np.ndarray:
    """Average pixels whose surroundings look alike (Buades et al. 2005; Darbon et al. 2008 for the fast mode).

    Args:
        hu: the slice.
        noise_hu: its noise.
        patch: pixels along the side of the surroundings that are compared.
        distance: how far away they are looked for, pixels.
        h: cut-off of the weights, as a multiple of the noise.
        sigma: noise whose part in the differences is subtracted, as a multiple of the noise.
    """
    from skimage.restoration import denoise_nl_means

    result = denoise_nl_means(
        hu, patch_size=patch, patch_distance=distance, h=h * noise_hu, sigma=sigma * noise_hu, fast_mode=True
    )
    return np.asarray(result, np.float32)


def tv(hu: np.ndarray, noise_hu: float, *, weight: float, steps: int) -> np.ndarray:
    """Minimise total variation plus squared difference (Rudin et al. 1992; Chambolle 2004).

    Args:
        hu: the slice.
        noise_hu: its noise.
        weight: of the total variation, as a multiple of the noise.
        steps: iterations, all of which are made: stopping by tolerance makes the result jump with the weight.
    """
    from skimage.restoration import denoise_tv_chambolle

    return np.asarray(denoise_tv_chambolle(hu, weight=weight * noise_hu, eps=0.0, max_num_iter=steps), np.float32)


def wavelet(
    hu: np.ndarray,
    noise_hu: float,
    *,
    name: str,
    mode: str,
    shrinkage: str,
    sigma: float,
    levels: int | None,
    shifts: int,
) -> np.ndarray:
    """Shrink wavelet coefficients (Chang et al. 2000), averaged over shifts (Coifman & Donoho 1995).

    Args:
        hu: the slice.
        noise_hu: its noise.
        name: of the wavelet, as PyWavelets has it.
        mode: "soft" or "hard" thresholds.
        shrinkage: "BayesShrink" or "VisuShrink".
        sigma: noise that the thresholds are made for, as a multiple of the noise.
        levels: of the decomposition, fewer in small slices; None takes scikit-image's choice.
        shifts: the mean is taken over shifts of 0 to this many pixels along both axes.
    """
    import pywt
    from skimage.restoration import denoise_wavelet

    most = pywt.dwt_max_level(min(hu.shape), name)
    depth = max(1, most - 3 if levels is None else min(levels, most))
    total = np.zeros(hu.shape, np.float64)
    for shift in product(range(shifts + 1), repeat=2):
        total += np.roll(
            denoise_wavelet(
                np.roll(hu, shift, (0, 1)),
                sigma=sigma * noise_hu,
                wavelet=name,
                mode=mode,
                method=shrinkage,
                wavelet_levels=depth,
                rescale_sigma=False,
            ),
            (-shift[0], -shift[1]),
            (0, 1),
        )
    return (total / (shifts + 1) ** 2).astype(np.float32)


def curvature_flow(hu: np.ndarray, noise_hu: float, *, time: float) -> np.ndarray:
    """Let level lines move by their curvature (Sethian 1996), as ITK does.

    Args:
        hu: the slice.
        noise_hu: its noise.
        time: how long at a noise of 100 HU, pixels squared; it grows with the noise.
    """
    import SimpleITK as sitk

    steps = _steps(time, noise_hu, FLOW_STEP)
    return _through_itk(hu, lambda image: sitk.CurvatureFlow(image, timeStep=FLOW_STEP, numberOfIterations=steps))


def anisotropic_diffusion(hu: np.ndarray, noise_hu: float, *, time: float, conductance: float) -> np.ndarray:
    """Curvature flow that stops at edges (Whitaker & Xue 2001), as ITK does.

    Args:
        hu: the slice.
        noise_hu: its noise.
        time: how long at a noise of 100 HU, pixels squared; it grows with the noise.
        conductance: how strong an edge may be and still be smoothed, in mean gradients.
    """
    import SimpleITK as sitk

    steps = _steps(time, noise_hu, DIFFUSION_STEP)
    return _through_itk(
        hu,
        lambda image: sitk.CurvatureAnisotropicDiffusion(
            image, timeStep=DIFFUSION_STEP, conductanceParameter=conductance, numberOfIterations=steps
        ),
    )


def patch_based(
    hu: np.ndarray, noise_hu: float, *, radius: int, samples: int, spread_px: float, bandwidth: float, iterations: int
) -> np.ndarray:
    """Move pixels towards others with like surroundings, sampled nearby (Awate & Whitaker 2006), as ITK does.

    Args:
        hu: the slice.
        noise_hu: its noise.
        radius: of the surroundings, pixels.
        samples: surroundings looked at per pixel.
        spread_px: standard deviation of their distance, pixels.
        bandwidth: of the kernel over differences, as a multiple of the noise.
        iterations: gradient steps.
    """
    import SimpleITK as sitk

    method = sitk.PatchBasedDenoisingImageFilter()
    method.SetPatchRadius(radius)
    method.SetNumberOfSamplePatches(samples)
    method.SetSampleVariance(spread_px**2)
    method.SetNumberOfIterations(iterations)
    method.KernelBandwidthEstimationOff()
    # ITK maps the slice's values to 0..100 before it compares them
    method.SetKernelBandwidthSigma(bandwidth * noise_hu * 100 / max(float(np.ptp(hu)), 1.0))
    return _through_itk(hu, method.Execute)


def _steps(time: float, noise_hu: float, step: float) -> int:
    return max(1, round(time * noise_hu / 100 / step))


def _through_itk(hu: np.ndarray, method: object) -> np.ndarray:
    import SimpleITK as sitk

    assert callable(method)
    return np.asarray(sitk.GetArrayFromImage(method(sitk.GetImageFromArray(hu))), np.float32)
