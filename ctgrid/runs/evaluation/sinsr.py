"""SinSR (CVPR 2024) as a method of super-resolution: the comparison of the paper's Table 6.

An adapter to a checkout of its public repository and to its published checkpoints, none of which comes with ctgrid. It
runs in a process of its own, by the Python of the environment that its requirements are installed in.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctgrid.base.documents import parsed_yaml, text_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.record import fingerprint
from ctgrid.base.remains import scratch

ADDRESS = "https://github.com/wyf0912/SinSR"
CONFIG = Path("configs") / "SinSR.yaml"
WEIGHTS = Path("weights") / "SinSR_v1.pth"
AUTOENCODER = Path("weights") / "autoencoder_vq_f4.pth"
"""Where SinSR's own ``inference.py`` keeps its files."""


@dataclass(frozen=True)
class SinSRSettings:
    """Where SinSR is.

    Attributes:
        code: the checkout.
        weights: checkpoint of the network; None takes the published one in the checkout.
        python: of its environment; None takes the one that runs ctgrid.
    """

    code: Path
    weights: Path | None = None
    python: Path | None = None

    @property
    def network(self) -> Path:
        """The checkpoint of the network."""
        return self.weights or self.code / WEIGHTS

    def check(self) -> int:
        """Make sure that all files are there, and return the factor of the enlargement.

        Raises:
            CtgridError: where one is missing, or the configuration is another.
        """
        if not (self.code / CONFIG).is_file():
            raise CtgridError(f"{self.code} is no checkout of SinSR, {CONFIG} is not there: git clone {ADDRESS}")
        for path in (self.network, self.code / AUTOENCODER):
            if not path.is_file():
                raise CtgridError(
                    f"{path} does not exist; {ADDRESS} says where SinSR's weights are, its inference.py fetches them"
                )
        if self.python is not None and not self.python.is_file():
            raise CtgridError(f"{self.python} does not exist; --sinsr-python names the python of SinSR's environment")
        config = parsed_yaml(text_of(self.code / CONFIG, "SinSR's configuration"), self.code / CONFIG)
        try:
            return int(config["diffusion"]["params"]["sf"])
        except (KeyError, TypeError, ValueError) as error:
            raise CtgridError(f"{self.code / CONFIG} names no diffusion.params.sf; it is not SinSR's") from error

    def facts(self) -> dict[str, Any]:
        """Return what decides its results: the hashes of its files."""
        files = {"network": self.network, "autoencoder": self.code / AUTOENCODER, "config": self.code / CONFIG}
        return {name: fingerprint(path)["sha256"] for name, path in files.items()}


class SinSR:
    """SinSR, running; see :mod:`ctgrid.runs.evaluation.sinsr_worker`. The process ends with this object."""

    def __init__(self, settings: SinSRSettings, seed: int, device: str = "auto") -> None:
        """Start it and wait until its networks are loaded.

        Raises:
            CtgridError: where it does not start, or cannot use the files.
        """
        from ctgrid.runs.evaluation import sinsr_worker

        self.seed, self.settings = seed, settings
        files = (settings.code, settings.network, settings.code / AUTOENCODER)
        command = [settings.python or sys.executable, sinsr_worker.__file__, *(f.absolute() for f in files), device]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process that writes to it
        try:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                cwd=settings.code,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                text=True,
                encoding="utf-8",
            )
        except OSError as error:
            raise CtgridError(f"{command[0]} cannot be started: {error.strerror or error}") from error
        self._end = weakref.finalize(self, _ended, self._process)
        self.k = int(self._answer()["k"])

    def __call__(self, coarse: Tensor) -> Tensor:
        """Enlarge coarse slices (B, 1, s, s) in [-1, 1] to (B, 1, k s, k s).

        Raises:
            CtgridError: where SinSR fails.
        """
        with scratch() as folder:
            images, made = folder / "images.npy", folder / "made.npy"
            np.save(images, coarse[:, 0].float().numpy())
            self._answer({"images": str(images), "made": str(made), "seed": self.seed})
            return torch.from_numpy(np.load(made))[:, None]

    def _answer(self, request: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request, or none, and wait for what comes back."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        try:
            if request is not None:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
            content = json.loads(process.stdout.readline() or json.dumps({"error": self._last_word()}))
        except (OSError, ValueError) as error:
            content = {"error": str(error)}
        if "error" in content:
            self._end()
            python = self.settings.python or sys.executable
            raise CtgridError(
                f"SinSR in {self.settings.code} fails by {python}: {content['error']}; it runs in the environment of "
                "its requirements.txt, whose python --sinsr-python names"
            )
        assert isinstance(content, dict)
        return content

    def _last_word(self) -> str:
        """Return the last line that a process which ended left on its standard error."""
        self._process.wait()
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it ended without a word")


def _ended(process: subprocess.Popen[str]) -> None:
    """Close a process's input, which ends it, and wait for that."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
