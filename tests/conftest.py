"""What every test may ask for: the shared reference data, and small synthetic scans."""

from __future__ import annotations

import ast
import gc
import importlib.metadata
import importlib.util
import logging
import os
import re
import signal
import sys
import threading

if "PYTEST_XDIST_WORKER" in os.environ:  # a process for each core already; set before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Generator, Iterable, Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.testing
from hypothesis import settings
from hypothesis.internal.conjecture import providers

from ctgrid.scan.volume import Volume

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
"""``gw0``, ``gw1`` and so on where several processes share the tests."""

settings.register_profile("ctgrid", deadline=None, database=None)  # a busy machine is no failure
settings.load_profile("ctgrid")
providers.is_local_module_file = lambda path: False  # it would parse all of ctgrid for numbers to try

SPEC = importlib.util.spec_from_file_location("forked", Path(__file__).parent / "forked.py")
assert SPEC is not None and SPEC.loader is not None
sys.modules["forked"] = forked_module = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(forked_module)


def pytest_configure() -> None:
    """Hear the signals that a shell's background job or ``nohup`` has ignored: tests send them."""
    if threading.current_thread() is threading.main_thread():
        for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, usual)
    os.fsync = lambda descriptor: None  # no power is cut here, and tests would wait for the disk thousands of times
    gc.disable()  # what is collected stays
    importlib.metadata.packages_distributions = cache(importlib.metadata.packages_distributions)  # a second a call
    typer.testing._get_command = cache(typer.testing._get_command)  # typer reads all signatures anew at every call


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what is long where several processes share the tests, so that they end at the same time."""
    if WORKER:
        items.sort(key=lambda item: (item.get_closest_marker("slow") is None, item.path.parts))


class Backwards(pytest.Dir):
    """A folder whose last test file is read first."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        return reversed(list(super().collect()))


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Let every second process begin at the other end, so that none compiles what another is compiling."""
    return Backwards.from_parent(parent, path=path) if WORKER and int(WORKER[2:]) % 2 else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Look no more at the thousands of tests and modules when memory is tidied up, and tidy up less often."""
    if forks(session):
        forked_module.load()
    gc.freeze()
    gc.set_threshold(10_000)  # of Python's 700, at which it takes a twentieth of the time
    gc.enable()


SERVER = pytest.StashKey[Any]()


def forks(session: pytest.Session) -> bool:
    """Tell whether a test will fork."""
    return hasattr(os, "fork") and any("forked" in getattr(item, "fixturenames", ()) for item in session.items)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Fork what tests fork from before the first of them runs: it has imported what they import, and done nothing."""
    if not forks(session):
        return (yield)
    server = session.config.stash[SERVER] = forked_module.Server()
    try:
        return (yield)
    finally:
        server.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the hostile tests run longer."""
    parser.addoption(
        "--hostile-cases", type=int, default=12, help="damaged files of each kind, and a kill for every 12 (default 12)"
    )
    parser.addoption("--hostile-seed", type=int, default=1, help="decides damage and moments of kills (default 1)")


@pytest.fixture(scope="session", autouse=True)
def quiet_logs() -> None:
    """Let no command tell of its phases, as it does where a busy machine makes it slow."""
    from ctgrid_cli import progress

    progress.QUICK_SECONDS = float("inf")


SHARED = Path(__file__).resolve().parents[2] / "shared"


def _shared_folder(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"reference data are not here: ../shared/{name} is absent")
    return folder


class Heard(logging.Handler):
    """Keeps the messages of whatever reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.messages.append(record.getMessage())


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Return the list of what is logged from now on, as pytest's ``caplog`` has it at a cost for every test."""
    logging.getLogger().addHandler(heard := Heard())
    yield heard.messages
    logging.getLogger().removeHandler(heard)


NUMBERS = count()


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty folder; pytest's own would look for a free number among thousands, every time."""
    folder = tmp_path_factory.getbasetemp() / f"{next(NUMBERS)}_{re.sub(r'[^0-9A-Za-z]', '_', request.node.name)[:30]}"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what puts packages out of reach for the rest of a test, as ``without("zarr", "av")``."""
    import sys

    def hide(*packages: str) -> None:
        for name in {*packages, *(loaded for loaded in sys.modules if loaded.partition(".")[0] in packages)}:
            monkeypatch.setitem(sys.modules, name, None)

    return hide


@pytest.fixture(scope="session")
def forked(request: pytest.FixtureRequest) -> Any:
    """Start Python code in a process of its own, without seconds of imports: ``forked(code, *arguments).wait()``."""
    return request.config.stash[SERVER]


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what stands in a module, however deep, but for expressions, which are most of it."""
    yield node
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for below in getattr(node, name, ()) if not isinstance(node, ast.expr) else ():
            yield from statements(below)


