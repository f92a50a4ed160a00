"""What a schema refuses is one line: where, what, and the key that may have been meant."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ctgrid.base.keys import first_problem


class Strict(BaseModel):
    """Refuses keys that it does not have."""

    model_config = ConfigDict(extra="forbid")


class Inner(Strict):
    """A part."""

    depth: int = Field(1, ge=1)


class Other(Strict):
    """Another."""

    width: int = 1


class Outer(Strict):
    """A whole."""

    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()
    either: Inner | Other | None = None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"iner": {}}, "iner: unknown key; did you mean inner?"),
        ({"inner": {"depht": 2}}, "inner.depht: unknown key; did you mean depth?"),
        ({"many": [{"depth": 1}, {"deph": 2}]}, "many.1.deph: unknown key; did you mean depth?"),
        ({"inner": {"colour": 2}}, "inner.colour: unknown key"),
        ({"inner": {"depth": 0}}, "inner.depth: Input should be greater than or equal to 1"),
    ],
)
def test_place_and_reason(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(values)
    assert first_problem(caught.value, Outer) == said


def test_where_several_schemas_may_stand_nothing_is_guessed() -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"either": {"depht": 1}})
    assert "did you mean" not in first_problem(caught.value, Outer)
