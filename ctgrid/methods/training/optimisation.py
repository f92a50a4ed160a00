"""The loop's part of a recipe: how it optimises, what it looks at meanwhile, where the numbers go."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ctgrid.methods.training.recipes import (
    Frozen,
)


class Optimisation(Frozen):
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


class Validation(Frozen):
    """What is looked at while training goes on, with the averaged weights."""

    every: int = Field(0, ge=0, description="optimizer steps between two looks; 0 never looks")
    examples: int = Field(64, gt=0, description="examples of the validation data, always the same")
    picture_steps: int = Field(20, gt=0, description="sampler steps of the picture")


class Monitor(Frozen):
    """Where the numbers go besides log.jsonl."""

    tensorboard: bool = True
    wandb: str | None = Field(None, description="name of a Weights & Biases project; needs the package wandb")
