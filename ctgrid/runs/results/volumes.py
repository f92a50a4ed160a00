"""Results of ``ctgrid evaluate volumes``: distances by a protocol, CT measures, memorisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctgrid.runs.results.chart import Chart, Lines
from ctgrid.runs.results.description import Description, Kind, are_rows
from ctgrid.runs.results.rows import mean, present, sentences
from ctgrid.runs.results.table import Column, Table, is_number

DIGEST = 12  # digits of a hash that are shown

CURVES = {
    "step_quantiles_hu": ("Steps between slices", "share of steps", "HU"),
    "body_histogram": ("HU inside the body", "HU", "share of voxels"),
    "spectrum_db": ("Power spectrum", "1/mm", "dB"),
    "body_mm2": ("Body area", "height, 0 feet to 1 head", "mm²"),
    "lung_mm2": ("Lung area", "height, 0 feet to 1 head", "mm²"),
}
"""Of the CT measures: title, axis and unit."""

DISTANCES = (
    Column("measure", "measure"),
    Column("frames", "frames"),
    Column("value", "value", ".5g", span=("low", "high")),
    Column("n_real", "real"),
    Column("n_fake", "generated"),
    Column("detector", "detector, sha256"),
)
CT_DISTANCES = (
    Column("distance", "CT distance"),
    Column("value", "to generated", ".4g"),
    Column("real", "among real", ".4g"),
    Column("fake_mean", "mean of generated", ".4g"),
    Column("real_mean", "mean of real", ".4g"),
    Column("unit", "unit"),
    Column("meaning", "meaning"),
)
RESEMBLANCE = (
    Column("figure", "figure"),
    Column("real_min", "real least", ".4g"),
    Column("real_median", "real median", ".4g"),
    Column("real_max", "real greatest", ".4g"),
    Column("fake_median", "generated median", ".4g"),
    Column("verdict", "in the real range"),
    Column("real_spread", "real spread", ".0%"),
    Column("fake_spread", "generated spread", ".0%"),
    Column("unit", "unit"),
    Column("meaning", "meaning"),
)
FIGURES = (
    Column("figure", "figure of a volume"),
    Column("real_mean", "real mean", ".4g"),
    Column("real_sd", "real sd", ".4g"),
    Column("fake_mean", "generated mean", ".4g"),
    Column("fake_sd", "generated sd", ".4g"),
)
NEAREST = (
    Column("name", "generated"),
    Column("verdict", "verdict"),
    Column("near", "near slices", ".1%"),
    Column("ssim", "nearest slice, SSIM", ".3f"),
    Column("distance", "its distance", ".3g"),
    Column("train", "training volume"),
)


def describe(content: Mapping[str, Any]) -> Description:
    """Return the distances, what CT measures say of the sets and of their volumes, and how near copies are."""
    named = protocol_of(content)
    tables = [
        *distances_of(content, "Distances of real and generated volumes"),
        *_ct(content.get("ct")),
        *_memorisation(content.get("memorisation")),
    ]
    left_out = content.get("left_out") or []
    left_out = left_out.items() if isinstance(left_out, Mapping) else left_out
    notes = sentences(_sets(content), *(content.get("warnings") or []), *(f"Left out: {name}" for name in left_out))
    protocol_used = named if content["measures"] else ""
    return Description(
        "Real and generated volumes", tables, _charts(content.get("ct")), notes, VOLUMES.name, protocol_used
    )


def _sets(content: Mapping[str, Any]) -> str:
    volumes = content.get("volumes")
    if not isinstance(volumes, Mapping):
        return ""
    field_mm = content.get("field_mm")
    cut = "" if field_mm is None else f", all cut out around the body in a field of {field_mm:g} mm"
    return f"{len(volumes.get('real') or [])} real and {len(volumes.get('fake') or [])} generated volumes{cut}."


def protocol_of(content: Mapping[str, Any]) -> str:
    """Return the protocol of results as ``NAME@VERSION``; nothing where they name none."""
    protocol = content.get("protocol") or {}
    return f"{protocol.get('name', 'not stated')}@{protocol.get('version', '?')}" if protocol else ""


def distances_of(content: Mapping[str, Any], title: str) -> list[Table]:
    """Return the distances; none where no detector was asked for or at hand, and then a protocol says nothing."""
    named = protocol_of(content)
    stated = f"Protocol: {named}" if named else ""
    rows, warnings = [], list[Any]()
    for row in content.get("measures") or []:
        low, high = row.get("confidence") or (None, None)
        kept = {key: row.get(key) for key in ("measure", "frames", "value", "n_real", "n_fake")}
        rows.append({**kept, "low": low, "high": high, "detector": _named(row.get("detector") or {})})
        warnings += row.get("warnings") or []
    digest = (content.get("protocol") or {}).get("sha256")
    protocol = f"{stated}, sha256 {str(digest)[:DIGEST]}…" if stated and digest else stated
    spans = any(row["low"] is not None for row in rows)
    notes = sentences(protocol, "In brackets: 95 % confidence." if spans else "", *warnings)
    return [Table(title, present(DISTANCES, rows), rows, notes=notes)] if rows else []


def _named(detector: Mapping[str, Any]) -> str | None:
    digest = detector.get("sha256")
    return f"{detector.get('name', '?')}, {str(digest)[:DIGEST]}…" if digest else detector.get("name")


def _ct(ct: Any) -> list[Table]:
    """Return the measures that need no detector: distances of the sets, and figures of their volumes."""
    if not isinstance(ct, Mapping):
        return []
    distances = [
        {
            "distance": name,
            **{key: _rounded(item.get(key)) for key in ("value", "fake_mean", "real_mean", "unit", "meaning")},
            "real": _rounded(mean(item.get("real_each") or [])),
        }
        for name, item in _items(ct, "distances")
    ]
    figures = [
        {
            "figure": name,
            **{f"{kind}_{key}": (sets.get(kind) or {}).get(key) for kind in ("real", "fake") for key in ("mean", "sd")},
        }
        for name, sets in _items(ct, "summary")
    ]
    notes = sentences("Among real: each real volume to the others, what the value should be.", *ct.get("warnings", []))
    made = [
        Table("CT measures without any detector", present(CT_DISTANCES, distances), distances, notes=notes),
        _resemblance(ct.get("resemblance")),
        Table("Figures of single volumes", FIGURES, figures),
    ]
    return [table for table in made if table.rows]


def _resemblance(found: Any) -> Table:
    """Return the figures of generated volumes beside the range of the real ones."""
    found = found if isinstance(found, Mapping) else {}
    rows = [
        {
            "figure": name,
            **{f"real_{key}": (item.get("real") or {}).get(key) for key in ("min", "median", "max", "spread")},
            **{f"fake_{key}": (item.get("fake") or {}).get(key) for key in ("median", "spread")},
            "verdict": {None: None, True: "outside", False: "within"}[item.get("outside")],
            "unit": item.get("unit"),
            "meaning": item.get("meaning"),
        }
        for name, item in _items(found, "figures")
    ]
    notes = sentences("Spread: standard deviation over mean, of each set.", *(found.get("notes") or []))
    return Table("Generated chests beside real ones", present(RESEMBLANCE, rows), rows, notes=notes)


def _items(content: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [(name, item) for name, item in (content.get(key) or {}).items() if isinstance(item, Mapping)]


def _rounded(value: Any) -> Any:
    """Return 0 for what is only the rounding error of sums that cancel, such as each real volume's bias to the rest."""
    return round(value, 12) + 0.0 if isinstance(value, float) else value


