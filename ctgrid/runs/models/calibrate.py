"""``ctgrid model calibrate`` as a call of Python: a model's table of trust, made by scans with little noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import check_output, check_suffix
from ctgrid.base.machine import version_of
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import RunRecord
from ctgrid.base.record_place import RECORD
from ctgrid.base.settings import gather, spelled_out
from ctgrid.runs.models.settings import CalibrationSettings
from ctgrid.scan.cases import find_cases, named
from ctgrid.scan.ct import require_ct
from ctgrid.scan.volume import Volume
from ctgrid.stages.models.parts import DETAIL, TRUST
from ctgrid.stages.models.sources import EMBEDDED, resolve_model


@spelled_out(CalibrationSettings, "changes")
def calibrate_model(
    model: str | Path,
    data: Path | str | Sequence[Path | str],
    out: Path | str | None = None,
    settings: CalibrationSettings | None = None,
    *,
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Measure how far a model's answers are off on scans that noise is added to, and keep it in the model's folder.

    The table says itself what it was made with; no other record is written.

    Args:
        model: its detail network denoises.
        data: scans with little noise, and folders of them.
        out: the table, JSON; None puts it where ``ctgrid denoise --trust`` looks for it, in the model's folder.
        settings: how; None takes the defaults.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        The record; its ``results`` are what the table says of itself.

    Raises:
        CtgridError: where the model has no detail part, no scan can be read, or the table cannot be written.
    """
    asked = gather(CalibrationSettings, changes, settings or CalibrationSettings())
    part = resolve_model(model) / DETAIL
    if out is None and (str(model) == EMBEDDED or str(model).startswith("hub:")):
        raise CtgridError(f"{model} is not a folder of yours; name the table with --out")
    path = part / TRUST if out is None else Path(out)
    check_suffix(path, (".json",), "a table of trust")
    given = [data] if isinstance(data, str | Path) else list(data)
    cases = named(find_cases(given))
    from ctgrid.methods.denoising.methods import load_method
    from ctgrid.methods.denoising.trust.calibrate import calibrate
    from ctgrid.methods.denoising.trust.maps import weights_hash

    record = RunRecord("model calibrate", Path(RECORD), [])
    record.settings = {"model": str(model), **asked.as_dict()}
    progress("loading the method", 0, 1)
    method: Any = load_method(DETAIL, model=str(model), device=asked.device)
    check_output(path, asked.overwrite)
    left_out: dict[str, str] = {}

    def reader(source: Path) -> Callable[[], Volume]:
        def read() -> Volume:
            volume = Volume.read(source, hu=asked.hu)
            require_ct(volume)
            record.add_input(source)
            return volume

        return read

    table = calibrate(
        [(case.name, reader(case.path)) for case in cases],
        lambda volume, only: method.run(volume, "auto", only=only).volume,
        slices=asked.slices,
        seed=asked.seed,
        about={"method": DETAIL, "weights": weights_hash(part), "ctgrid": version_of("ctgrid")},
        left_out=left_out,
        progress=progress,
    )
    table.write(path, asked.overwrite)
    record.add_output(path)
    record.results = {**table.about, "left_out": left_out}
    record.status, record.ended = "done", datetime.now(UTC)
    return record
