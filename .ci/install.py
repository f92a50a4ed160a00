"""Install with pip under the pinned constraints.

Usage: ``python .ci/install.py PIP-INSTALL-ARGUMENTS...``

Two rules about torch that pip has no option for:

* a torch that the environment already has stays, whatever its version or build;
* a Linux machine without an NVIDIA driver gets the CPU build from pytorch.org, where that can be reached in
  three seconds, for the default build brings gigabytes of CUDA libraries. Elsewhere pip's own indexes decide.

Needs nothing but the standard library and pip, both of the interpreter that runs it.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PROBE = f"import urllib.request; urllib.request.urlopen('{CPU_INDEX}/torch/', timeout=3)"


def installed_torch() -> str | None:
    """Return the version of the torch in this environment, without its build suffix."""
    try:
        return importlib.metadata.version("torch").split("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


def cpu_index_helps() -> bool:
    """Tell whether torch should come from the CPU index: Linux, no NVIDIA driver, index within reach."""
    if sys.platform != "linux" or shutil.which("nvidia-smi") or os.environ.get("PIP_NO_INDEX"):
        return False
    try:  # a process of its own, because a name look-up that hangs obeys no timeout
        probe = subprocess.run([sys.executable, "-c", PROBE], timeout=5, capture_output=True, check=False)
    except subprocess.TimeoutExpired:
        return False
    return probe.returncode == 0


def pip_install(*arguments: str) -> int:
    """Run ``pip install`` in this environment and return its exit status."""
    command = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    return subprocess.run([*command, *arguments], check=False).returncode


def main(arguments: list[str]) -> int:
    """Install ``arguments`` under the constraints, with torch as the rules above say."""
    constraints = CONSTRAINTS.read_text(encoding="utf-8")
    torch = installed_torch()
    if torch is not None:
        constraints = re.sub(r"(?m)^torch==\S+", f"torch=={torch}", constraints)
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder) / CONSTRAINTS.name
        pinned.write_text(constraints)
        if torch is None and cpu_index_helps():
            wanted = re.findall(r"(?m)^torch==\S+", constraints)
            print("no NVIDIA driver: torch's CPU build, from pytorch.org", flush=True)
            pip_install("--no-deps", "--index-url", CPU_INDEX, *wanted)
        return pip_install("-c", str(pinned), *arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
