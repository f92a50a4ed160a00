"""The diffusion transformer: a vision transformer whose layers are modulated by the timestep (adaLN-Zero).

Tokens are kept cell by cell, so that one timestep per cell costs hardly more than one for the whole image;
attention does not mind their order. Parameter names are those of the published checkpoints.

Source: DiT (arXiv 2212.09748), GriDiT (arXiv 2512.21276); written from the equations.
"""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.cell_convolutions import CellConvolutions
from ctgrid.stages.networks.layers import NORM_EPS, Block, FinalLayer, PatchEmbedding, TimestepEmbedding
from ctgrid.stages.networks.own import Count, OwnNetwork, Size, keeps_arguments
from ctgrid.stages.networks.positions import Positions, position_table, to_cells, with_absolute_z

SIZES: dict[str, tuple[int, int, int]] = {  # name: width, depth, heads
    "S": (384, 12, 6),
    "B": (768, 12, 12),
    "L": (1024, 24, 16),
    "XL": (1152, 28, 16),
}


class DiT(OwnNetwork):
    """Latent diffusion transformer for grid images (stage 1) and single slices with a condition (stage 2).

    Args:
        latent_size: side S of the square latent.
        in_channels: C, channels of the noisy latent.
        condition_channels: channels of the condition concatenated to it (0: unconditional).
        patch_size: side of a patch, in latent pixels.
        width: D, width of the tokens.
        depth: number of blocks.
        heads: attention heads; must divide ``width``.
        mlp_ratio: hidden width of the perceptrons over ``width``.
        cells_per_side: K, cells along the side of the grid image (1: a single slice).
        positions: ``grid``, ``depth_major`` (published grid checkpoints) or ``2d`` (plain DiT).
        absolute_z: take the depth of every cell from ``z_index`` rather than 0…K²-1.
        learned_variance: also predict C channels that interpolate the log-variance.
        z_scale: multiplier of ``z_index``.
        frequency_shift: see :func:`ctgrid.stages.networks.layers.timestep_code`; 1 only in networks from diffusers.
        norm_eps: of the normalisation before the perceptrons; 1e-5 only in networks from diffusers.
        own_embedders: every block embeds the timestep by weights of its own, as diffusers trains them.
        convolutions: residual blocks of :class:`ctgrid.stages.networks.cell_convolutions.CellConvolutions` behind the
            others, for ``prediction: x0`` without ``learned_variance``.
        conv_width: their channels.
        skip: add shares of the noisy latent and of the condition to the output, learned by channel and timestep; for
            ``prediction: x0``, where what blocks of little width cannot pass through need not pass. It takes a
            condition of C channels and single slices.

    Raises:
        CtgridError: if an argument is not of its kind, the sizes do not divide, ``skip`` has nothing to add, or
            ``convolutions`` would see variances.
    """

    pos_embed: Tensor
    positions_report: str | None = None
    """Which position table a loaded checkpoint carries; set by :func:`ctgrid.stages.models.load_dit`."""

    @keeps_arguments
    def __init__(
        self,
        latent_size: Size = 64,
        in_channels: Size = 4,
        condition_channels: Count = 0,
        patch_size: Size = 2,
        width: Size = 1152,
        depth: Size = 28,
        heads: Size = 16,
        mlp_ratio: float = 4.0,
        cells_per_side: Size = 4,
        positions: Positions = "grid",
        absolute_z: bool = False,
        learned_variance: bool = True,
        z_scale: float = 1.0,
        frequency_shift: Count = 0,
        norm_eps: float = NORM_EPS,
        own_embedders: bool = False,
        skip: bool = False,
        convolutions: Count = 0,
        conv_width: Count = 64,
    ) -> None:
        super().__init__()
        if latent_size % (patch_size * cells_per_side):
            raise CtgridError(
                f"latent_size {latent_size} must be a multiple of patch_size * cells_per_side = "
                f"{patch_size} * {cells_per_side}"
            )
        if width % heads:
            raise CtgridError(f"width {width} must be a multiple of heads {heads}")
        if round(width * mlp_ratio) < 1:
            raise CtgridError(f"mlp_ratio {mlp_ratio} of width {width} leaves the perceptrons no width")
        if absolute_z and positions != "grid":
            raise CtgridError(f"absolute_z needs positions='grid', got {positions!r}")
        if skip and (condition_channels != in_channels or cells_per_side != 1):
            raise CtgridError(
                f"skip needs a condition of {in_channels} channels and 1 cell per side, got {condition_channels} and "
                f"{cells_per_side}"
            )
        if convolutions and learned_variance:
            raise CtgridError("convolutions correct an estimate alone: set learned_variance to false")
        self.latent_size = latent_size
        self.in_channels = in_channels
        self.condition_channels = condition_channels
        self.patch_size = patch_size
        self.cells_per_side = cells_per_side
        self.absolute_z = absolute_z
        self.z_scale = z_scale
        self.own_embedders = own_embedders
        self.out_channels = in_channels * (2 if learned_variance else 1)
        self.gradient_checkpointing = False

        self.x_embedder = PatchEmbedding(in_channels + condition_channels, width, patch_size)
        self.t_embedder = TimestepEmbedding(width, frequency_shift)
        table = position_table(width, latent_size // patch_size, cells_per_side, positions)
        self.register_buffer("pos_embed", table[None])  # raster order, as published
        embedders = [TimestepEmbedding(width, frequency_shift) if own_embedders else None for _ in range(depth)]
        self.blocks = nn.ModuleList(Block(width, heads, mlp_ratio, norm_eps, own) for own in embedders)
        self.final_layer = FinalLayer(width, patch_size, self.out_channels)
        self.shares = nn.Linear(width, 2 * in_channels) if skip else None
        self.convolved = (
            CellConvolutions(in_channels, cells_per_side, conv_width, convolutions) if convolutions else None
        )
        if not self.final_layer.linear.weight.is_meta:  # shapes alone: weights are read next, or never come
            self.initialise()

    def enable_gradient_checkpointing(self) -> None:
        """Compute the blocks' activations twice in training, rather than keep them."""
        self.gradient_checkpointing = True

    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Draw fresh weights: Xavier for linear layers, zero for gates and output (blocks start as identity).

        Args:
            generator: source of the draws; None uses torch's own.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d):
                nn.init.xavier_uniform_(module.weight.data.flatten(1), generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for embedder in (module for module in self.modules() if isinstance(module, TimestepEmbedding)):
            for linear in (embedder.mlp[0], embedder.mlp[2]):
                assert isinstance(linear, nn.Linear)
                nn.init.normal_(linear.weight, std=0.02, generator=generator)
        silent = [layer.adaLN_modulation[1] for layer in (*self.blocks, self.final_layer)]
        for linear in (*silent, self.final_layer.linear):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
        if self.shares is not None:  # the condition alone, at every level
            nn.init.zeros_(self.shares.weight)
            nn.init.zeros_(self.shares.bias[: self.in_channels])
            nn.init.ones_(self.shares.bias[self.in_channels :])
        if self.convolved is not None:
            self.convolved.initialise()

    def forward(
        self, latent: Tensor, timestep: Tensor, condition: Tensor | None = None, z_index: Tensor | None = None
    ) -> Tensor:
        """Predict the noise (or v), then the variance channels if the model learned them.

        Args:
            latent: noisy latent (B, C, S, S).
            timestep: original timesteps in [0, 1000), (B,) or one per cell (B, K²); -1 marks a clean cell.
            condition: latent of the condition (B, condition_channels, S, S).
            z_index: slice index of every cell (B, K²); needed if and only if ``absolute_z``.

        Returns:
            (B, out_channels, S, S), dtype of ``latent``.

        Raises:
            CtgridError: for a shape that does not fit, or a missing or superfluous condition or ``z_index``.
        """
        self._check(latent, timestep, condition, z_index)
        x = latent if condition is None else torch.cat([latent, condition.to(latent.dtype)], dim=1)
        k, p = self.cells_per_side, self.patch_size
        tokens = self.x_embedder(x.to(self.x_embedder.proj.weight.dtype), k)
        positions = to_cells(self.pos_embed[0], k)
        if z_index is not None:
            positions = with_absolute_z(positions, z_index, self.z_scale)
        tokens = tokens + positions
        t = timestep if timestep.ndim == 2 else timestep[:, None]
        c = self.t_embedder(t)[:, :, None]
        modulation = (c, t) if self.own_embedders else (c,)
        for block in self.blocks:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                tokens = checkpoint(block, tokens, *modulation, use_reentrant=False)
            else:
                tokens = block(tokens, *modulation)
        out = self.final_layer(tokens, c)
        m = self.latent_size // (k * p)
        out = rearrange(out, "b (r s) (h w) (p q c) -> b c (r h p) (s w q)", r=k, h=m, p=p, q=p)
        if self.shares is not None and condition is not None:
            weights = rearrange(self.shares(c), "b 1 1 c -> b c 1 1")
            of_latent, of_condition = weights.chunk(2, dim=1)
            first = out[:, : self.in_channels] + of_latent * latent + of_condition * condition
            out = torch.cat([first, out[:, self.in_channels :]], dim=1)
        if self.convolved is not None:
            out = self.convolved(out, latent, t, z_index)
        return out.to(latent.dtype)

    def _check(self, latent: Tensor, timestep: Tensor, condition: Tensor | None, z_index: Tensor | None) -> None:
        """Refuse arguments that do not fit, naming the one at fault."""
        batch, side, cells = latent.shape[0], self.latent_size, self.cells_per_side**2
        if tuple(latent.shape[1:]) != (self.in_channels, side, side):
            raise CtgridError(f"latent must be (B, {self.in_channels}, {side}, {side}), got {tuple(latent.shape)}")
        if tuple(timestep.shape) not in ((batch,), (batch, cells)):
            raise CtgridError(
                f"timestep must be ({batch},), or ({batch}, {cells}) with one per cell, got {tuple(timestep.shape)}"
            )
        wanted = (batch, self.condition_channels, side, side)
        if self.condition_channels and condition is None:
            raise CtgridError(f"this model needs a condition of shape {wanted}; none was given")
        if condition is not None and not self.condition_channels:
            raise CtgridError("this model takes no condition (condition_channels is 0), but one was given")
        if condition is not None and tuple(condition.shape) != wanted:
            raise CtgridError(f"condition must be {wanted}, got {tuple(condition.shape)}")
        if self.absolute_z and z_index is None:
            raise CtgridError(f"this model uses absolute z: give z_index of shape ({batch}, {cells})")
        if z_index is not None and not self.absolute_z:
            raise CtgridError("this model uses relative positions (absolute_z is False): leave z_index out")
        if z_index is not None and tuple(z_index.shape) != (batch, cells):
            raise CtgridError(f"z_index must be ({batch}, {cells}), got {tuple(z_index.shape)}")


def build_dit(name: str, generator: torch.Generator | None = None, **overrides: Any) -> DiT:
    """Build a DiT by its published name, for example ``S/2``, ``B/4``, ``L/8`` or ``XL/2``.

    Args:
        name: size and patch: ``S``, ``B``, ``L`` or ``XL``, a slash, and 2, 4 or 8.
        generator: source of the initial weights; None uses torch's own.
        overrides: any argument of :class:`DiT`, for example ``latent_size=64, positions="grid"``.

    Raises:
        CtgridError: if the name is unknown.
    """
    size, _, patch = name.partition("/")
    if size not in SIZES or patch not in ("2", "4", "8"):
        raise CtgridError(f"unknown DiT {name!r}: use S, B, L or XL, then /2, /4 or /8, for example S/2")
    width, depth, heads = SIZES[size]
    config = {"width": width, "depth": depth, "heads": heads, "patch_size": int(patch), **overrides}
    model = DiT(**config)
    if generator is not None:
        model.initialise(generator)
    return model
