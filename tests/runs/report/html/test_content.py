"""What a page shows beside results: published figures of chest CT; all the others are folded away."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ctgrid.runs.report.html.content import Content
from ctgrid.runs.report.html.pictures import Pictures
from ctgrid.runs.results.files import read_results


@pytest.fixture
def content(samples: dict[str, Any]) -> Content:
    """Return a report of all kinds of results."""
    results = [read_results(Path(f"{kind}.json"), one) for kind, one in samples.items()]
    return Content("title", [], [], results, [], Pictures([], []), [])


def test_figures_of_other_data_sets_are_behind_a_closed_switch(content: Content) -> None:
    """But for those beside results of movies, which stand beside what was measured."""
    movies = [one for one in content.results if one.kind.name == "video"]
    beside = replace(content, results=movies).html().split('<details data-testid="other-data">')[0]
    assert "Minecraft, 128" in beside and "SkyTimelapse" in beside and "184.728" in beside
    content = replace(content, results=[one for one in content.results if one not in movies])
    page = content.html()
    folded = re.findall(r"<details data-testid=\"other-data\">.*?</details>", page, flags=re.S)
    assert len(folded) == 4 and "<details open" not in page  # three kinds of results, and the part of them all
    shown = page
    for part in folded:
        shown = shown.replace(part, "")
    assert "Minecraft" in folded[-1] and "Table 7" in folded[-1] and "photographs" in folded[1]
    assert not re.search("Minecraft|<td[^>]*>SkyTimelapse|<td[^>]*>Taichi|photographs", shown)
    assert shown.count("998.43") > page.count("184.728")


def test_a_report_without_results_shows_no_published_figure_unasked(content: Content) -> None:
    page = replace(content, results=[]).html()
    shown = re.sub(r"<details[^>]*>.*?</details>", "", page, flags=re.S)
    assert "998.43" in page and "<td" not in shown and "published-table" not in shown
    assert "Published figures of chest CT: " in page and "Published figures of other data sets: " in page


def test_no_source_lies_outside_the_repository_or_the_net(content: Content) -> None:
    for text in (content.html(), content.markdown()):
        assert not re.search(r"not at hand|not part of the repository|DESIGN\.md|PEERS\.md|\.\./shared", text, re.I)


def test_both_renderers_show_the_same_tables(content: Content) -> None:
    page, text = content.html(), content.markdown()
    for described in content.described():
        for table in described.tables:
            assert '<th scope="col"' in page and f"### {described.title.split(':')[0]}" in text
            for row in table.rows:
                for column in table.columns:
                    cell = table.cell(row, column)
                    if "<" not in cell:
                        assert f">{cell}</td>" in page and re.search(rf"\| +{re.escape(cell)}\*? +\|", text), cell


def test_distances_by_the_papers_protocol_are_not_marked_as_another(samples: dict[str, Any]) -> None:
    """The paper's Table 1, of CT-RATE; what was measured by another is marked."""
    marks = {}
    for name in ("gridit-ct-rate", "stylegan-v"):
        result = read_results(Path("volumes.json"), {**samples["volumes"], "protocol": {"name": name, "version": 1}})
        text = Content("title", [], [], [result], [], Pictures([], []), []).markdown()
        beside = text.split("### Real and generated volumes")[1].split("###")[0].split("Table 1:")[1]
        marks[name] = re.search(r"\(as published, GriDiT(: another protocol)?\)", beside)
    assert marks["gridit-ct-rate"] and not marks["gridit-ct-rate"][1]
    assert marks["stylegan-v"] and marks["stylegan-v"][1]
