"""What ``ctgrid prepare`` is asked, beside what decides a store's bytes."""

from __future__ import annotations

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.stores.settings import GridsSettings, LatentsSettings, PrepareSettings


@pytest.mark.parametrize(
    ("settings", "wrong", "named"),
    [
        (PrepareSettings, {"workers": 2, "scheduler": "tls://x"}, "--scheduler"),
        (PrepareSettings, {"insecure": True}, "--insecure belongs to --scheduler"),
        (LatentsSettings, {"config": "x", "clear": True}, "--config"),
        (GridsSettings, {"volumes": ("a",), "fraction": 10.0}, "--volumes"),
    ],
)
def test_what_does_not_fit_together(settings: type, wrong: dict[str, object], named: str) -> None:
    """Refused before anything is opened."""
    with pytest.raises(CtgridError, match=named):
        settings(**wrong)