@pytest.fixture(scope="session")
def imported() -> Callable[[Path], list[ast.Import | ast.ImportFrom]]:
    """Return what lists the imports anywhere in a source file, which it parses once for all tests."""

    def imports(path: Path) -> list[ast.Import | ast.ImportFrom]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        return [node for node in statements(tree) if isinstance(node, ast.Import | ast.ImportFrom)]

    return cache(imports)


@pytest.fixture
def coarse_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure volumes on slices of 64 pixels, in a sixteenth of the time: what is measured, not how well."""
    from ctgrid.runs.evaluation.ct import chest_frame
    from ctgrid.runs.evaluation.fidelity import features

    monkeypatch.setattr(features, "SIDE", 64)
    monkeypatch.setattr(chest_frame, "SIDE_PX", 64)


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Return the folder of reference tensors, or skip."""
    return _shared_folder("golden")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real CT series (``<split>/<name>/*.dcm``), or skip."""
    return _shared_folder("data") / "ct"


@pytest.fixture(scope="session")
def rider(data_dir: Path) -> Volume:
    """Return the validation patient, read once for all tests, which change none of it."""
    volume = Volume.read(data_dir / "validation" / "rider_0117")
    volume.hu.flags.writeable = False
    return volume


@pytest.fixture(scope="session")
def chest() -> Callable[..., np.ndarray]:
    """Return a maker of chest-like HU: body in air, two lungs, a spine low in the picture, noise.

    Called as ``chest(shape=(z, y, x), noise_hu=15.0, seed=0)``; gives int16 in LPS display orientation.
    The right lung is larger and slices differ, so that every flip and permutation is visible.
    """

    def make(shape: tuple[int, int, int] = (24, 48, 64), noise_hu: float = 15.0, seed: int = 0) -> np.ndarray:
        z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
        hu = np.full(shape, -1000.0)
        hu[(x / 0.85) ** 2 + (y / 0.75) ** 2 < 1] = 40
        hu[((x + 0.4) / 0.35) ** 2 + (y / 0.5) ** 2 + (z / 0.9) ** 2 < 1] = -850
        hu[((x - 0.4) / 0.25) ** 2 + (y / 0.45) ** 2 + ((z - 0.2) / 0.7) ** 2 < 1] = -850
        hu[(x / 0.1) ** 2 + ((y - 0.5) / 0.12) ** 2 < 1] = 400
        hu += noise_hu * np.random.default_rng(seed).standard_normal(shape)
        return np.rint(np.clip(hu, -1024, 3071)).astype(np.int16)

    return make


@pytest.fixture(scope="session")
def oblique_affine() -> np.ndarray:
    """Return an affine that is oblique, anisotropic, off-centre and mirrored: nearest axes LPS."""
    ax, az = np.deg2rad([12.0, -20.0])
    about_x = np.array([[1, 0, 0], [0, np.cos(ax), -np.sin(ax)], [0, np.sin(ax), np.cos(ax)]])
    about_z = np.array([[np.cos(az), -np.sin(az), 0], [np.sin(az), np.cos(az), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag([-0.7, -0.8, 2.5])
    affine[:3, 3] = 130.5, 99.25, -410.0
    return affine


@pytest.fixture
def chest_volume(chest: Callable[..., np.ndarray], oblique_affine: np.ndarray) -> Volume:
    """Return a small chest-like volume on an oblique grid."""
    return Volume(chest(), oblique_affine)


@pytest.fixture
def scans(tmp_path: Path, chest: Callable[..., np.ndarray]) -> Callable[..., Path]:
    """Return a maker of a folder of NIfTI scans, called as ``scans("a", "b", slices=100, side=16)``."""
    affine = np.array([[-8.0, 0, 0, 12], [0, -8.0, 0, 9], [0, 0, 2.5, -40], [0, 0, 0, 1.0]])

    def make(*names: str, slices: int = 100, side: int = 16, folder: str = "in") -> Path:
        for seed, name in enumerate(names):
            path = tmp_path / folder / f"{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            Volume(chest((slices, side, side), seed=seed), affine).write(path, overwrite=True)
        return tmp_path / folder

    return make


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a maker of model folders: untrained, for slices of 64 x 64, with outputs that are not zero.

    Called as ``make_model(absolute_z=True, **facts)``; facts replace those of both stages.
    """
    import json

    import torch

    from ctgrid.stages.codecs.unshuffle_codec import UnshuffleCodec
    from ctgrid.stages.networks.dit import DiT

    def stage(generator: torch.Generator, **config: Any) -> DiT:
        sizes = {"latent_size": 8, "in_channels": 4, "patch_size": 2, "width": 32, "depth": 2, "heads": 2}
        model = DiT(**sizes, learned_variance=False, **config)
        model.initialise(generator)
        for layer in (*model.blocks, model.final_layer):
            torch.nn.init.normal_(layer.adaLN_modulation[1].weight, std=0.1, generator=generator)
        torch.nn.init.normal_(model.final_layer.linear.weight, std=0.2, generator=generator)
        return model

    def make(absolute_z: bool = True, **facts: Any) -> Path:
        folder = tmp_path_factory.mktemp("model")
        generator = torch.Generator().manual_seed(7)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            codec = UnshuffleCodec(4, 8, 1, 8, 1, 8, 1, latents_mean=[0.0] * 4, latents_std=[0.05] * 4)
            codec.decoder[-1].weight.data *= 30  # so that what stage 1 makes shows in the volume
            stages = {
                "stage1": stage(generator, cells_per_side=4, absolute_z=absolute_z),
                "stage2": stage(generator, cells_per_side=1, condition_channels=4),
            }
        codec.save_pretrained(folder / "codec")
        common = {"prediction": "v", "size": 64, "k": 4, "fov_mm": 320.0, "extent_mm": 300.0}
        common |= {"cell_encoding": "cell", "conditioning": "clean"}
        for name, model in stages.items():
            model.save_pretrained(folder / name)
            (folder / name / "stage.json").write_text(json.dumps(common | facts))
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_model(make_model: Callable[..., Path]) -> Path:
    """Return the folder of a tiny untrained model with absolute z and cells encoded one by one."""
    return make_model()


@pytest.fixture(scope="session")
def detailed_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the tiny model with the optional detail part, its weights random."""
    import shutil

    import torch

    from ctgrid.stages.networks.detail import DetailNet

    folder = tmp_path_factory.mktemp("detailed") / "model"
    shutil.copytree(tiny_model, folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        network = DetailNet(neighbours=1, width=8, inner_width=8, blocks=1, inner_blocks=1, last_blocks=1)
        torch.nn.init.normal_(network.tail[-1].weight, std=0.02)
    network.save_pretrained(folder / "detail")
    return folder


@pytest.fixture(scope="session")
def trusting_model(detailed_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of that model with a table of trust: the error is half of what was removed nearby."""
    import shutil

    from ctgrid.methods.denoising.trust.maps import weights_hash
    from ctgrid.methods.denoising.trust.signs import SIGNS
    from ctgrid.methods.denoising.trust.table import KNOTS_HU, TrustTable, terms_count

    folder = tmp_path_factory.mktemp("trusting") / "model"
    shutil.copytree(detailed_model, folder)
    low, high = np.full(len(SIGNS), -3.0), np.full(len(SIGNS), 7.0)
    weights = np.zeros((len(KNOTS_HU), terms_count()))
    weights[:, 0], weights[:, 1] = 2 + np.log(0.5), 5  # of (noise - 2) / 5
    about = {"method": "detail", "weights": weights_hash(folder / "detail")}
    TrustTable(weights, low, high, about).write(folder / "detail" / "trust.json")
    return folder


@pytest.fixture(scope="session")
def make_store(chest: Callable[..., np.ndarray]) -> Callable[..., Any]:
    """Return a maker of small stores, ``make_store(path, *names, size=32, k=4, slices=20, seed=0)``."""
    import torch

    from ctgrid.data.store import Store, StoreSettings
    from ctgrid.data.store.write import write_volume
    from ctgrid.scan.grid import downsample

    def make(path: Path, *names: str, size: int = 32, k: int = 4, slices: int = 20, seed: int = 0) -> Store:
        store = Store.create(path, StoreSettings(protocol="canonical", size=size, k=k, slices=slices))
        for number, name in enumerate(names):
            hu = np.clip(chest((slices, size, size), seed=seed + number), -1000, 1000)
            coarse = downsample(torch.from_numpy(hu).float()[:, None] / 1000, k)[:, 0] * 1000
            record = {
                "source": {"name": name, "seed": seed + number},
                "hu": {"source": "stored", "slope": 1.0, "intercept": 0.0},
                "geometry": {"spacing_mm": [2.0, 0.8, 0.8], "stored_spacing_mm": [1.5, 2.0 + number, 2.0 + number]},
                "protocol": store.settings.as_dict(),
                "inverse": {"protocol": "canonical"},
            }
            write_volume(path, name, hu, coarse.round().short().numpy(), record)
        return store

    return make
