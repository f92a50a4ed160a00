"""Methods with settings, as texts: read, written, refused."""

from __future__ import annotations

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.choice import Choice, split_choices
from ctgrid.methods.denoising.methods import METHODS


@pytest.mark.parametrize(
    ("text", "name", "settings"),
    [
        ("nlm", "nlm", {}),
        ("grid-detail[phases=1]", "grid-detail", {"phases": 1}),
        ("grid-detail[refine=off,detail=on]", "grid-detail", {"refine": False, "detail": True}),
        ("grid[start=noised,refine_start=matched,steps=40]", "grid", None),
    ],
)
def test_texts_and_back(text: str, name: str, settings: dict[str, object] | None) -> None:
    """Numbers, switches and names; written as it was read."""
    choice = Choice.parse(text)
    assert choice.name == name and str(choice) == text and choice.method is METHODS[name]
    assert settings is None or choice.settings == settings
    assert Choice.parse(f"  {text} ") == choice


def test_lists_part_at_commas_outside_brackets() -> None:
    """Spaces and empty pieces do not count."""
    assert split_choices("nlm, grid[phases=1,refine=off],,detail ,") == ["nlm", "grid[phases=1,refine=off]", "detail"]
    assert split_choices(" , ") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bm3d", "unknown denoising method 'bm3d'"),
        ("grid[phases=1", r"write NAME or NAME\[setting=value,...\]"),
        ("grid]", "write NAME or"),
        ("grid[phases=1]x", "write NAME or"),
        ("[phases=1]", "write NAME or"),
        ("grid[]", "'' is not setting=value"),
        ("grid[phases]", "'phases' is not setting=value"),
        ("grid[phases=two]", "phases is a whole number, got 'two'"),
        ("grid[phases=-1]", "phases must be at least 1, got -1"),
        ("grid[refine=no]", "refine is on or off, got 'no'"),
        ("grid[start=pure]", "start must be matched or noised, got 'pure'"),
        ("grid[detail=on]", "method 'grid' has no setting detail; it takes steps, refine"),
        ("nlm[phases=1]", "method 'nlm' has no setting phases; it takes none"),
        ("grid[phases=1,phases=2]", "sets phases twice"),
        ("grid[only=3]", "only cannot be set here"),
    ],
)
def test_bad_texts(text: str, words: str) -> None:
    """One line each, that names the text and the way out."""
    with pytest.raises(CtgridError, match=words):
        Choice.parse(text)


def test_every_setting_of_a_method_can_be_written() -> None:
    """Its kind is that of its default; written and read, it is the same."""
    for method in METHODS.values():
        for name, known in method.known.items():
            value = getattr(method.settings, name)
            if value is None:  # left to the noise: there is no word for it
                assert known.optional
                continue
            text = str(Choice(method.name, {name: value}))
            assert Choice.parse(text).settings == {name: value}, text
            assert type(value) is (str if known.choices else known.kind)
