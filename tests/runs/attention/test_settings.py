"""What is asked of ``ctgrid attention``: tokens as typed, levels of the schedule alone."""

from __future__ import annotations

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import all_settings
from ctgrid.runs.attention.settings import AttentionSettings, read_token


def test_tokens_as_typed() -> None:
    assert read_token("5, 2,0") == (5, 2, 0)
    for text in ("", "1,2", "1,2,3,4", "-1,0,0", "a,0,0", "1.5,0,0"):
        with pytest.raises(CtgridError, match="is not CELL,ROW,COL"):
            read_token(text)
    with pytest.raises(CtgridError, match="timestep must lie in 0 to 999, got -1"):
        AttentionSettings(timestep=(-1,))


def test_a_token_is_written_as_it_is_read() -> None:
    said = all_settings(AttentionSettings)["token"].said
    assert said.read is not None and said.write((5, 2, 0)) == "5,2,0" and said.read(said.write((5, 2, 0))) == (5, 2, 0)


def test_every_level_of_the_schedule_may_be_asked_for() -> None:
    assert AttentionSettings(timestep=(0, 999)).timestep == (0, 999)
    for wrong in ((1000,), (5, -1)):
        with pytest.raises(CtgridError, match=f"0 to 999, got {wrong[-1]}"):
            AttentionSettings(timestep=wrong)
    with pytest.raises(CtgridError, match="steps must be at least 1"):
        AttentionSettings(steps=0)
    with pytest.raises(CtgridError, match=r"unknown sampler 'x'; known: dpm\+\+"):
        AttentionSettings(sampler="x")


@pytest.mark.parametrize("said", [{"block": (99,)}, {"timestep": (5,)}, {"steps": 3}, {"sampler": "ddpm"}])
def test_positions_ask_nothing_of_attention(said: dict[str, object]) -> None:
    """What would have no effect is refused."""
    assert AttentionSettings(positions=True, token=(0, 0, 0)).positions
    with pytest.raises(CtgridError, match=f"leave {next(iter(said))} out"):
        AttentionSettings(positions=True, **said)  # type: ignore[arg-type]
