"""What a report holds, and how it is written: as a page, as Markdown, as JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ctgrid.runs.report.html.chart import chart_html
from ctgrid.runs.report.html.found import MOST_NAMES, Run
from ctgrid.runs.report.html.markup import Markup, element, join
from ctgrid.runs.report.html.page import Part, page, part
from ctgrid.runs.report.html.pictures import Pictures
from ctgrid.runs.report.html.run_view import describe_runs, record_view
from ctgrid.runs.report.html.table import table_html
from ctgrid.runs.report.html.viewer import Scene, viewer
from ctgrid.runs.results.description import Description
from ctgrid.runs.results.files import ResultsFile
from ctgrid.runs.results.markdown import description_markdown, plain, table_markdown
from ctgrid.runs.results.published import published, published_tables
from ctgrid.runs.results.table import Table


@dataclass(frozen=True)
class Content:
    """Everything a report shows.

    Attributes:
        title: of the page.
        facts: short statements under it.
        scenes: volumes, and pairs before and after.
        results: files of results.
        runs: run records.
        pictures: of the runs.
        notes: what is not shown, and why.
        left_out: names of the volumes that were too many.
    """

    title: str
    facts: Sequence[str]
    scenes: Sequence[Scene]
    results: Sequence[ResultsFile]
    runs: Sequence[Run]
    pictures: Pictures
    notes: list[str]
    left_out: Sequence[str] = field(default_factory=list)

    def described(self) -> list[Description]:
        """Return what every file of results tells, and what runs tell of themselves."""
        files = [replace(one.description, title=f"{one.description.title}: {one.path}") for one in self.results]
        return [*files, *describe_runs(self.runs)]

    def html(self) -> str:
        """Return the page."""
        described = self.described()
        parts: list[Part] = []
        if self.scenes:
            parts.append(part("volumes", "Volumes", viewer(self.scenes)))
        if described:
            parts.append(part("results", "Results", *(group_html(one) for one in described), lead=_LEAD))
        parts.append(_published_part())
        if self.pictures.embedded:
            parts.append(part("pictures", "Pictures of the runs", self.pictures.html()))
        if self.runs:
            parts.append(part("runs", "Run records", *(record_view(run) for run in self.runs)))
        if self.notes:
            items = [element("li", note) for note in self.notes]
            parts.append(part("notes", "What is not shown", element("ul", *items, class_="warning"), self._left_out()))
        return page(self.title, parts, self.facts, viewer=bool(self.scenes))

    def _left_out(self) -> Markup | None:
        """Return the names of volumes that were too many, folded."""
        if len(self.left_out) <= MOST_NAMES:  # the note has them all
            return None
        summary = element("summary", f"{len(self.left_out)} volumes by name")
        return element("details", summary, element("p", ", ".join(self.left_out), class_="names"))

    def markdown(self) -> str:
        """Return titles and tables as Markdown."""
        lines = [f"# {_plain(self.title)}", "", " · ".join(self.facts)]
        if self.scenes:
            lines += ["", "## Volumes", ""]
            lines += [f"- {_plain(scene.name)}: {_size(scene)}" for scene in self.scenes]
        described = self.described()
        if described:
            lines += ["", "## Results"]
        for one in described:
            lines += ["", f"### {_plain(one.title)}"]
            beside = published_tables(one.beside, protocol=one.protocol) if one.beside else []
            lines += [f"\n{text}" for text in (description_markdown(one), *map(table_markdown, beside)) if text]
        lines += ["", "## Published figures", "", _paper()]
        for table in published_tables():
            lines += ["", table_markdown(table)]
        lines += ["", *(f"- {s.name}: {s.where}" for s in published().sources.values())]
        if self.runs:
            lines += ["", "## Runs", ""]
            lines += [
                f"- {_plain(run.command)}, {_plain(str(run.record.get('status')))}: {_plain(str(run.path))}"
                for run in self.runs
            ]
        if self.notes:
            lines += ["", "## What is not shown", "", *(f"- {_plain(note)}" for note in self.notes)]
        if len(self.left_out) > MOST_NAMES:
            lines += ["", f"Volumes left out: {', '.join(_plain(name) for name in self.left_out)}"]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the voxels and pictures as JSON values."""
        return {
            "kind": "report",
            "title": self.title,
            "facts": list(self.facts),
            "volumes": [scene.facts() for scene in self.scenes],
            "results": [
                {
                    "title": one.title,
                    "kind": one.beside,
                    "notes": list(one.notes),
                    "tables": [table.as_dict() for table in one.tables],
                }
                for one in self.described()
            ],
            "published": published().model_dump(),
            "runs": [{"path": str(run.path), "record": run.record} for run in self.runs],
            "notes": self.notes,
            "left_out": list(self.left_out),
        }


