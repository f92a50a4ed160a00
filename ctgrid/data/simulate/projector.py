"""Line integrals of slices and filtered back-projection, fan or parallel beam, many slices at once.

Slices are the last, contiguous dimension: one table row holds the same pixel of every slice, so that each
interpolation index is computed once and serves all of them. Both directions are weighted sums of table rows,
which is ``torch.nn.functional.embedding_bag``.

A ray is a line x cos θ + y sin θ = t, in mm from the centre of the slice. A fan at angle β has its source at
R (−sin β, cos β); its ray at fan angle γ is the line θ = β + γ, t = R sin γ (Kak & Slaney 1988, chapter 3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import embedding_bag

Beam = Literal["fan", "parallel"]

SOURCE_MM = 570.0
"""Source to isocentre of a common scanner."""

VIEWS_PER_512 = {"fan": 984, "parallel": 720}
"""Views of a full turn (fan) or half a turn (parallel) for slices of 512 pixels; in proportion for others."""

LEAST_VIEWS = 180
FINE = 4
"""Filtered samples per channel: so fine that each pixel takes the nearest one."""

TAPS = 1 << 21  # interpolation weights at once: 24 MiB of indices and weights


@dataclass(frozen=True)
class Scanner:
    """The rays of one axial scan over a grid of pixels.

    Attributes:
        beam: "fan": equal fan angles over a full turn; "parallel": over half a turn.
        ny, nx: pixels of a slice.
        dy, dx: their spacing in mm.
        views: angles, equally spaced.
        channels: rays of a view; they cover the slice's diagonal.
        pitch_mm: distance of neighbouring rays at the isocentre.
        source_mm: from the source to the isocentre, of a fan.
    """

    beam: Beam
    ny: int
    nx: int
    dy: float
    dx: float
    views: int
    channels: int
    pitch_mm: float
    source_mm: float

    @property
    def angles(self) -> Tensor:
        """Return the view angles in radians, float64 (views,)."""
        turn = 2 * math.pi if self.beam == "fan" else math.pi
        return torch.arange(self.views, dtype=torch.float64) * (turn / self.views)

    @property
    def step(self) -> float:
        """Distance of neighbouring channels: radians for a fan, mm for parallel rays."""
        return self.pitch_mm / self.source_mm if self.beam == "fan" else self.pitch_mm

    @property
    def offsets(self) -> Tensor:
        """Return the channels' fan angles in radians or distances in mm, float64 (channels,)."""
        return (torch.arange(self.channels, dtype=torch.float64) - (self.channels - 1) / 2) * self.step

    def lines(self) -> tuple[Tensor, Tensor]:
        """Return θ and t of every ray, float64 (views, channels), in radians and mm."""
        angles, offsets = torch.broadcast_tensors(self.angles[:, None], self.offsets[None, :])
        if self.beam == "parallel":
            return angles, offsets
        return angles + offsets, self.source_mm * torch.sin(offsets)

    def coarser(self) -> Scanner:
        """Return a scanner of the same views with pixels and channels twice as large."""
        ny, nx = -(-self.ny // 2), -(-self.nx // 2)
        return Scanner(
            self.beam, ny, nx, 2 * self.dy, 2 * self.dx, self.views, self.channels // 2, 2 * self.pitch_mm,
            self.source_mm,
        )  # fmt: skip


def scanner_for(shape: tuple[int, int], spacing_mm: tuple[float, float], beam: Beam) -> Scanner:
    """Return a scanner whose rays are as dense as the pixels and cover all of them, corners included.

    Args:
        shape: pixels (y, x).
        spacing_mm: their spacing (y, x).
        beam: "fan" or "parallel".
    """
    (ny, nx), (dy, dx) = shape, spacing_mm
    radius = math.hypot(ny * dy, nx * dx) / 2
    pitch = min(dy, dx)
    source = max(SOURCE_MM, 1.2 * radius)
    half = radius / pitch if beam == "parallel" else math.asin(radius / source) * source / pitch
    views = max(LEAST_VIEWS, round(VIEWS_PER_512[beam] * max(ny, nx) / 512))
    return Scanner(beam, ny, nx, dy, dx, views, 2 * math.ceil(half) + 4, pitch, source)


def project(images: Tensor, scanner: Scanner) -> Tensor:
    """Return the line integrals of images, by Joseph's (1982) method.

    A ray that runs mostly along y is a sum over rows, linearly interpolated in x, and the other way round.

    Args:
        images: (y, x, b) float32, per mm; what lies outside is 0.
        scanner: the rays.

    Returns:
        (views, channels, b) float32.
    """
    theta, t = (rearrange(a, "v c -> (v c)") for a in scanner.lines())
    along_y = theta.cos().abs() >= theta.sin().abs()
    out = images.new_empty((theta.numel(), images.shape[-1]))
    by_rows = rearrange(images, "y x b -> (y x) b")
    by_columns = rearrange(images, "y x b -> (x y) b")
    y_mm, x_mm = _centres(scanner.ny, scanner.dy), _centres(scanner.nx, scanner.dx)
    for chosen, table, main, cross, count in (
        (along_y, by_rows, y_mm, x_mm, scanner.nx),
        (~along_y, by_columns, x_mm, y_mm, scanner.ny),
    ):
        rays = chosen.nonzero()[:, 0]
        spacing = float(cross[1] - cross[0]) if count > 1 else 1.0
        step = float(main[1] - main[0]) if len(main) > 1 else 1.0
        rows = (torch.arange(len(main)) * count).to(torch.int32)[:, None]
        for part in rays.split(max(1, TAPS // (2 * len(main)))):
            cos, sin = theta[part].cos(), theta[part].sin()
            a, b = (cos, sin) if table is by_rows else (sin, cos)  # cross · a + main · b = t
            start = ((t[part] / a - cross[0]) / spacing).to(torch.float32)
            slope = (-b / a / spacing).to(torch.float32)
            where = torch.addcmul(start[:, None], slope[:, None], main.to(torch.float32)[None])
            index, weight = _lerp(where, count)
            weight *= (step / a.abs()).to(torch.float32)[:, None, None]
            flat = rearrange(index + rows, "r n k -> r (n k)")
            weights = rearrange(weight, "r n k -> r (n k)")
            out[part] = embedding_bag(flat, table, per_sample_weights=weights, mode="sum")
    return rearrange(out, "(v c) b -> v c b", v=scanner.views)


def reconstruct(sinogram: Tensor, scanner: Scanner, cutoff_per_mm: float) -> Tensor:
    """Reconstruct slices by filtered back-projection.

    Fan: f = ∫ dβ / L² · [R cos γ p(β, γ)] * [½ (γ / sin γ)² h(γ)] (Kak & Slaney 1988, equation 3.4.1 ff.).
    The filtered views are computed at :data:`FINE` times the channels, so that nothing need be interpolated.

    Args:
        sinogram: (views, channels, b) float32 line integrals.
        scanner: their rays.
        cutoff_per_mm: where the Hann window over the ramp reaches 0.

    Returns:
        (y, x, b) float32, per mm.
    """
    kernel = filter_matrix(scanner, cutoff_per_mm)
    if scanner.beam == "fan":
        kernel = kernel * (scanner.source_mm * torch.cos(scanner.offsets))[None, :]
    filtered = torch.matmul(kernel.to(torch.float32), sinogram)
    return back_project(filtered, scanner)


def filter_matrix(scanner: Scanner, cutoff_per_mm: float) -> Tensor:
    """Return the apodised ramp as a matrix from channels to :data:`FINE` times as many, float64 (4c, c).

    The band-limited ramp (Ramachandran & Lakshminarayanan 1971) times a Hann window, in steps of half a fine
    channel, as the fine channels lie half of one off the coarse ones.
    """
    n, parts = scanner.channels, 2 * FINE
    size = 1 << math.ceil(math.log2(2 * parts * n))
    frequency = torch.fft.rfftfreq(size, 1 / parts, dtype=torch.float64) / scanner.pitch_mm
    window = torch.where(
        frequency < min(cutoff_per_mm, 0.5 / scanner.pitch_mm),
        0.5 + 0.5 * torch.cos(math.pi * frequency / cutoff_per_mm),
        0.0,
    )
    steps = torch.arange(size, dtype=torch.float64)
    steps = torch.minimum(steps, size - steps)
    tau = scanner.step / parts
    ramp = torch.where(steps % 2 == 1, -1 / (math.pi * steps.clamp(min=1) * tau) ** 2, 0.0)
    ramp[0] = 1 / (4 * tau**2)
    kernel = torch.fft.irfft(torch.fft.rfft(ramp) * window, size) * scanner.step
    distance = (2 * torch.arange(FINE * n)[:, None] + 1 - FINE) - parts * torch.arange(n)[None, :]
    matrix = kernel[distance % size]
    if scanner.beam == "fan":
        matrix = matrix * 0.5 / torch.sinc(distance * (tau / math.pi)) ** 2
    return matrix


def back_project(filtered: Tensor, scanner: Scanner) -> Tensor:
    """Sum filtered views over the pixels, each where its ray meets the detector.

    Args:
        filtered: (views, FINE · channels, b) float32.
        scanner: the rays.

    Returns:
        (y, x, b) float32.
    """
    count = filtered.shape[1]
    table = rearrange(filtered, "v c b -> (v c) b")
    cos, sin = scanner.angles.cos().to(torch.float32), scanner.angles.sin().to(torch.float32)
    rows = (torch.arange(scanner.views) * count).to(torch.int32)
    turn = 2 * math.pi if scanner.beam == "fan" else math.pi
    y, x = torch.meshgrid(_centres(scanner.ny, scanner.dy), _centres(scanner.nx, scanner.dx), indexing="ij")
    y, x = (rearrange(a, "y x -> (y x) 1").to(torch.float32) for a in (y, x))
    out = filtered.new_empty((scanner.ny * scanner.nx, filtered.shape[-1]))
    for part in torch.arange(len(out)).split(max(1, TAPS // scanner.views)):
        u, weights = x[part] * cos + y[part] * sin, None
        if scanner.beam == "fan":
            depth = scanner.source_mm - (y[part] * cos - x[part] * sin)
            weights = (u.square() + depth.square()).reciprocal_()
            u = torch.atan2(u, depth)
        index = u.mul_(FINE / scanner.step).add_((count - 1) / 2).round_().clamp_(0, count - 1).to(torch.int32)
        out[part] = embedding_bag(index.add_(rows), table, per_sample_weights=weights, mode="sum")
    return rearrange(out.mul_(turn / scanner.views), "(y x) b -> y x b", y=scanner.ny)


def _centres(count: int, spacing: float) -> Tensor:
    """Return pixel centres in mm from the middle, float64 (count,)."""
    return (torch.arange(count, dtype=torch.float64) - (count - 1) / 2) * spacing


def _lerp(where: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return both neighbours of fractional indices and their weights, 0 outside [0, count).

    Args:
        where: any shape, float32.
        count: entries.

    Returns:
        Indices, int32, and weights, float32, each of shape (*where, 2).
    """
    low = where.floor()
    upper = where - low
    first = low.to(torch.int32)
    index = torch.stack((first, first + 1), -1)
    weight = torch.stack((1 - upper, upper), -1)
    weight *= (index >= 0) & (index < count)
    return index.clamp_(0, count - 1), weight
