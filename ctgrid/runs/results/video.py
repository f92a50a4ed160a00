"""Results of ``ctgrid evaluate video``: distances by a protocol, flicker, and clips compared pair by pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctgrid.runs.results.description import Description, Kind, are_rows
from ctgrid.runs.results.rows import mean, present, sentences
from ctgrid.runs.results.table import Column, Table
from ctgrid.runs.results.volumes import distances_of, protocol_of

FLICKER = (
    Column("frames", "frames"),
    Column("real", "real", ".2f"),
    Column("real_sd", "sd", ".2f"),
    Column("n_real", "clips"),
    Column("fake", "generated", ".2f"),
    Column("fake_sd", "sd of generated", ".2f"),
    Column("n_fake", "generated clips"),
)
PAIRS = (
    Column("clip", "clip"),
    Column("frames", "frames"),
    Column("psnr", "PSNR, dB", ".2f"),
    Column("ssim", "SSIM", ".4f"),
)


def describe(content: Mapping[str, Any]) -> Description:
    """Return the distances, the flicker of both sets, and the pairs with their mean."""
    named = protocol_of(content)
    clips = content.get("clips") or {}
    counts = f"{len(clips.get('real') or [])} real and {len(clips.get('fake') or [])} generated clips."
    flicker, pairs = list(content.get("flicker") or []), list(content.get("pairs") or [])
    tables = distances_of(content, "Distances of real and generated clips")
    if flicker:
        note = "Flicker: mean |difference| of consecutive frames, of 255, over pixels, colours, steps and clips."
        tables.append(Table("Flicker", present(FLICKER, flicker), flicker, notes=[note]))
    if pairs:
        means = {key: mean(row.get(key) for row in pairs) for key in ("psnr", "ssim")}
        rows = [*pairs, {"clip": "mean", **means}] if len(pairs) > 1 else pairs
        tables.append(Table("Clips of the same name, frame by frame", PAIRS, rows))
    left_out = content.get("left_out") or []
    notes = sentences(counts, *(content.get("warnings") or []), *(f"Left out: {line}" for line in left_out))
    return Description("Real and generated movies", tables, (), notes, VIDEO.name, named, ct=False)


def recognises(content: Any) -> bool:
    """Tell results of an evaluation of movies: with distances, flicker or pairs."""
    if not isinstance(content, dict) or content.get("kind") != "video":
        return False
    flicker = are_rows(content.get("flicker"), "frames", "real", "fake")
    pairs = are_rows(content.get("pairs"), "clip", "psnr")
    return are_rows(content.get("measures"), "measure", "value") or flicker or pairs


VIDEO = Kind("video", recognises, describe)
