"""Results of every evaluation as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ctgrid.runs.evaluation.table import COLUMNS
from ctgrid.runs.report.html.results import Results
from ctgrid.runs.report.html.table import Column, Table, is_number

_BEST = {"psnr": "high", "ssim": "high", "ms_ssim": "high", "psnr_lung": "high", "psnr_soft": "high"}
_BEST |= {"ssim_lung": "high", "ssim_soft": "high"}
_DENOISING_PROTOCOL = (
    "Protocol: PSNR over 2000 HU and SSIM on slices clipped to -1000 … 1000 HU; lung and soft tissue in windows "
    "of their own (docs/evaluation.md)."
)
_DIGEST = 12  # digits of a hash that are shown


def result_tables(results: Results) -> list[Table]:
    """Return the tables of a file of results."""
    return _MAKERS[results.kind](results)


def _denoising(results: Results) -> list[Table]:
    columns = [Column(key, heading, form, _BEST.get(key)) for key, heading, form in COLUMNS]
    groups, tables = _grouped(results.rows, "volume", "noise"), []
    for i, ((volume, noise), rows) in enumerate(groups):
        added = f", {rows[0]['noise_hu']:.0f} HU of noise" if is_number(rows[0].get("noise_hu")) else ""
        notes = [_DENOISING_PROTOCOL] if i == len(groups) - 1 else []
        tables.append(Table(f"{volume}, {noise}{added}", _present(columns, rows), rows, notes=notes))
    return tables


def _nodules(results: Results) -> list[Table]:
    tables = []
    for (volume, noise), rows in _grouped(results.rows, "volume", "noise"):
        body = [
            {
                "method": row["method"],
                "recovered": mean(n.get("recovered") for n in row["nodules"]),
                "false": row.get("false_per_litre"),
                "lost": row.get("lost_per_litre"),
                "seconds": row.get("seconds"),
            }
            for row in rows
        ]
        columns = [
            Column("method", "method"),
            Column("recovered", "contrast recovered", ".0%"),
            Column("false", "false / l", ".1f", "low"),
            Column("lost", "lost / l", ".1f", "low"),
            Column("seconds", "s", ".1f"),
        ]
        planted = f"mean over {len(rows[0]['nodules'])} planted nodules"
        tables.append(Table(f"{volume}, {noise}: {planted}", columns, body))
    return tables


def _volumes(results: Results) -> list[Table]:
    content, rows, notes = results.content, [], []
    for row in results.rows:
        low_high = row.get("confidence") or (None, None)
        detector = row.get("detector") or {}
        frames = f", {row['frames']} frames" if row.get("frames") else ""
        rows.append(
            {
                "measure": f"{row['measure']}{frames}",
                "value": row["value"],
                "low": low_high[0],
                "high": low_high[1],
                "n_real": row.get("n_real"),
                "n_fake": row.get("n_fake"),
                "detector": _named(detector),
            }
        )
        notes += [str(w) for w in row.get("warnings") or []]
    columns = [
        Column("measure", "measure"),
        Column("value", "value", ".4g"),
        Column("low", "from", ".4g"),
        Column("high", "to", ".4g"),
        Column("n_real", "real"),
        Column("n_fake", "generated"),
        Column("detector", "detector, sha256"),
    ]
    protocol = content.get("protocol") or {}
    stated = f"Protocol: {protocol.get('name', 'not stated')}@{protocol.get('version', '?')}" if protocol else ""
    if protocol.get("sha256"):
        stated += f", sha256 {str(protocol['sha256'])[:_DIGEST]}…"
    notes += [str(w) for w in content.get("warnings") or []]
    left_out = content.get("left_out") or []
    notes += [f"Left out: {name}" for name in (left_out.items() if isinstance(left_out, Mapping) else left_out)]
    told = _notes(*dict.fromkeys(notes))
    others = [*_ct(content.get("ct")), *_memorisation(content.get("memorisation"))]
    if not rows:  # no detector was asked for or at hand, and a protocol is about detectors
        return [replace(table, notes=[*(told if table is others[0] else []), *table.notes]) for table in others]
    first = Table("Distances of real and generated volumes", columns, rows, notes=[*_notes(stated), *told])
    return [first, *others]


def _resemblance(found: Any) -> list[Table]:
    """Return the figures of generated volumes beside the range of the real ones."""
    if not isinstance(found, Mapping):
        return []
    rows = [
        {
            "figure": name,
            **{f"real_{key}": (item.get("real") or {}).get(key) for key in ("min", "median", "max", "spread")},
            **{f"fake_{key}": (item.get("fake") or {}).get(key) for key in ("median", "spread")},
            "verdict": {None: "-", True: "outside", False: "within"}[item.get("outside")],
            "unit": item.get("unit"),
            "meaning": item.get("meaning"),
        }
        for name, item in (found.get("figures") or {}).items()
        if isinstance(item, Mapping)
    ]
    columns = [
        Column("figure", "figure"),
        Column("real_min", "real least", ".4g"),
        Column("real_median", "real median", ".4g"),
        Column("real_max", "real greatest", ".4g"),
        Column("fake_median", "generated median", ".4g"),
        Column("verdict", "in the real range"),
        Column("real_spread", "real spread", ".2f"),
        Column("fake_spread", "generated spread", ".2f"),
        Column("unit", "unit"),
        Column("meaning", "meaning"),
    ]
    notes = _notes("Spread: standard deviation over mean, of each set.", *(found.get("notes") or []))
    return [Table("Generated chests beside real ones", columns, rows, notes=notes)] if rows else []


def _ct(ct: Any) -> list[Table]:
    """Return the measures that need no detector: distances of the sets, and figures of their volumes."""
    if not isinstance(ct, Mapping):
        return []
    distances = [
        {
            "distance": name,
            "value": _rounded(item.get("value")),
            "real": _rounded(mean(item.get("real_each") or [])),
            "unit": item.get("unit"),
            "meaning": item.get("meaning"),
        }
        for name, item in (ct.get("distances") or {}).items()
        if isinstance(item, Mapping)
    ]
    figures = [
        {
            "figure": name,
            **{f"{kind}_{key}": (sets.get(kind) or {}).get(key) for kind in ("real", "fake") for key in ("mean", "sd")},
        }
        for name, sets in (ct.get("summary") or {}).items()
        if isinstance(sets, Mapping)
    ]
    tables = []
    if distances:
        columns = [
            Column("distance", "CT distance"),
            Column("value", "to generated", ".4g"),
            Column("real", "among real", ".4g"),
            Column("unit", "unit"),
            Column("meaning", "meaning"),
        ]
        notes = _notes("Among real: each real volume to the others, what the value should be.", *ct.get("warnings", []))
        tables.append(Table("CT measures without any detector", columns, distances, notes=notes))
    tables += _resemblance(ct.get("resemblance"))
    if figures:
        columns = [
            Column("figure", "figure of a volume"),
            *(
                Column(f"{kind}_{key}", f"{shown} {key}", ".4g")
                for kind, shown in (("real", "real"), ("fake", "generated"))
                for key in ("mean", "sd")
            ),
        ]
        tables.append(Table("Figures of single volumes", columns, figures))
    return tables


def _rounded(value: Any) -> Any:
    """Return 0 for what is only the rounding error of sums that cancel, such as each real volume's bias to the rest."""
    return round(value, 12) + 0.0 if isinstance(value, float) else value