def _memorisation(found: Any) -> list[Table]:
    if not isinstance(found, Mapping):
        return []
    rows = [
        {
            "name": row.get("name"),
            "verdict": row.get("verdict"),
            "near": row.get("near_share"),
            **{key: (row.get("nearest_slice") or {}).get(key) for key in ("ssim", "distance", "train")},
        }
        for row in found.get("samples") or []
    ]
    verdict = f"Verdict: {found.get('verdict')}; reference: {found.get('reference')}."
    notes = sentences(verdict, *(found.get("warnings") or []))
    return [Table("Memorisation: nearest training slices", present(NEAREST, rows), rows, notes=notes)]


def _charts(ct: Any) -> list[Chart]:
    """Return the curves of the CT measures."""
    charts: list[Chart] = []
    for key, curve in _items(ct, "curves") if isinstance(ct, Mapping) else ():
        points = _axis(curve)
        if points is None or key not in CURVES:
            continue
        series = {
            name: list(zip(points, curve[kind], strict=False))
            for kind, name in (("real", "real"), ("fake", "generated"))
            if isinstance(curve.get(kind), list)
        }
        charts.append(Lines(*CURVES[key], series))
    return charts


def _axis(curve: Mapping[str, Any]) -> list[float] | None:
    """Return the points along which a curve of the CT measures is given."""
    for key in ("levels", "frequency_per_mm", "relative_z"):
        if isinstance(curve.get(key), list):
            return list(curve[key])
    if is_number(curve.get("low_hu")) and is_number(curve.get("bin_hu")) and isinstance(curve.get("real"), list):
        return [curve["low_hu"] + (i + 0.5) * curve["bin_hu"] for i in range(len(curve["real"]))]
    return None


def recognises(content: Any) -> bool:
    """Tell results of an evaluation of volumes: with distances, or with what needs no detector."""
    if not isinstance(content, dict) or content.get("kind") != "volumes":
        return False
    measures = content.get("measures")
    other = any(isinstance(content.get(key), dict) for key in ("ct", "memorisation"))
    return are_rows(measures, "measure", "value") or (measures == [] and other)


VOLUMES = Kind("volumes", recognises, describe)
