"""What errors say in one line: another library's cut short, ctgrid's own whole."""

from __future__ import annotations

from ctgrid.base.errors import one_line, reason_of


def test_own_words_stay_whole() -> None:
    assert one_line("a\n  b " + "c" * 300) == "a b " + "c" * 300


def test_other_libraries_are_cut_short() -> None:
    assert reason_of(ValueError("a\n  b\x1b")) == "a b"
    assert reason_of(ValueError("c" * 300)) == "c" * 200 + "..."
    assert reason_of(KeyError()) == "KeyError"
