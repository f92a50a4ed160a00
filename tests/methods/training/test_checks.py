"""What a run is refused for before its volumes are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.methods.training.checks import MAY_CHANGE, check_network, check_run_folder, check_same_run
from ctgrid.methods.training.config import TrainConfig

NETWORK = {"patch_size": 2, "width": 32, "depth": 1, "heads": 2}


def config(network: dict[str, Any] | None = None, size: int = 64, **optimisation: Any) -> TrainConfig:
    """A small stage 2."""
    settings = {"steps": 4, "batch_size": 2} | optimisation
    stage = {"network": NETWORK | (network or {}), "size": size}
    return TrainConfig.model_validate({"kind": "stage2", "optimisation": settings, "stage2": stage})


def test_a_network_that_cannot_be_built_names_the_key() -> None:
    assert sum(p.numel() for p in check_network(config()).parameters()) > 1000
    for wrong, words in (
        ({"heads": 5}, "stage2.network: .*heads"),
        ({"wide": 5}, "stage2.network: .*wide"),
        ({"learned_variance": "yes"}, "learned_variance is true or false, got 'yes'"),
    ):
        with pytest.raises(CtgridError, match=words):
            check_network(config(wrong))


def test_a_folder_may_hold_one_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    check_run_folder(out, config(), resume=False)
    check_run_folder(out, config(), resume=True)
    with pytest.raises(CtgridError, match="this folder does not exist; create it first"):
        check_run_folder(tmp_path / "no" / "run", config(), resume=False)
    (out / "checkpoints").mkdir(parents=True)
    with pytest.raises(CtgridError, match="holds a run already; pass --resume"):
        check_run_folder(out, config(), resume=False)
    check_run_folder(out, config(), resume=True)
    (tmp_path / "file").touch()
    with pytest.raises(CtgridError, match="is a file; a run needs a folder"):
        check_run_folder(tmp_path / "file", config(), resume=False)


def kept(tmp_path: Path, before: TrainConfig, **changes: Any) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(before.model_dump(mode="json") | changes))
    return path


def test_some_numbers_may_change_and_nothing_else(tmp_path: Path) -> None:
    path = kept(tmp_path, config())
    check_same_run(tmp_path / "none.json", config())
    check_same_run(path, config(steps=9, learning_rate=1e-5, checkpoint_every=7))
    assert {"steps", "learning_rate"} <= MAY_CHANGE
    for other, words in (
        (config(batch_size=3), r"the recipe differs in optimisation\.batch_size;"),
        (config(size=128), r"differs in stage2\.size;"),
        (config({"width": 64}), r"differs in stage2\.network;"),
    ):
        with pytest.raises(CtgridError, match=words):
            check_same_run(path, other)


def test_a_run_of_before_a_key_was_there_goes_on(tmp_path: Path) -> None:
    """With the key's default; what cannot be read differs in all."""
    path = kept(tmp_path, config())
    content = json.loads(path.read_text())
    del content["stage2"]["degradation"], content["optimisation"]["ema_warmup"]
    path.write_text(json.dumps(content))
    check_same_run(path, config())
    for text, words in (("[1]", "differs in kind"), ("{", "the recipe of a run"), ('{"kind": 3}', "differs in")):
        path.write_text(text)
        with pytest.raises(CtgridError, match=words):
            check_same_run(path, config())