def _memorisation(found: Any) -> list[Table]:
    if not isinstance(found, Mapping) or not isinstance(found.get("samples"), list):
        return []
    rows = [
        {
            "name": row.get("name"),
            "verdict": row.get("verdict"),
            "near": row.get("near_share"),
            "ssim": (row.get("nearest_slice") or {}).get("ssim"),
            "distance": (row.get("nearest_slice") or {}).get("distance"),
            "train": (row.get("nearest_slice") or {}).get("train"),
        }
        for row in found["samples"]
    ]
    columns = [
        Column("name", "generated"),
        Column("verdict", "verdict"),
        Column("near", "near slices", ".1%"),
        Column("ssim", "nearest slice, SSIM", ".3f"),
        Column("distance", "its distance", ".3g"),
        Column("train", "training volume"),
    ]
    notes = _notes(f"Verdict: {found.get('verdict')}; reference: {found.get('reference')}.", *found.get("warnings", []))
    return [Table("Memorisation: nearest training slices", columns, rows, notes=notes)]


def _super_resolution(results: Results) -> list[Table]:
    columns = [
        Column("method", "method"),
        Column("psnr", "PSNR dB", ".2f", "high"),
        Column("ssim", "SSIM", ".4f", "high"),
        Column("ms_ssim", "MS-SSIM", ".4f", "high"),
        Column("seconds", "s", ".1f"),
    ]
    tables = []
    every = [{"slices": ":", "through_codec": False, "k": None, **row} for row in results.rows]
    for (volume, slices, *_), rows in _grouped(every, "volume", "slices", "through_codec", "k"):
        chosen = "slices" if slices == ":" else f"slices {slices}"
        way = ", through the codec" if rows[0]["through_codec"] else ""
        title = f"{volume}: {chosen} back from {_share(rows)} of their side{way}"
        tables.append(Table(title, _present(columns, rows), rows))
    return tables


