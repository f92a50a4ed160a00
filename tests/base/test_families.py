"""One look-up for all families, one form of saying that there is no such member."""

from __future__ import annotations

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.families import look_up, unknown

TABLE = {"ddpm": 1, "ddim": 2, "heun": 3}


def test_a_member_goes_by_its_name() -> None:
    assert look_up(TABLE, "ddim", "sampler") == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("huen", "unknown sampler 'huen'; known: ddpm, ddim, heun; did you mean heun?"),
        ("euler", "unknown sampler 'euler'; known: ddpm, ddim, heun"),
        (None, "unknown sampler None; known: ddpm, ddim, heun"),
        (["ddpm"], "unknown sampler ['ddpm']; known: ddpm, ddim, heun; did you mean ddpm?"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(name: object, said: str) -> None:
    with pytest.raises(CtgridError) as caught:
        look_up(TABLE, name, "sampler")
    assert str(caught.value) == said
    assert str(unknown(name, "sampler", TABLE, "a.json")) == f"a.json: {said}"