_LEAD = (
    "Measured figures with the published ones beside them. Published numbers were made on other data and by the "
    "protocol stated under them: they are no baseline of what was measured here unless protocol and data agree."
)


def group_html(described: Description) -> Markup:
    """Return charts and tables, published ones beside them; below, those whose words take all the width."""
    drawn = [figure for chart in described.charts if (figure := chart_html(chart)) is not None]
    beside, protocol, ct = described.beside, described.protocol, described.ct
    sides = (described.tables, published_tables(beside, ct=ct, protocol=protocol) if beside else [])
    narrow = [[table for table in side if not table.wide] for side in sides]
    columns = [element("div", *map(table_html, side)) for side in narrow if side]
    return join(
        element("h3", described.title),
        *(element("p", note, class_="note") for note in described.notes),
        element("div", *drawn, class_="charts") if drawn else None,
        element("div", *columns, class_="beside compared" if len(columns) > 1 else None),
        *(table_html(table) for side in sides for table in side if table.wide),
        _folded(published_tables(beside, ct=False, protocol=protocol) if beside and ct else [], "other-data"),
    )


_FOLDED = {"chest-ct": "Published figures of chest CT", "other-data": "Published figures of other data sets"}
"""What is shown only where somebody asks for it, and its name."""


def _folded(tables: Sequence[Table], what: str) -> Markup | None:
    """Return published figures behind a switch."""
    if not tables:
        return None
    return element(
        "details",
        element("summary", f"{_FOLDED[what]}: {len(tables)} table{'s' * (len(tables) > 1)}"),
        element("div", *map(table_html, tables), class_="beside"),
        data_testid=what,
    )


def _published_part() -> Part:
    """Return all published figures, folded: those that belong to results stand beside them too."""
    sources = [element("li", f"{source.name}: ", _where(source.where)) for source in published().sources.values()]
    return part(
        "published",
        "Published figures",
        _folded(published_tables(ct=True), "chest-ct"),
        _folded(published_tables(ct=False), "other-data"),
        element("details", element("summary", "Where the numbers were read"), element("ul", *sources, class_="note")),
        lead=_paper(),
    )


def _where(where: str) -> Markup:
    return element("a", where, href=where, rel="noreferrer")


def _paper() -> str:
    paper = published().paper
    return (
        f"{paper.authors}: {paper.title}, {paper.venue}. Numbers as printed; a dash is a dash of the source, or what "
        "it does not give. Where the paper contradicts itself, both numbers stand."
    )


def _size(scene: Scene) -> str:
    voxels = " x ".join(str(n) for n in reversed(scene.block.whole_shape))
    spacing = " x ".join(f"{mm:.2f}" for mm in reversed(scene.block.spacing_mm))
    notes = "".join(f"; {_plain(note)}" for note in scene.notes)
    return f"{voxels} voxels of {spacing} mm{', before and after' if scene.before else ''}{notes}"


def _plain(words: str) -> str:
    """Return text that Markdown takes for no emphasis either: names have underscores."""
    return re.sub(r"(?<!\\)([*_\[\]])", r"\\\1", plain(words))
