"""Processes of their own that begin at once, forked from one that has imported the libraries and done nothing else.

A fresh interpreter spends seconds on imports before it reaches what a test is about. A fork has those modules of its
parent, untouched; the rest is as in a fresh process: environment, arguments, streams, signals, and how it ends.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

LIBRARIES = (
    *("accelerate", "accelerate.utils.fsdp_utils", "nibabel", "zarr", "zarr.codecs"),
    *("torch._dynamo", "torch.distributed.fsdp", "torch.utils.tensorboard", "ctgrid_cli"),
    *("ctgrid.data.store.prepare", "ctgrid.methods.training.run", "ctgrid.runs.synthesis.series"),
    "ctgrid.scan.protocols.canonical",
)


def load() -> None:
    """Import what forked processes use; done before the fork, as the tests that stay use most of it too."""
    for name in LIBRARIES:
        importlib.import_module(name)


def serve(asked: int, answered: int) -> NoReturn:
    """Fork for every line of JSON that comes, or wait for who was forked, until no more can come."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, whose end is this one's
        faulthandler.disable()
        with os.fdopen(asked) as questions, os.fdopen(answered, "w") as answers:
            for number, line in enumerate(questions):
                if not number:
                    import torch

                    torch.set_num_threads(1)  # threads do not survive a fork
                job = json.loads(line)
                if "code" in job:
                    answer: object = os.fork()
                    if not answer:
                        run(job)
                else:
                    answer = end_of(job["child"], job["seconds"])
                print(json.dumps(answer), file=answers, flush=True)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(0)


def run(job: dict[str, Any]) -> NoReturn:
    """Be what ``python -c CODE ARGUMENTS`` is, to the end."""
    for number, name in enumerate([os.devnull, job["out"], job["err"]]):
        os.dup2(os.open(name, os.O_RDWR), number)
    sys.stdin, sys.stdout = (open(number, mode, closefd=False) for number, mode in ((0, "r"), (1, "w")))  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]
    sys.unraisablehook, threading.excepthook = sys.__unraisablehook__, threading.__excepthook__
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["folder"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup leaves ignored
    sys.argv = ["-c", *job["arguments"]]
    sys.modules["__main__"] = main = ModuleType("__main__")
    code = 0
    try:
        exec(compile(job["code"], "<forked>", "exec"), vars(main))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)


def end_of(child: int, seconds: float) -> object:
    """Return the code with which a process ends, or say that it runs too long and end it."""
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "still running"


class Server:
    """The process that forks: itself forked from this one, which is to have done nothing but import."""

    def __init__(self) -> None:
        self._folder, self.count = tempfile.TemporaryDirectory(prefix="forked-"), 0
        (asked, ask), (told, tell) = os.pipe(), os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads: those of pytest-xdist stay behind
            child = os.fork()
        if not child:
            os.close(ask)
            os.close(told)
            serve(asked, tell)
        os.close(asked)
        os.close(tell)
        self.pid, self._questions, self._answers = child, os.fdopen(ask, "w"), os.fdopen(told)

    def ask(self, question: dict[str, object]) -> object:
        """Send one question, return its answer."""
        print(json.dumps(question), file=self._questions, flush=True)
        return json.loads(self._answers.readline())

    def __call__(self, code: str, *arguments: object, **environment: str) -> Forked:
        """Start ``python -c CODE ARGUMENTS`` in this folder, with some more environment."""
        self.count += 1
        out, err = (Path(self._folder.name) / f"{self.count}.{name}" for name in ("out", "err"))
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
        self._questions.close()
        os.waitpid(self.pid, 0)
        self._answers.close()
        self._folder.cleanup()


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
