"""Draw the loss of training runs from their logs as one SVG, a panel each.

python benchmarks/loss_curves.py docs/training/*.jsonl --out docs/images/loss.svg
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

WIDTH, HEIGHT, MARGIN = 320, 200, 44
POINTS = 150
"""Points of a curve: each is the mean of an equal share of the steps."""


def means(log: Path) -> tuple[list[float], list[float]]:
    """Return steps and mean losses of a JSONL log, thinned to about :data:`POINTS`."""
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    share = max(1, len(records) // POINTS)
    parts = [records[i : i + share] for i in range(0, len(records), share)]
    steps = [sum(r["step"] for r in part) / len(part) for part in parts]
    return steps, [sum(r["loss"] for r in part) / len(part) for part in parts]


def panel(log: Path, left: float) -> str:
    """Draw one log, loss on a logarithmic axis."""
    steps, losses = means(log)
    low, high = math.log10(min(losses)), math.log10(max(losses))
    x = [left + MARGIN + s / steps[-1] * (WIDTH - MARGIN - 8) for s in steps]
    y = [24 + (high - math.log10(v)) / (high - low) * (HEIGHT - 24 - MARGIN) for v in losses]
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    text = [
        (left + MARGIN, 14, "start", log.stem),
        (left + MARGIN - 4, 30, "end", f"{max(losses):.3g}"),
        (left + MARGIN - 4, HEIGHT - MARGIN + 2, "end", f"{min(losses):.3g}"),
        (left + WIDTH - 8, HEIGHT - MARGIN + 18, "end", f"step {round(steps[-1])}"),
    ]
    labels = "".join(f'<text x="{a:.0f}" y="{b:.0f}" text-anchor="{c}">{d}</text>' for a, b, c, d in text)
    frame = (
        f'<rect x="{left + MARGIN:.0f}" y="20" width="{WIDTH - MARGIN - 8}" height="{HEIGHT - 20 - MARGIN}" '
        'fill="none" stroke="#999"/>'
    )
    return f'{frame}<polyline fill="none" stroke="#06c" stroke-width="1.5" points="{line}"/>{labels}'


def main() -> None:
    """Parse arguments and write the drawing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    panels = "".join(panel(log, i * WIDTH) for i, log in enumerate(arguments.logs))
    arguments.out.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(arguments.logs)} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>{panels}</svg>\n'
    )


if __name__ == "__main__":
    main()
