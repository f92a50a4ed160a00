"""Recognise files of results: which evaluation wrote them, and whether they hold what they should."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ctgrid.base.errors import CtgridError

Kind = Literal["denoising", "nodules", "volumes", "super-resolution", "ablation", "rows"]
LIMIT_BYTES = 64_000_000


@dataclass(frozen=True)
class Results:
    """What one file of results holds.

    Attributes:
        path: the file.
        kind: the evaluation; "rows" for any other that keeps its figures under ``rows``.
        title: for people.
        content: the whole file.
        rows: its rows; those under ``measures`` of "volumes".
    """

    path: Path
    kind: Kind
    title: str
    content: Any
    rows: list[dict[str, Any]]

    @property
    def evaluation(self) -> str:
        """The name by which published figures are found; of an ablation with that of its configuration."""
        return f"ablation:{self.content.get('name')}" if self.kind == "ablation" else self.kind


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        CtgridError: It cannot be read, is too large for a report, or is no JSON.
    """
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise CtgridError(f"{path} is larger than {LIMIT_BYTES // 10**6} MB; that is no file of results")
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except OSError as error:
        raise CtgridError(f"cannot read {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise CtgridError(f"{path} holds no results: it is not JSON ({type(error).__name__})") from error


def is_run(content: Any) -> bool:
    """Tell whether JSON is a run record, as every command writes it."""
    return isinstance(content, dict) and {"command", "status", "outputs"} <= set(content)


def read_results(path: Path, content: Any = None) -> Results:
    """Recognise the results in a file.

    Args:
        path: the file, for messages and titles.
        content: what it holds, where it was read already.

    Raises:
        CtgridError: It is none of ``ctgrid evaluate``'s.
    """
    content = read_json(path) if content is None else content
    found = _recognise(content)
    if found is None:
        raise CtgridError(
            f"{path} holds no results that a report knows; give the results.json or nodules.json of ctgrid evaluate, "
            "a run folder, or volumes"
        )
    kind, rows = found
    return Results(path, kind, _title(kind, content), content, rows)


def _recognise(content: Any) -> tuple[Kind, list[dict[str, Any]]] | None:
    if _are_rows(content, "volume", "noise", "method", "nodules"):
        return "nodules", content
    if _are_rows(content, "volume", "noise", "method", "psnr", "ssim"):
        return "denoising", content
    if not isinstance(content, dict):
        return None
    kind, rows = content.get("kind"), content.get("rows")
    if kind == "volumes":
        measures = content.get("measures")
        other = any(isinstance(content.get(key), dict) for key in ("ct", "memorisation"))
        known = _are_rows(measures, "measure", "value") or (measures == [] and other)
        return ("volumes", measures) if known else None  # type: ignore[return-value]
    if kind == "super-resolution":
        return ("super-resolution", rows) if _are_rows(rows, "volume", "method", "psnr") else None  # type: ignore
    if kind == "ablation" and _are_summaries(content.get("summary")):
        return "ablation", rows if isinstance(rows, list) else []
    return ("rows", rows) if isinstance(kind, str) and _are_rows(rows) else None  # type: ignore[return-value]


def _are_rows(rows: Any, *keys: str) -> bool:
    return isinstance(rows, list) and bool(rows) and all(isinstance(r, dict) and set(keys) <= set(r) for r in rows)


def _are_summaries(summary: Any) -> bool:
    return isinstance(summary, dict) and bool(summary) and all(isinstance(v, dict) for v in summary.values())


def _title(kind: Kind, content: Any) -> str:
    if kind == "ablation":
        return f"Ablation: {content.get('title') or content.get('name') or 'without a title'}"
    if kind == "rows":
        return str(content["kind"]).replace("-", " ").capitalize()
    return {
        "denoising": "Denoising",
        "nodules": "Planted nodules",
        "volumes": "Real and generated volumes",
        "super-resolution": "Super-resolution",
    }[kind]
