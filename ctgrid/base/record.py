"""The small record beside every output: what was done, with what, and what it cost."""

from __future__ import annotations

import os
import shutil
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from ctgrid.base.documents import as_json, plain
from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.base.files import atomic_output, sha256_of
from ctgrid.base.locks import owned
from ctgrid.base.machine import peak_memory_mib, versions
from ctgrid.base.present import Present
from ctgrid.base.privacy import aliases_for_paths, hides, without_paths
from ctgrid.base.progress import Progress
from ctgrid.base.record_place import record_beside, renamed
from ctgrid.base.settings_file import settings_file


@dataclass
class RunRecord:
    """One run of one command, filled in while it goes and written as JSON at its end.

    Attributes:
        command: the command's name.
        path: where the record is written; an older record there is renamed, never lost.
        argv: the command line as typed, without the program's name.
        settings: every parameter after defaults were applied.
        model: what the pipeline says about its networks: names, hashes, configs.
        decisions: what was decided from evidence, such as how HU were found.
        phases: seconds by phase; see :meth:`timed`.
        results: the run's own figures, such as ``noise_hu``.
        dit_token_passes: tokens times calls of the diffusion transformers; None where none was called.
        worth_keeping: write the record even when the run fails, because it left something behind.
        written: whether the record lies on the disk.
        parts: of a run that makes several volumes, what the record of each says that differs, by the volume's path;
            they are written beside the volumes, after the run's own.
        settings_file: path and SHA-256 of the file that settings were read from, if one was.
    """

    command: str
    path: Path
    argv: list[str] = field(default_factory=list)
    seed: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    decisions: dict[str, Any] = field(default_factory=dict)
    phases: dict[str, float] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    dit_token_passes: int | None = None
    inputs: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    status: str = "running"
    worth_keeping: bool = False
    written: bool = False
    parts: dict[Path, dict[str, Any]] = field(default_factory=dict)
    settings_file: dict[str, str] | None = field(default_factory=settings_file)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    _clock: float = field(default_factory=time.perf_counter, repr=False)
    _seconds: float = 0.0
    _peak: dict[str, float] | None = field(default=None, repr=False)

    def add_input(self, path: Path, **facts: Any) -> None:
        """Note a file or a folder that was read: size, SHA-256, and any further facts."""
        self.inputs.append({**fingerprint(path), **facts})

    def add_output(self, path: Path, **facts: Any) -> None:
        """Note a finished output; from here on the record is kept even if the run fails later."""
        self.outputs.append({**fingerprint(path), **facts})
        self.worth_keeping = True

    def add_phases(self, phases: dict[str, float]) -> None:
        """Add seconds by phase to those counted so far."""
        for name, seconds in phases.items():
            self.phases[name] = self.phases.get(name, 0.0) + seconds

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Count the seconds of a ``with`` block under a phase."""
        start = time.perf_counter()
        yield
        self.add_phases({phase: time.perf_counter() - start})

    def kept_from(self, phase: str, progress: Progress) -> Progress:
        """Return the callback; once something is done in the phase, the record is kept even if the run fails."""

        def told(at: str, done: int, total: int) -> None:
            self.worth_keeping = self.worth_keeping or (phase in at and done > 0)
            progress(at, done, total)

        return told

    @contextmanager
    def noting_warnings(self) -> Iterator[None]:
        """Note every warning of ctgrid in a ``with`` block as a decision, besides showing it."""
        with warnings.catch_warnings():
            warnings.simplefilter("always", CtgridWarning)
            show = warnings.showwarning

            def note(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
                show(message, category, *where, **more)
                if issubclass(category, CtgridWarning):
                    self.decisions.setdefault("warnings", []).append(str(message))

            warnings.showwarning = note
            yield

    @property
    def seconds(self) -> float:
        """Wall time so far, or of the whole run once it has ended."""
        return self._seconds or time.perf_counter() - self._clock

    def end(self, status: str) -> None:
        """Stop the clock and write the record."""
        self.status, self.ended, self._seconds = status, datetime.now(UTC), self.seconds
        self._peak = peak_memory_mib()  # what is printed later is what was written
        whole = self.as_dict()
        _write(self.path, whole)
        self.written = True
        for output, facts in self.parts.items():
            part = {**whole, **plain(facts)}
            _write(record_beside(output), without_paths(part) if hides() else part)

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values, without names and paths where these are not wanted."""
        content = plain(
            {
                "command": self.command,
                "status": self.status,
                "argv": self.argv,
                "working_folder": working_folder(),
                "seed": self.seed,
                "started": self.started.isoformat(timespec="milliseconds"),
                "ended": self.ended.isoformat(timespec="milliseconds") if self.ended else None,
                "seconds": round(self.seconds, 3),
                "phases": {name: round(s, 3) for name, s in self.phases.items()},
                "peak_memory_mib": self._peak or peak_memory_mib(),
                "settings": aliases_for_paths(self.settings) if hides() else self.settings,
                **({} if self.settings_file is None else {"settings_file": self.settings_file}),
                "decisions": self.decisions,
                "dit_token_passes": self.dit_token_passes,
                "results": self.results,
                "model": self.model,
                "inputs": self.inputs,
                "outputs": self.outputs,
                "versions": versions(),
            }
        )
        return without_paths(content) if hides() else content


