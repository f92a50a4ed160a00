"""The projector against line integrals and images known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ctgrid.data.simulate.projector import FINE, Beam, Scanner, back_project, project, reconstruct, scanner_for

MU = 0.02  # per mm

# centre x, y, half axes and turn of ellipses in mm and radians, and their attenuation in units of MU, as a head
ELLIPSES = (
    (0.0, 0.0, 60.0, 80.0, 0.0, 1.0),
    (18.0, 5.0, 10.0, 28.0, -0.3, -0.2),
    (-20.0, 8.0, 14.0, 34.0, 0.3, -0.2),
    (4.0, -30.0, 16.0, 20.0, 0.0, 0.1),
)


def drawn(ny: int, nx: int, dy: float, dx: float, fine: int = 8) -> torch.Tensor:
    """Draw the ellipses with antialiased edges, (y, x, 2) per mm; the second image is half the first."""
    y = (np.arange(ny * fine) - (ny * fine - 1) / 2)[:, None] * dy / fine
    x = (np.arange(nx * fine) - (nx * fine - 1) / 2)[None, :] * dx / fine
    image = np.zeros((ny * fine, nx * fine), np.float32)
    for cx, cy, a, b, turn, value in ELLIPSES:
        along = (x - cx) * math.cos(turn) + (y - cy) * math.sin(turn)
        across = (y - cy) * math.cos(turn) - (x - cx) * math.sin(turn)
        image += value * ((along / a) ** 2 + (across / b) ** 2 <= 1)
    image = image.reshape(ny, fine, nx, fine).mean((1, 3)) * MU
    return torch.from_numpy(np.stack((image, image / 2), -1).astype(np.float32))


def integrals(scanner: Scanner) -> torch.Tensor:
    """Return the ellipses' line integrals (Kak & Slaney 1988, equation 3.1.5)."""
    theta, t = scanner.lines()
    total = torch.zeros_like(t)
    for cx, cy, a, b, turn, value in ELLIPSES:
        shifted = t - cx * theta.cos() - cy * theta.sin()
        width = a**2 * (theta - turn).cos() ** 2 + b**2 * (theta - turn).sin() ** 2
        total += value * MU * 2 * a * b / width * (width - shifted**2).clamp(min=0).sqrt()
    return total


@pytest.mark.parametrize("beam", ["fan", "parallel"])
@pytest.mark.parametrize(("shape", "spacing"), [((128, 128), (1.5, 1.5)), ((120, 101), (1.5, 1.9))])
class TestEllipses:
    def test_line_integrals(self, beam: Beam, shape: tuple[int, int], spacing: tuple[float, float]) -> None:
        scanner = scanner_for(shape, spacing, beam)
        sinogram, exact = project(drawn(*shape, *spacing), scanner), integrals(scanner)
        assert sinogram.shape == (scanner.views, scanner.channels, 2)
        error = (sinogram[..., 0] - exact).abs()
        assert float(error.mean()) < 0.003 * float(exact.max())
        assert float(error.max()) < 0.12 * float(exact.max())  # at edges, where the integral is not smooth
        torch.testing.assert_close(sinogram[..., 1] * 2, sinogram[..., 0])

    def test_reconstruction_from_exact_integrals(
        self, beam: Beam, shape: tuple[int, int], spacing: tuple[float, float]
    ) -> None:
        scanner = scanner_for(shape, spacing, beam)
        exact = integrals(scanner).float()[..., None]
        hu = (reconstruct(exact, scanner, cutoff_per_mm=1.0)[..., 0] / MU - 1) * 1000
        truth = (drawn(*shape, *spacing)[..., 0] / MU - 1) * 1000
        y = (torch.arange(shape[0]) - (shape[0] - 1) / 2)[:, None] * spacing[0]
        x = (torch.arange(shape[1]) - (shape[1] - 1) / 2)[None, :] * spacing[1]
        for cx, cy, level in (
            (18.0, 5.0, -200),
            (-20.0, 8.0, -200),
            (4.0, -32.0, 100),
            (0.0, 65.0, 0),
            (72.0, 60.0, -1000),
        ):
            patch = ((x - cx) ** 2 + (y - cy) ** 2) < 5**2
            assert float(truth[patch].mean()) == pytest.approx(level, abs=1)
            assert float(hu[patch].mean()) == pytest.approx(level, abs=4)


def test_a_disc_comes_back_within_a_few_hu() -> None:
    scanner = scanner_for((96, 96), (2.0, 2.0), "fan")
    theta, t = scanner.lines()
    exact = 2 * MU * (70**2 - (t - 12 * theta.cos()) ** 2).clamp(min=0).sqrt()
    image = reconstruct(exact.float()[..., None], scanner, 0.25)[..., 0]
    c = (torch.arange(96) - 47.5) * 2.0
    inside = (c[None] - 12) ** 2 + c[:, None] ** 2 < 60**2
    error = (image[inside] / MU - 1) * 1000
    assert abs(float(error.mean())) < 0.5 and float(error.std()) < 3


def test_back_projection_of_one_ray_is_its_line() -> None:
    scanner = scanner_for((64, 64), (1.0, 1.0), "parallel")
    views = torch.zeros(scanner.views, FINE * scanner.channels, 1)
    channel = scanner.channels // 2 + 10  # of angle 0: the line x = 10.5 mm
    views[0, FINE * channel : FINE * (channel + 1)] = 1.0
    image = back_project(views, scanner)[..., 0]
    columns = image.sum(0)
    assert int(columns.argmax()) == 42 and torch.count_nonzero(columns) == 1
    assert float(image[:, 42].mean()) == pytest.approx(torch.pi / scanner.views) and float(image.std(0).max()) < 1e-8


def test_slices_do_not_mix() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((40, 40, 16), generator=generator)
    scanner = scanner_for((40, 40), (1.0, 1.0), "fan")
    together = reconstruct(project(images, scanner), scanner, 0.5)
    shifted = reconstruct(project(images.roll(3, -1), scanner), scanner, 0.5)
    torch.testing.assert_close(shifted, together.roll(3, -1), rtol=0, atol=1e-5)