def _share(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return to what part of their side slices were shrunk."""
    factors = {row.get("k") for row in rows}
    k = factors.pop() if len(factors) == 1 else None
    return {2: "half", 4: "a quarter"}.get(k, f"1/{k}") if isinstance(k, int) else "a part"


def _ablation(results: Results) -> list[Table]:
    """Return the means of all seeds by variant; what each measure means stands in the ablation's own report."""
    summary = results.content["summary"]
    keys = dict.fromkeys(
        key for row in summary.values() for key, value in row.items() if isinstance(value, Mapping) and "mean" in value
    )
    rows = [
        {
            "variant": name,
            "seeds": row.get("seeds"),
            **{key: (row.get(key) or {}).get("mean") for key in keys},
        }
        for name, row in summary.items()
    ]
    columns = [
        Column("variant", "variant"),
        Column("seeds", "seeds"),
        *(Column(key, key.replace("_", " "), ".4g") for key in keys),
    ]
    unfinished = "" if results.content.get("complete", True) else "Not complete: rows are missing."
    notes = _notes(results.content.get("question"), unfinished, "Means of all seeds; small networks, few patients.")
    return [Table("Variants", columns, rows, notes=notes)]


def _any_rows(results: Results) -> list[Table]:
    """Return rows as they are: a column for each key that holds numbers or words."""
    keys = dict.fromkeys(key for row in results.rows for key, value in row.items() if _is_cell(value))
    columns = [Column(key, key.replace("_", " "), ".4g" if _any_float(results.rows, key) else "") for key in keys]
    notes = [str(note) for note in results.content.get("notes") or []]
    return [Table(results.title, columns, results.rows, notes=notes)]


_MAKERS: dict[str, Callable[[Results], list[Table]]] = {
    "denoising": _denoising,
    "nodules": _nodules,
    "volumes": _volumes,
    "super-resolution": _super_resolution,
    "ablation": _ablation,
    "rows": _any_rows,
}


def mean(values: Iterable[Any]) -> float | None:
    """Return the mean of what is a number, or None where nothing is."""
    numbers = [float(v) for v in values if is_number(v)]
    return sum(numbers) / len(numbers) if numbers else None


def _grouped(rows: Sequence[dict[str, Any]], *keys: str) -> list[tuple[tuple[Any, ...], list[dict[str, Any]]]]:
    names = dict.fromkeys(tuple(str(row[key]) for key in keys) for row in rows)
    return [(name, [row for row in rows if tuple(str(row[key]) for key in keys) == name]) for name in names]


def _present(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Leave out columns that no row has a value for."""
    return [c for c in columns if any(row.get(c.key) is not None for row in rows)]


def _named(detector: Mapping[str, Any]) -> str | None:
    digest = detector.get("sha256")
    return f"{detector.get('name', '?')}, {str(digest)[:_DIGEST]}…" if digest else detector.get("name")


def _notes(*lines: Any) -> list[str]:
    return [str(line) for line in lines if line]


def _is_cell(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _any_float(rows: Sequence[Mapping[str, Any]], key: str) -> bool:
    return any(isinstance(row.get(key), float) for row in rows)
