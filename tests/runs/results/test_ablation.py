"""Results of an ablation: means over seeds by variant, beside real volumes and what each variant costs."""

from __future__ import annotations

from typing import Any

import pytest

from ctgrid.runs.results.ablation import MEASURES, describe, recognises
from ctgrid.runs.results.chart import Bars
from ctgrid.runs.results.markdown import table_markdown
from ctgrid.runs.results.published import published_tables


def test_ablation_is_compared_by_variant(samples: dict[str, Any]) -> None:
    described = describe(samples["ablation"])
    (table,) = described.tables
    assert table.rows[1] == {"variant": "3-d", "fd": 4.5, "fd_min": 4.5, "fd_max": 4.5}
    assert "Not complete: rows are missing." in described.notes
    published = published_tables(described.beside)
    assert [table.title for table in published] == ["Table 4: Positional embedding, 2-D (stock DiT) and 3-D"]
    assert described.title == "Ablation: Positions"
    (bars,) = described.charts
    assert isinstance(bars, Bars) and bars.values["2-d"] == 5.5


def test_a_variant_is_told_with_its_span_its_cost_and_real_volumes(samples: dict[str, Any]) -> None:
    cost = {"parameters": 1_900_000, "tokens": 64, "model": "a-seed0", "train_seconds": None, "sample_seconds": 2.0}
    described = describe(
        samples["ablation"]
        | {
            "variants": [{"name": "a", "says": "what a is"}, {"name": "b", "says": "not yet"}],
            "summary": {"a": {"seeds": 2, "fd": {"mean": 2.0, "min": 1.5, "max": 2.5}}},
            "rows": [{"variant": "a", **cost}],
            "reference": {"training": {"fd": 1.0}, "held_out": {}},
        }
    )
    figures, facts = map(table_markdown, described.tables)
    assert "2.00 (1.50 … 2.50)" in figures and "| real: training patients |" in figures
    assert "mean of 2 trainings with the least and the greatest in brackets" in figures
    assert "| what a is  |          1.90 |     64 |".replace(" ", "") in facts.replace(" ", "")
    assert "| as a " in facts and "| not yet " in facts


def test_what_was_compared_is_said_with_who_was_held_out(samples: dict[str, Any]) -> None:
    content = samples["ablation"] | {
        "question": "Does it help?",
        "note": "Few steps.",
        "seeds": 3,
        "sampling": {"samples": 2},
        "measuring": {"side_px": 128},
        "held_out": ["p1", "p2"],
        "training": ["p3"],
        "complete": True,
    }
    described = describe(content)
    assert described.notes == ["Does it help?", "Few steps."]
    notes = " ".join(described.tables[0].notes)
    for words in (
        "mean of 3 trainings with the least and the greatest in brackets; each training gives 2 volumes",
        "Held out: p1, p2. Trained on: p3.",
        "compared at 128 × 128 pixels",
        next(m for m in MEASURES if m.key == "fd").meaning,
    ):
        assert words in notes
    assert describe({**content, "title": None}).title == "Ablation: positions"


@pytest.mark.parametrize(
    "content",
    [None, [], {"kind": "ablation"}, {"kind": "ablation", "summary": {}}, {"kind": "ablation", "summary": {"a": 1}}],
)
def test_other_content_is_none(content: Any, samples: dict[str, Any]) -> None:
    assert recognises(samples["ablation"]) and not recognises(content)
