"""Position tables: the published ones, the equation token by token, and absolute z."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.positions import (
    MODES,
    identify_table,
    part_widths,
    position_table,
    to_cells,
    with_absolute_z,
)


def slow_code(position: float, width: int) -> list[float]:
    """Sine-cosine code of one position, term by term."""
    angles = [position * 10000 ** (-j / (width / 2)) for j in range(width // 2)]
    return [math.sin(a) for a in angles] + [math.cos(a) for a in angles]


@pytest.mark.parametrize(("width", "side", "k"), [(48, 8, 4), (36, 6, 2), (256, 4, 4), (96, 5, 1)])
def test_grid_table_follows_the_equation(width: int, side: int, k: int) -> None:
    """Every token's row is the code of its own depth, height and width (Eq. 3-5)."""
    m = side // k
    parts = part_widths(width)
    rows = []
    for i in range(side):
        for j in range(side):
            place = (i // m) * k + j // m, i % m, j % m
            rows.append([v for p, w in zip(place, parts, strict=True) for v in slow_code(p, w)])
    torch.testing.assert_close(position_table(width, side, k, "grid"), torch.tensor(rows), atol=1e-6, rtol=0)


def test_depth_major_matches_the_published_table(golden_dir: Path) -> None:
    """The table of DiT-XL/2 at 512, every 48th dimension, bit for bit."""
    golden = load_file(golden_dir / "pos_embed_xl2_512_every48th_dim.safetensors")["pos_embed_3d_depth_major"]
    assert torch.equal(position_table(1152, 32, 4, "depth_major")[:, ::48], golden)


def test_depth_major_lists_the_grid_codes_cell_by_cell() -> None:
    """The published bug is an order, nothing else."""
    grid = position_table(48, 8, 4, "grid")
    depth_major = position_table(48, 8, 4, "depth_major")
    assert torch.equal(to_cells(grid, 4).flatten(0, 1), depth_major)
    assert not torch.equal(grid, depth_major)


def test_2d_table_is_that_of_plain_dit() -> None:
    """Compare with the table diffusers builds for DiT."""
    from diffusers.models.embeddings import get_2d_sincos_pos_embed

    oracle = torch.as_tensor(get_2d_sincos_pos_embed(64, 6, base_size=6, output_type="pt")).float()
    torch.testing.assert_close(position_table(64, 6, 1, "2d"), oracle, atol=1e-6, rtol=0)


@given(width=st.integers(6, 600).map(lambda n: 2 * (n // 2)))
def test_parts_are_even_and_fill_the_width(width: int) -> None:
    """Height and width get ⌊D/3⌋, or one less where that is odd; depth gets the rest."""
    depth, height, wide = part_widths(width)
    assert depth + height + wide == width
    assert height == wide == width // 3 - (width // 3) % 2
    assert depth % 2 == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("k", [2, 4])
def test_identify_table_names_mode_and_grid(mode: str, k: int) -> None:
    """A table is recognised, rounded to half precision or not; a perturbed one is not."""
    table = position_table(96, 8, k, mode)  # type: ignore[arg-type]
    found = identify_table(table[None].half())
    assert found is not None
    assert found[0] == mode
    assert mode == "2d" or found[1] == k
    table[3, 5] += 0.1
    assert identify_table(table) is None


@settings(max_examples=20, deadline=None)
@given(shift=st.floats(0, 200), scale=st.floats(0.1, 2))
def test_absolute_z_is_the_depth_code_of_the_slice(shift: float, scale: float) -> None:
    """Cell c of a run that starts at ``shift`` has the code of depth (shift + c) · scale."""
    cells = to_cells(position_table(48, 8, 4), 4)
    z = torch.arange(16.0)[None] + shift
    moved = with_absolute_z(cells, z, scale)
    assert torch.equal(moved[0, :, :, 16:], cells[:, :, 16:])
    expected = torch.tensor([slow_code((c + shift) * scale, 16) for c in range(16)])
    for token in range(4):
        torch.testing.assert_close(moved[0, :, token, :16], expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((48, 8, 3, "grid"), "8 tokens per side do not divide into 3 cells"),
        ((47, 8, 4, "grid"), "width must be even"),
        ((50, 8, 1, "2d"), "multiple of 4"),
        ((48, 8, 4, "raster"), "grid, depth_major, 2d"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple[int, int, int, str], message: str) -> None:
    """Each rule that is broken is said."""
    with pytest.raises(CtgridError, match=message):
        position_table(*arguments)  # type: ignore[arg-type]