@contextmanager
def recorded(
    record: RunRecord, *outputs: Path, owns: Sequence[Path] = (), replaces: bool = False
) -> Iterator[RunRecord]:
    """Write ``record`` when the block ends; after a failure only if the run left something behind.

    Args:
        record: The run's; refused before any work where it cannot be written.
        outputs: The files or the folder that the run makes. Those that were not there before are removed again where
            the record cannot be written after all: all or nothing.
        owns: Folders that no other command may write into meanwhile. They must still be there at the end.
        replaces: Whether the run puts new folders in the place of those.

    Yields:
        The record, to be filled.

    Raises:
        CtgridError: The record cannot be written, or another command works in a folder.
    """
    check_place(record.path)
    new = [output for output in outputs if not output.exists()]
    with ExitStack() as stack:
        for folder in dict.fromkeys(Path(os.path.abspath(folder)) for folder in owns):  # noqa: PTH100
            stack.enter_context(owned(folder, record.command))
        watched = [] if replaces else [stack.enter_context(Present(folder)) for folder in owns]
        try:
            yield record
            for present in watched:
                present.check()
        except BaseException as error:
            if record.worth_keeping:
                with suppress(CtgridError, OSError):  # the disk is full, say: the run's own failure is what to tell
                    record.end("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        try:
            record.end("done")
        except BaseException:
            for output in new:
                _remove(output)
            raise


def check_place(path: Path) -> None:
    """Make sure that a record can be written, as far as that can be told before; folders may still be made.

    Args:
        path: The record's.

    Raises:
        CtgridError: Something else has its name, or its folder is none or cannot be written to.
    """
    if path.is_dir() or (path.exists() and not path.is_file()):
        what = "a folder" if path.is_dir() else "no regular file"
        raise CtgridError(f"cannot write the record {path}: {what} has that name; move it away, or write elsewhere")
    if path.parent.exists() and not path.parent.is_dir():
        raise CtgridError(f"cannot write the record {path}: {path.parent}: it is a file, not a folder")
    if path.parent.exists() and not os.access(path.parent, os.W_OK | os.X_OK):
        raise CtgridError(
            f"cannot write the record {path}: no permission to write in {path.parent}; name another place with --out"
        )


def working_folder() -> Path | None:
    """Return the folder that relative paths start from, or None where it was removed meanwhile."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def _write(path: Path, content: dict[str, Any]) -> None:
    move_aside(path)
    with atomic_output(path, overwrite=True) as temporary:
        temporary.write_text(as_json(content, 2) + "\n", encoding="utf-8")


def _remove(output: Path) -> None:
    if output.is_dir() and not output.is_symlink():
        shutil.rmtree(output, ignore_errors=True)
    else:
        output.unlink(missing_ok=True)


def move_aside(path: Path) -> Path | None:
    """Rename an existing ``run.json`` to the first free of ``run-1.json``, ``run-2.json``, ...

    Two processes may do this at once in one folder: each claims its new name before it renames.

    Returns:
        The new name, or None where there was nothing to rename.

    Raises:
        CtgridError: where it cannot be renamed.
    """
    for n in count(1):
        if not path.exists():
            return None
        target = renamed(path, n)
        try:
            target.open("x").close()
        except FileExistsError:
            continue
        try:
            path.replace(target)
        except FileNotFoundError:
            target.unlink()
            continue
        except OSError as error:
            target.unlink(missing_ok=True)
            raise CtgridError(f"cannot rename the record {path}: {error.strerror or error}") from error
        return target
    return None


def fingerprint(path: Path) -> dict[str, Any]:
    """Return path, size and SHA-256 of a file; of a folder, those of the list of its files."""
    if not path.is_dir():
        return {"path": str(path), "bytes": path.stat().st_size, "sha256": sha256_of(path)}
    files = sorted(p for p in path.rglob("*") if p.is_file())
    listing = "".join(f"{sha256_of(p)}  {p.relative_to(path).as_posix()}\n" for p in files)
    return {
        "path": str(path),
        "files": len(files),
        "bytes": sum(p.stat().st_size for p in files),
        "sha256": sha256(listing.encode("utf-8", "surrogateescape")).hexdigest(),
    }
