"""What ``ctgrid prepare`` is asked, beside what decides a store's bytes."""

from __future__ import annotations

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import all_settings
from ctgrid.data.store.settings import StoreSettings
from ctgrid.runs.stores.settings import GridsSettings, LatentsSettings, PrepareSettings


def test_stores_have_one_set_of_defaults() -> None:
    """Said in two rooms, because the lower one knows nothing of commands."""
    known = all_settings(PrepareSettings)
    for name, field in StoreSettings.model_fields.items():
        assert known[name].default == field.default, name


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
