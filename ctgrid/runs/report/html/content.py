"""What a report holds, and how it is written: as a page, as Markdown, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ctgrid.runs.report.html.found import MOST_NAMES, Run
from ctgrid.runs.report.html.markup import Markup, element, join
from ctgrid.runs.report.html.page import Part, page, part
from ctgrid.runs.report.html.pictures import Pictures
from ctgrid.runs.report.html.published import published, published_tables
from ctgrid.runs.report.html.result_charts import Chart, result_charts
from ctgrid.runs.report.html.result_tables import result_tables
from ctgrid.runs.report.html.results import Results
from ctgrid.runs.report.html.run_view import record_view, run_tables, training_chart
from ctgrid.runs.report.html.table import Table
from ctgrid.runs.report.html.viewer import Scene, viewer


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
    results: Sequence[Results]
    runs: Sequence[Run]
    pictures: Pictures
    notes: list[str]
    left_out: Sequence[str] = field(default_factory=list)

    def groups(self) -> list[tuple[str, str, list[Table], list[Chart]]]:
        """Return title, kind, tables and charts of every file of results and of what runs tell of themselves."""
        groups: list[tuple[str, str, list[Table], list[Chart]]] = [
            (f"{one.title}: {one.path}", one.evaluation, result_tables(one), result_charts(one)) for one in self.results
        ]
        groups += [(title, kind, [table], []) for title, kind, table in run_tables(self.runs)]
        curves: list[Chart] = [chart for run in self.runs if (chart := training_chart(run)) is not None]
        return groups + ([("Training", "train", [], curves)] if curves else [])

    def html(self) -> str:
        """Return the page."""
        groups = self.groups()
        parts: list[Part] = []
        if self.scenes:
            parts.append(part("volumes", "Volumes", viewer(self.scenes)))
        if groups:
            parts.append(part("results", "Results", *(_group(*group) for group in groups), lead=_LEAD))
        parts.append(_published_part())
        if self.pictures.embedded:
            parts.append(part("pictures", "Pictures of the runs", self.pictures.html()))
        if self.runs:
            parts.append(part("runs", "Run records", *(record_view(run) for run in self.runs)))
        if self.notes:
            items = [element("li", note) for note in self.notes]
            parts.append(part("notes", "What is not shown", element("ul", *items, class_="warning"), self._left_out()))
        return page(self.title, parts, self.facts)

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
        groups = self.groups()
        if groups:
            lines += ["", "## Results"]
        for title, kind, tables, _ in groups:
            lines += ["", f"### {_plain(title)}"]
            for table in (*tables, *published_tables(kind)):
                lines += ["", table.markdown()]
        lines += ["", "## Published figures", "", _paper()]
        for table in published_tables():
            lines += ["", table.markdown()]
        lines += ["", *(f"- {s.name}: {s.where}" for s in published().sources.values())]
        if self.runs:
            lines += ["", "## Runs", ""]
            lines += [
                f"- {_plain(run.command)}, {run.record.get('status')}: {_plain(str(run.path))}" for run in self.runs
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
                {"title": title, "kind": kind, "tables": [table.as_dict() for table in tables]}
                for title, kind, tables, _ in self.groups()
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


def _group(title: str, kind: str, tables: Sequence[Table], charts: Sequence[Chart]) -> Markup:
    """Return one file's charts and tables, published ones beside them; below, those whose words take all the width."""
    drawn = [figure for chart in charts if (figure := chart.html()) is not None]
    sides = (tables, published_tables(kind))
    narrow = [[table for table in side if not table.wide] for side in sides]
    columns = [element("div", *(table.html() for table in side)) for side in narrow if side]
    return join(
        element("h3", title),
        element("div", *drawn, class_="charts") if drawn else None,
        element("div", *columns, class_="beside compared" if len(columns) > 1 else None),
        *(table.html() for side in sides for table in side if table.wide),
    )


def _published_part() -> Part:
    sources = [element("li", f"{source.name}: ", _where(source.where)) for source in published().sources.values()]
    return part(
        "published",
        "Published figures",
        element("div", *(table.html() for table in published_tables()), class_="beside"),
        element("h3", "Where the numbers were read"),
        element("ul", *sources, class_="note"),
        lead=_paper(),
    )


def _where(where: str) -> Markup:
    return element("a", where, href=where, rel="noreferrer") if where.startswith("https://") else element("span", where)


def _paper() -> str:
    paper = published().paper
    return (
        f"{paper.authors}: {paper.title}, {paper.venue}. Only numbers that were read in one of the sources named are "
        "printed; what the paper reports but no source here quotes is marked “not at hand”, a dash is a dash of the "
        "source."
    )


def _size(scene: Scene) -> str:
    voxels = " x ".join(str(n) for n in reversed(scene.block.whole_shape))
    spacing = " x ".join(f"{mm:.2f}" for mm in reversed(scene.block.whole_spacing_mm))
    notes = "".join(f"; {_plain(note)}" for note in scene.notes)
    return f"{voxels} voxels of {spacing} mm{', before and after' if scene.before else ''}{notes}"


def _plain(words: str) -> str:
    """Return text on one line that Markdown does not take for markup."""
    line = " ".join(words.replace("\\", "\\\\").replace("<", "&lt;").split())
    return "".join(f"\\{c}" if c in "`*_[]#|" else c for c in line)
