"""What is asked of ``ctgrid denoise``: defaults that depend on the model, and words that are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import gather
from ctgrid.methods.denoising.settings import Loading
from ctgrid.runs.denoising.settings import Request


def test_the_method_is_the_best_that_the_model_has_the_parts_for(tiny_model: Path, detailed_model: Path) -> None:
    for model, name in ((tiny_model, "grid"), (detailed_model, "grid-detail")):
        request = Request(loading=Loading(model=str(model)))
        assert request.method is None and request.name == name
    assert Request(method="nlm").name == "nlm"


def test_settings_are_gathered_by_name() -> None:
    """Those of a method, and of what it needs to be loaded, under their own names."""
    asked = gather(Request, {"strength": 30.0, "overwrite": True, "method": "detail"}, None)
    assert (asked.strength, asked.overwrite, asked.method, asked.trust) == (30.0, True, "detail", None)
    with pytest.raises(CtgridError, match="strenght"):
        gather(Request, {"strenght": 30.0}, None)
