"""Ask PyPI for known weaknesses of the pinned packages; say which there are, and what could not be asked.

Usage: ``python .ci/audit.py``, with pip-audit in the interpreter's environment (``make audit`` makes one). It reports
and never fails: what is known changes from day to day, with no change here. An answer that was not had is never taken
for a good one: pip-audit itself says "no known vulnerabilities" of packages that it found nowhere.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"
COMMAND = ["pip_audit", "--progress-spinner", "off", "--disable-pip", "--no-deps", "--format", "json", "-r"]


def told(report: dict[str, Any]) -> list[str]:
    """Return what a report of pip-audit says, a line each: weaknesses first, then how much was asked."""
    packages = report["dependencies"]
    asked = [package for package in packages if "skip_reason" not in package]
    weak = [
        f"{one['name']} {one['version']}: {weakness['id']}, mended in {', '.join(weakness['fix_versions']) or '-'}"
        for one in asked
        for weakness in one["vulns"]
    ]
    if not asked:
        return [f"NOT AUDITED: PyPI's list of weaknesses knew none of {len(packages)} packages; is it within reach?"]
    summary = f"{len(weak)} known weaknesses in {len(asked)} of {len(packages)} pinned packages"
    left = [f"not audited: {package['name']}" for package in packages if "skip_reason" in package]
    return [*weak, *left, summary]


def main() -> int:
    """Run pip-audit and print what it says in lines; return 0."""
    done = subprocess.run(
        [sys.executable, "-m", *COMMAND, str(CONSTRAINTS)], capture_output=True, text=True, check=False
    )
    try:
        lines = told(json.loads(done.stdout))
    except (ValueError, KeyError):  # it ended without a report
        reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        lines = [f"NOT AUDITED: pip-audit got no answer: {reason}"]
    print("\n".join(f"audit: {line}" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
