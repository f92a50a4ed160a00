"""Changes of a recipe, as they are typed."""

from __future__ import annotations

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.training.settings import AblationSettings, PlanSettings, TrainSettings, read_overrides


def test_values_are_yaml() -> None:
    """Numbers, lists and nothing."""
    found = read_overrides(("a.b=2", "c=[1, x]", "d=null", "e=f=g"))
    assert found == {"a.b": 2, "c": [1, "x"], "d": None, "e": "f=g"}


@pytest.mark.parametrize(("text", "word"), [("steps", "KEY=VALUE"), ("=1", "KEY=VALUE"), ("steps=[1", "not YAML")])
def test_what_is_no_change(text: str, word: str) -> None:
    """Refused by every command that takes changes, before anything is opened."""
    for settings in (TrainSettings, AblationSettings):
        with pytest.raises(CtgridError, match=word):
            settings(overrides=(text,))
    with pytest.raises(CtgridError, match=word):
        PlanSettings("embedded-stage1", overrides=(text,))
