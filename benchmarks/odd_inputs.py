"""Give ctgrid every bad and odd input that the tests know, and print what it made of each as a Markdown table.

    python benchmarks/odd_inputs.py > docs/odd-inputs.md

The inputs are made by `tests/odd`; `tests/cli/across/test_odd_inputs.py` checks them. Exits with 1 where something
is not as it must be: a traceback, more than one line, a hang, a file left behind, a changed input, another answer.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

import odd.archives  # noqa: F401
import odd.dicom  # noqa: F401
import odd.itk  # noqa: F401
import odd.nifti  # noqa: F401
import odd.places  # noqa: F401
import odd.stated  # noqa: F401 (these fill CASES)
from odd.case import CASES
from odd.run import Outcome, examine, warm_up

LONGEST = 170


def main() -> int:
    """Print the page; return the exit code."""
    rows: dict[str, list[str]] = {}
    read = refused = bad = 0
    slowest = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        warm_up(Path(scratch) / "warm-up")
        for number, case in enumerate(CASES):
            outcomes = examine(case, Path(scratch) / str(number))
            for outcome in outcomes:
                for problem in outcome.problems:
                    print(f"{case.name}, {outcome.command}: {problem}", file=sys.stderr)
                    bad += 1
            read += outcomes[1].code == 0
            refused += outcomes[1].code != 0
            slowest = max(slowest, *(outcome.seconds for outcome in outcomes))
            cells = _cells(outcomes)
            rows.setdefault(case.kind, []).append(f"| {_safe(case.name)} | {' | '.join(cells)} |")
    limit = next(s for s in (1, 2, 5, 10, 20, 60) if slowest < s)
    print(HEAD.format(cases=len(CASES), calls=3 * len(CASES), read=read, refused=refused, bad=bad, slowest=limit))
    for kind, lines in rows.items():
        print(f"\n## {kind}\n\n| input | info | convert | prepare |\n|---|---|---|---|", *lines, sep="\n")
    return 1 if bad else 0


def _cells(outcomes: list[Outcome]) -> list[str]:
    """Return what each command said; what the command before said too is not told again."""
    cells: list[str] = []
    for outcome in outcomes:
        text = _safe(outcome.text)
        cells.append("the same" if cells and text != "read" and text in cells else text)
    return cells


def _safe(text: str) -> str:
    """Make text fit into a table cell, the same in every run."""
    text = re.sub(r"/\S*/\d+/in/", "", re.sub(r"x{20,}", "xxx...", " ".join(text.split())))
    text = text if len(text) <= LONGEST else text[:LONGEST].rstrip() + " ..."
    return re.sub(r"([|<>*_`\[\]])", r"\\\1", text)


HEAD = """# Bad and odd inputs: what each got

{cases} bad and odd files, as `ctgrid info`, `ctgrid convert` and `ctgrid prepare --protocol canonical` answer them;
`convert` read {read} and refused {refused}. Every call ends in success, or in one line with the reason and exit code 1,
leaves nothing behind and the input untouched. Exceptions among {calls} calls: {bad}; none took longer than {slowest} s.

"Read": the values that `convert` wrote are those that were put in, to half a HU. "Read, but": with that warning.
`info` also shows scans whose HU cannot be told. Fuzzed files may be read where the damage hit nothing that matters.

`python benchmarks/odd_inputs.py` makes this page; `tests/cli/across/test_odd_inputs.py` checks every row."""

if __name__ == "__main__":
    sys.exit(main())
