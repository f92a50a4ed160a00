"""Every reader of a file that a user can hand in, with a small valid file for it."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dicoms
import numpy as np
import torch
import yaml

from ctgrid.base.errors import CtgridError
from ctgrid.scan.volume import Volume


@dataclass(frozen=True)
class Reader:
    """A kind of file.

    Attributes:
        make: writes a valid one below a folder, with all that belongs to it, and returns the file to be damaged.
        read: reads it as a command would.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]


def _hu(slices: int = 6, side: int = 16) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    plane = np.where(x**2 + y**2 < 0.7, 40, -1000) - 400 * ((abs(x) - 0.3) ** 2 + y**2 < 0.05)
    return np.stack([plane + n for n in range(slices)]).astype(np.int16)


def _volume() -> Volume:
    return Volume(_hu(), np.diag([-8.0, -8.0, 2.5, 1.0]))


def _scan(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        _volume().write(folder / name)
        return folder / name

    return make


def _detached(name: str, data: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        import SimpleITK as sitk

        sitk.WriteImage(sitk.GetImageFromArray(_hu()), str(folder / name), False)
        return folder / data

    return make


def _zip(folder: Path) -> Path:
    dicoms.series(_volume)(folder)
    with zipfile.ZipFile(folder / "scan.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / "series").iterdir()):
            archive.write(path, path.name)
    return folder / "scan.zip"


def _sidecar(folder: Path) -> Path:
    _volume().write(folder / "a.nii.gz")
    path = folder / "a_metadata.json"
    path.write_text(json.dumps({"RescaleSlope": 1, "RescaleIntercept": -8192, "XYSpacing": "[0.7, 0.7]"}))
    return path


def _table(folder: Path) -> Path:
    path = folder / "t.csv"
    path.write_text(
        "VolumeName,RescaleSlope,RescaleIntercept,XYSpacing,ZSpacing\n"
        'a.nii.gz,1,-8192,"[0.7, 0.7]",1.5\nb.nii.gz,1,0,"[0.8, 0.8]",1\n'
    )
    return path


def _text(name: str, content: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(content)
        return folder / name

    return make


def _json(name: str, content: Any) -> Callable[[Path], Path]:
    return _text(name, json.dumps(content, indent=1))


def _shipped(name: str, out: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from importlib.resources import files

        (folder / out).write_text((files("ctgrid_configs") / name).read_text())
        return folder / out

    return make


def _store(part: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from ctgrid.data.store.prepare import prepare
        from ctgrid.data.store.settings import StoreSettings

        (folder / "in").mkdir()
        Volume(_hu(24), np.diag([-8.0, -8.0, 2.5, 1.0])).write(folder / "in" / "a.nii.gz")
        prepare([folder / "in"], folder / "X.zarr", StoreSettings(protocol="canonical", size=16, k=4, slices=8))
        return folder / part

    return make


def _read_store(path: Path) -> None:
    from ctgrid.data.store.store import Store
    from ctgrid.data.stored import stored_volumes
    from ctgrid.stages.latents.describe import describe_store

    store = Store.open(next(p for p in path.parents if p.name.endswith(".zarr")))
    for volume in store:
        volume.read_slices([0, 3]), volume.read_coarse(), volume.orientation, volume.spacing_mm
        volume.to_volume()
    for slices in stored_volumes(store, store.names()):
        slices.unit(slice(None)), slices.coarse(0), slices.digest(), slices.in_memory()
    describe_store(store.path)


def _network() -> dict[str, torch.Tensor]:
    from ctgrid.stages.networks.dit import DiT

    return dict(_dit(DiT).state_dict())


def _dit(kind: Any) -> Any:
    return kind(latent_size=8, in_channels=4, patch_size=2, width=16, depth=1, heads=2, cells_per_side=4)


def _weights(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from safetensors.torch import save_file

        if name.endswith(".pt"):
            torch.save({"ema": _network(), "args": {"num_heads": 2}}, folder / name)
        else:
            save_file(_network(), str(folder / name))
        return folder / name

    return make


def _stage(part: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from ctgrid.methods.training.diffusion import save_stage
        from ctgrid.stages.models.facts import StageFacts
        from ctgrid.stages.networks.dit import DiT

        save_stage(_dit(DiT), folder / "stage1", StageFacts(size=64, k=4))
        return folder / "stage1" / part

    return make


def _read_stage(path: Path) -> None:
    from ctgrid.stages.models.facts import StageFacts
    from ctgrid.stages.weights.load import load_dit

    StageFacts.read(path.parent)
    load_dit(path.parent)


def _codec(folder: Path) -> Path:
    from ctgrid.stages.codecs.unshuffle_codec import UnshuffleCodec

    UnshuffleCodec(4, 8, 1, 8, 1, 8, 1, latents_mean=[0.0] * 4, latents_std=[0.05] * 4).save_pretrained(
        folder / "codec"
    )
    return folder / "codec" / "config.json"


def _taesd(folder: Path) -> Path:
    """TAESD's own pair of files, in its own key names: numbered layers, one more in the decoder."""
    from diffusers import AutoencoderTiny
    from safetensors.torch import save_file

    network = AutoencoderTiny()
    for side, shift in (("encoder", 0), ("decoder", 1)):
        state = getattr(network, side).layers.state_dict()
        numbered = ((key.split(".", 1), value) for key, value in state.items())
        halves = {f"{int(n) + shift}.{rest}": value.half() for (n, rest), value in numbered}
        save_file(halves, str(folder / f"taesd_{side}.safetensors"))
    return folder / "taesd_decoder.safetensors"


def _generatect(folder: Path) -> Path:
    layer = torch.nn.Linear(3, 2).state_dict()
    torch.save({"model": layer, "ema": {f"1.ema_model.{k}": v for k, v in layer.items()}}, folder / "superres.pt")
    return folder / "superres.pt"


def _read_generatect(path: Path) -> None:
    """Fill something as small as this: the network itself needs GenerateCT's package."""
    from ctgrid.methods.denoising.baselines.generatect import fill

    class Cascade(torch.nn.Linear):
        unets = (torch.nn.Linear(3, 2), torch.nn.Linear(3, 2))

    fill(Cascade(3, 2), path)


def _model_manifest(folder: Path) -> Path:
    from ctgrid.stages.models.manifest import Manifest

    _codec(folder)
    return Manifest.of_folder(folder).write(folder)


def _checkpoint(folder: Path) -> Path:
    from ctgrid.methods.training.checkpoints import Checkpoints

    layer = torch.nn.Linear(3, 2)
    made = Checkpoints(folder / "checkpoints", 2)
    return made.save(1, {"model": layer.state_dict()}, lambda out: out.mkdir()) / "state.pt"


def _read_checkpoint(path: Path) -> None:
    from ctgrid.methods.training.checkpoints import Checkpoints

    Checkpoints(path.parent.parent, 2).restore({"model": torch.nn.Linear(3, 2)})


def _cache(folder: Path) -> Path:
    from ctgrid.stages.latents.ahead import cached

    cached(folder / "latents.safetensors", {"a": 1}, lambda: {"x": torch.zeros(3)})
    return folder / "latents.safetensors"


def _read_cache(path: Path) -> None:
    from ctgrid.stages.latents.ahead import cached

    cached(path, {"a": 1}, lambda: {"x": torch.zeros(3)})


def _features(folder: Path) -> Path:
    from ctgrid.runs.evaluation.fidelity.statistics import FeatureCache

    FeatureCache(folder / "kept").put("0" * 64, np.zeros((4, 3), np.float32), 7)
    return next((folder / "kept").rglob("*.npz"))


def _read_features(path: Path) -> None:
    from ctgrid.runs.evaluation.fidelity.statistics import FeatureCache

    FeatureCache(path.parent.parent).get("0" * 64)


def _movie(folder: Path) -> Path:
    from ctgrid.data.video.write import write_video

    write_video((np.full((16, 16, 3), 40 * n, np.uint8) for n in range(4)), folder / "a.mp4")
    return folder / "a.mp4"


def _frames(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from PIL import Image

        pictures = [Image.fromarray(np.full((16, 16, 3), 40 * n, np.uint8)) for n in range(4)]
        (folder / "clip").mkdir()
        if name.endswith((".gif", ".webp")):
            times = [60, 120, 60, 60]
            pictures[0].save(folder / "clip" / name, save_all=True, append_images=pictures[1:], duration=times)
        for number, picture in enumerate(pictures if name.endswith(".png") else []):
            picture.save(folder / "clip" / f"{number}.png")
        return folder / "clip" / name

    return make


def _read_frames(path: Path) -> None:
    from ctgrid.data.video.read import open_frames

    clip = open_frames(path.parent if path.suffix == ".png" else path)
    for number, frame in clip.read(range(len(clip))):
        assert frame.ndim == 3 and 0 <= number < len(clip)


def _reach(address: str, tls: Path) -> None:
    """Ask for a scheduler where there is none; with the shortest patience."""
    from ctgrid.data.store import cluster

    cluster._REACH_S, cluster._CONFIG = 0.1, {"distributed.comm.timeouts.connect": "0.1s"}
    try:
        with cluster._client(address, cluster.Access(tls=tls, insecure=True)):
            pass
    except CtgridError as error:
        if not re.search("refused|[Tt]imed out", str(error)):  # nobody is there: the address was understood
            raise


def _dask_address(path: Path) -> None:
    _reach(path.read_bytes().replace(b"\0", b"").decode(errors="surrogateescape"), path.with_name("tls"))


def _certificate(part: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from ctgrid.data.store.tls import security

        security(folder / "tls")
        return folder / "tls" / part

    return make


def _report(path: Path) -> None:
    from ctgrid.runs.report.html.report import Options, write_report

    write_report([path], path.with_name("report.html"), Options(), overwrite=True)


def _scan_reader(path: Path) -> None:
    from ctgrid.scan.describe import describe_scan

    Volume.read(path)
    describe_scan(path)


def _folder_reader(path: Path) -> None:
    _scan_reader(path.parent)


def _denoised(folder: Path) -> Path:
    _resumed(folder / "out" / "denoise.jsonl")
    return folder / "out" / "denoise.jsonl"


def _resumed(path: Path) -> None:
    """Go on with the denoising of a folder, as its journal says, and tell of every case."""
    from ctgrid.runs.denoising.run import denoise_scans
    from ctgrid_cli.denoise import _line

    scans = path.parents[1] / "in"
    if not scans.is_dir():
        scans.mkdir()
        _volume().write(scans / "a.nii.gz")
        _volume().write(scans / "b.nii.gz")
    record = denoise_scans(scans, path.parent, method="tv", strength=20, resume=path.exists())
    for case in record.results["cases"]:
        _line(case)


def _listed(path: Path) -> None:
    """Ask of every volume in a list of a series whether it is done."""
    from ctgrid.base.journal import Journal, is_done

    for name, entry in Journal(path).entries().items():
        is_done(path.with_name("a.nii.gz"), entry, {"seed": 1, "checkpoint": "c", "settings": {"steps": 3}}, path, True)
        name.encode()


def _series(folder: Path) -> Path:
    from ctgrid.base.files import sha256_of

    path = _scan("a.nii.gz")(folder)
    facts = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    entry = {"file": "a.nii.gz", "seed": 1, "checkpoint": "c", "settings": {"steps": 3}, **facts}
    return _text("manifest.jsonl", json.dumps(entry) + "\n" + json.dumps({**entry, "file": "b.nii.gz"}))(folder)


def _run_config(folder: Path) -> Path:
    from ctgrid.methods.training.config import load_config

    (folder / "config.json").write_text(load_config("embedded-codec").model_dump_json(indent=1))
    return folder / "config.json"


def _config(path: Path) -> None:
    from ctgrid.methods.training.checks import check_same_run
    from ctgrid.methods.training.config import load_config

    check_same_run(path, load_config("embedded-codec"))


def _data(path: Path) -> None:
    from ctgrid.methods.training.data import TrainingData, check_same_data

    check_same_data(path.parent, TrainingData([], {"a": "0"}, None, {}), None)


def _call(module: str, name: str, *more: Any) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        from importlib import import_module

        at: Any = import_module(f"ctgrid.{module}")
        for part in name.split("."):
            at = getattr(at, part)
        return at(path, *more)

    return read


def _with_json(path: Path) -> None:
    Volume.read(path.parent / "a.nii.gz", hu="auto")


def _catalogue(path: Path) -> None:
    import os

    from ctgrid.stages.models.sources import list_models

    os.environ["CTGRID_HOME"] = str(path.parents[2])
    list_models()


def _home(part: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        model = folder / "models" / "lab--tiny" / ("0" * 40)
        model.mkdir(parents=True)
        _model_manifest(model)
        (model.parent / "revisions.json").write_text(json.dumps({"main": "0" * 40}))
        return next(model.parent.rglob(part))

    return make


_RUN = {
    "command": "denoise", "status": "done", "argv": ["denoise", "a.nii"], "seconds": 3.5, "settings": {"size": 64},
    "peak_memory_mib": {"process": 512.0}, "inputs": [{"path": "a.nii", "bytes": 3}], "model": {"device": "cpu"},
    "outputs": [{"path": "b.nii", "bytes": 3, "sha256": "0"}],
    "results": {"cases": [{"file": "b.nii", "source": "a.nii", "status": "done", "noise_hu": 12.5, "seconds": 1.0}]},
}  # fmt: skip
_ROWS = [
    {"volume": "a", "noise": "gaussian:30", "method": "nlm", "case": "0" * 16, "psnr": 30.5, "ssim": 0.9, "seconds": 1}
]

READERS: dict[str, Reader] = {
    "nii": Reader(_scan("a.nii"), _scan_reader),
    "nii.gz": Reader(_scan("a.nii.gz"), _scan_reader),
    "nrrd": Reader(_scan("a.nrrd"), _scan_reader),
    "mha": Reader(_scan("a.mha"), _scan_reader),
    "mhd header": Reader(_detached("a.mhd", "a.mhd"), _scan_reader),
    "mhd data": Reader(_detached("a.mhd", "a.raw"), lambda path: _scan_reader(path.with_suffix(".mhd"))),
    "nhdr header": Reader(_detached("a.nhdr", "a.nhdr"), _scan_reader),
    "dicom": Reader(dicoms.series(_volume), _folder_reader),
    "dicom, RLE": Reader(dicoms.series(_volume, dicoms.rle), _folder_reader),
    "dicom, JPEG": Reader(dicoms.series(_volume, dicoms.by_itk("JPEG")), _folder_reader),
    "dicom, JPEG 2000": Reader(dicoms.series(_volume, dicoms.by_itk("JPEG2000")), _folder_reader),
    "dicom, JPEG-LS": Reader(dicoms.series(_volume, dicoms.jpeg_ls), _folder_reader),
    "dicom, deflated": Reader(dicoms.series(_volume, dicoms.deflated), _folder_reader),
    "dicom, enhanced": Reader(dicoms.enhanced(_volume), _folder_reader),
    "zip": Reader(_zip, _scan_reader),
    "sidecar": Reader(_sidecar, _with_json),
    "table": Reader(_table, _call("scan.hu.metadata", "MetadataTable.read")),
    "recipe": Reader(_shipped("embedded-codec.yaml", "r.yaml"), _call("methods.training.config", "load_config")),
    "ablation": Reader(_shipped("ablations/k.yaml", "a.yaml"), _call("runs.ablation.spec", "load_ablation")),
    "protocol": Reader(
        _shipped("protocols/stylegan-v@1.yaml", "p.yaml"), _call("runs.evaluation.fidelity.protocol", "load_protocol")
    ),
    "split": Reader(
        _text("s.yaml", yaml.safe_dump({"train": ["a", "b"], "valid": ["c"], "patient": "^(.)"})),
        _call("data.store.splits", "read_split"),
    ),
    "list": Reader(_text("s.txt", "a\nb # and\n"), _call("data.store.splits", "read_split")),
    "store root": Reader(_store("X.zarr/zarr.json"), _read_store),
    "store record": Reader(_store("X.zarr/a/zarr.json"), _read_store),
    "store array": Reader(_store("X.zarr/a/slices/zarr.json"), _read_store),
    "store shard": Reader(_store("X.zarr/a/slices/c/0/0/0"), _read_store),
    "store coarse chunk": Reader(_store("X.zarr/a/coarse/c/0/0/0"), _read_store),
    "store report": Reader(_store("X.report.jsonl"), _call("data.store.report", "read_report")),
    "safetensors": Reader(_weights("w.safetensors"), _call("stages.weights.checkpoints", "read_checkpoint")),
    "torch weights": Reader(_weights("w.pt"), _call("stages.weights.checkpoints", "read_checkpoint")),
    "stage config": Reader(_stage("config.json"), _read_stage),
    "stage facts": Reader(_stage("stage.json"), _read_stage),
    "codec config": Reader(_codec, lambda path: _call("stages.codecs.codecs", "load_codec")(path.parent)),
    "taesd": Reader(_taesd, lambda path: _call("stages.codecs.codecs", "load_codec")(path.parent)),
    "generatect": Reader(_generatect, _read_generatect),
    "model manifest": Reader(_model_manifest, _call("stages.models.manifest", "Manifest.read")),
    "cached manifest": Reader(_home("ctgrid-manifest.json"), _catalogue),
    "hash list": Reader(_text("h", f"{'0' * 64}  a.bin\n"), _call("stages.models.manifest", "_pins_of_file")),
    "series list": Reader(_series, _listed),
    "denoise journal": Reader(_denoised, _resumed),
    "run record": Reader(_json("run.json", _RUN), _report),
    "results": Reader(_json("results.json", _ROWS), _report),
    "results that grow": Reader(_json("results.json", _ROWS), _call("runs.evaluation.results", "Results.open")),
    "checkpoint": Reader(_checkpoint, _read_checkpoint),
    "latents ahead": Reader(_cache, _read_cache),
    "kept features": Reader(_features, _read_features),
    "run config": Reader(_run_config, _config),
    "run data": Reader(_json("data.json", {"volumes": {"a": "0"}, "codec": None}), _data),
    "gif": Reader(_frames("a.gif"), _read_frames),
    "webp": Reader(_frames("a.webp"), _read_frames),
    "mp4": Reader(_movie, _read_frames),
    "dask address": Reader(_text("address", "tls://[::1]:9"), _dask_address),
    "certificate": Reader(_certificate("cert.pem"), lambda path: _reach("tls://[::1]:9", path.parent)),
    "private key": Reader(_certificate("key.pem"), lambda path: _reach("tls://[::1]:9", path.parent)),
    "frame": Reader(_frames("1.png"), _read_frames),
}


def prepared(name: str, folder: Path) -> tuple[Path, bytes]:
    """Make a reader's valid file in a new folder; return it with its content.

    Args:
        name: Of the reader.
        folder: To be made anew.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = READERS[name].make(folder)
    return path, path.read_bytes()
