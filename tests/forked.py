"""Processes of their own that begin at once, forked from one that has imported the libraries and done nothing else.

A fresh interpreter spends five seconds on imports before it reaches what a test is about. A fork has those modules of
its parent, untouched; the rest is as in a fresh process: environment, arguments, streams, signals, and how it ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

SERVER = """
import json, os, signal, sys, time, traceback
import accelerate, accelerate.utils.fsdp_utils, diffusers.training_utils, nibabel, zarr, zarr.codecs
import torch._dynamo, torch.distributed.fsdp, torch.utils.tensorboard
import ctgrid.data.store.prepare, ctgrid.methods.training.run, ctgrid.runs.synthesis.series
import ctgrid.scan.protocols.canonical, ctgrid_cli

def run(job):
    for number, name in enumerate([os.devnull, job["out"], job["err"]]):
        os.dup2(os.open(name, os.O_RDWR), number)
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["folder"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup leaves ignored
    sys.argv = ["-c", *job["arguments"]]
    code = 0
    try:
        exec(compile(job["code"], "<forked>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

def end_of(child, seconds):
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "still running"

for line in sys.stdin:
    job = json.loads(line)
    if "code" in job:
        answer = os.fork()
        if not answer:
            run(job)
    else:
        answer = end_of(job["child"], job["seconds"])
    print(json.dumps(answer), flush=True)
"""


class Server:
    """The process that forks; started with the first that is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.process: subprocess.Popen[str] | None = None

    def ask(self, question: dict[str, object]) -> object:
        """Send one question, return its answer."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVER],
                env=os.environ | {"OMP_NUM_THREADS": "1"},  # threads do not survive a fork
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __call__(self, code: str, *arguments: object, **environment: str) -> Forked:
        """Start ``python -c CODE ARGUMENTS`` in this folder, with some more environment."""
        self.count += 1
        out, err = (self.folder / f"{self.count}.{name}" for name in ("out", "err"))
        for path in (out, err):
            path.touch()
        child = self.ask(
            {
                "code": code,
                "arguments": [str(argument) for argument in arguments],
                "environment": os.environ | environment,
                "folder": str(Path.cwd()),
                "out": str(out),
                "err": str(err),
            }
        )
        assert isinstance(child, int)
        return Forked(self, child, out, err)

    def close(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.communicate()


@dataclass
class Forked:
    """A process that was started."""

    server: Server
    pid: int
    out: Path
    err: Path

    def line(self, seconds: float = 60) -> str:
        """Return the first line that it prints, once it is there."""
        last = time.monotonic() + seconds
        while "\n" not in (text := self.out.read_text(encoding="utf-8")) and time.monotonic() < last:
            time.sleep(0.01)
        return text.partition("\n")[0]

    def wait(self, seconds: float = 300) -> Ended:
        """Wait for its end."""
        code = self.server.ask({"child": self.pid, "seconds": seconds})
        return Ended(code, *(path.read_text(encoding="utf-8") for path in (self.out, self.err)))


@dataclass
class Ended:
    """How a process ended: its code, minus the signal that ended it, and what it printed."""

    returncode: object
    stdout: str
    stderr: str
