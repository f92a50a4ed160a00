"""Each family takes a new member by one registration, and no other edit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.base.settings import all_settings
from ctgrid.data.store.inverse import put_back
from ctgrid.data.store.prepare import prepare
from ctgrid.data.store.settings import StoreSettings
from ctgrid.data.store.store import Store
from ctgrid.data.video.layouts import LAYOUTS, Layout
from ctgrid.methods.denoising.choice import Choice
from ctgrid.methods.denoising.methods import METHODS, Method, denoise
from ctgrid.methods.denoising.result import DenoiseResult
from ctgrid.methods.denoising.settings import DrawnSettings, Strength
from ctgrid.methods.synthesis.settings import Settings
from ctgrid.methods.training.recipes import CodecRecipe, VideoRecipe
from ctgrid.methods.training.video import choose_clips
from ctgrid.runs.report.html.report import Options, write_report
from ctgrid.runs.results.chart import Bars
from ctgrid.runs.results.description import Description, Kind
from ctgrid.runs.results.kinds import KINDS, describe
from ctgrid.runs.results.markdown import description_markdown
from ctgrid.runs.results.table import Column, Table
from ctgrid.runs.stores.settings import PrepareSettings
from ctgrid.scan.cases import find_cases
from ctgrid.scan.formats.format import Format, ToWrite, whole_file
from ctgrid.scan.formats.kinds import FORMATS, output_kind
from ctgrid.scan.formats.open import check_writable
from ctgrid.scan.formats.stored import StoredScan
from ctgrid.scan.names import beside
from ctgrid.scan.protocols.protocols import PROTOCOLS, Made, Protocol
from ctgrid.scan.protocols.result import ProtocolResult
from ctgrid.scan.volume import Volume
from ctgrid.stages.codecs.adapter import Adapter, Family
from ctgrid.stages.codecs.codecs import Codec, load_codec
from ctgrid.stages.codecs.families import FAMILIES
from ctgrid.stages.diffusion import Prediction, Schedule, sample
from ctgrid.stages.diffusion.samplers import SAMPLERS, Sampler
from ctgrid.stages.diffusion.solvers import Draw
from ctgrid.stages.models.info import model_info


class Folded(torch.nn.Module):
    """Folds 2 x 2 pixels into channels, and scales them by its one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.config = {"latent_channels": 4}
        self.scale = torch.nn.Parameter(torch.tensor(1.0))


class FoldedAdapter(Adapter):
    """A :class:`Folded` as a codec, with nothing but what it must have."""

    latent_channels, downsample, image_channels = 4, 2, 1

    def __init__(self, network: Folded) -> None:
        self.network = network

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        latent = pixel_unshuffle(images, 2) * self.network.scale
        return latent, torch.zeros_like(latent)

    def decode(self, latent: Tensor) -> Tensor:
        return pixel_shuffle(latent / self.network.scale, 2)

    def identifying(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return self.network.config, self.network.state_dict()


def load_folded(folder: Path) -> Folded:
    """Read the weight."""
    network = Folded()
    network.load_state_dict(torch.load(folder / "weights.bin", weights_only=True))
    return network


def test_a_codec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that names the class is read, encodes and decodes; what the network lacks is said."""
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "Folded"}))
    torch.save({"scale": torch.tensor(4.0)}, tmp_path / "weights.bin")
    with pytest.raises(CtgridError, match="unknown codec class 'Folded'; known: UnshuffleCodec, "):
        load_codec(tmp_path)
    with pytest.raises(CtgridError, match="unknown codec class 'Folded'; known: UnshuffleCodec, "):
        Codec(Folded(), "toy")

    monkeypatch.setitem(FAMILIES, "Folded", Family(load_folded, FoldedAdapter))
    codec = load_codec(tmp_path)
    images = torch.rand(2, 1, 6, 4, generator=generator_for(0)) * 2 - 1
    latent = codec.encode(images)
    assert latent.shape == (2, 4, 3, 2) and torch.equal(latent[:, 0], 4 * images[:, 0, ::2, ::2])
    assert torch.equal(codec.decode(latent), images)
    assert codec.identity != Codec(Folded(), "toy").identity
    assert not codec.reads_coarse(4)
    with pytest.raises(CtgridError, match="shows no fine stage"):
        codec.described(images)
    assert model_info(tmp_path)["class"] == "Folded"


class Halving:
    """Halves x at every step, whatever the network says."""

    def __init__(self, schedule: Schedule, prediction: Prediction) -> None:
        pass

    def step(self, x: Tensor, output: Tensor, index: int, draw: Draw) -> Tensor:
        return x / 2


def test_a_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampling, the settings and the command line's choice take it."""
    noise, option = torch.ones(1, 2, 4, 4), all_settings(Settings)["sampler"]
    for refused in (lambda: sample(torch.zeros_like, noise, 3, "halving"), lambda: Settings(sampler="halving")):
        with pytest.raises(CtgridError, match=r"unknown sampler 'halving'; known: dpm\+\+, ddim, ddpm"):
            refused()
    with pytest.raises(CtgridError, match=r"unknown sampler 'halving'"):
        option.parse("halving")

    monkeypatch.setitem(SAMPLERS, "halving", Sampler(Halving, "trailing"))
    made = sample(lambda x, timestep: torch.zeros_like(x), noise, 3, "halving")
    assert torch.equal(made, noise / 8)
    assert Settings(sampler="halving").sampler == option.parse("halving") == "halving"


def read_numpy(path: Path, series: str | None) -> StoredScan:
    """Read what :func:`write_numpy` wrote."""
    with np.load(path) as file:
        return StoredScan(file["hu"], file["affine"], "numpy", details={"written_by_ctgrid": bool(file["marked"])})


def write_numpy(path: Path, volume: ToWrite, marked: bool) -> None:
    """Write values and affine into one file."""
    with path.open("wb") as stream:
        np.savez(stream, hu=volume.cast(), affine=volume.affine, marked=marked)


def test_a_file_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Volumes are written to and read from its files; the search finds them, and results are named after them."""
    hu = np.arange(24, dtype=np.int16).reshape(2, 3, 4) - 1000
    volume, path = Volume(hu, np.diag([-0.75, -0.75, 2.0, 1.0])), tmp_path / "scan.npz"
    with pytest.raises(CtgridError, match=r"cannot write .*npz: volumes are written as \.nii, "):
        volume.write(path)

    monkeypatch.setitem(FORMATS, "numpy", Format("numpy", (".npz",), (".npz",), read_numpy, whole_file(write_numpy)))
    check_writable(path)
    volume.write(path)
    back = Volume.read(path)
    np.testing.assert_array_equal(back.hu, hu)
    np.testing.assert_array_equal(back.affine, volume.affine)
    assert back.record["format"] == output_kind(path) == "numpy" and back.record["hu"]["confirmed"]
    with pytest.raises(CtgridError, match="exists; pass --overwrite"):
        volume.write(path)
    with pytest.raises(CtgridError, match="is not DICOM: a series can be chosen only"):
        Volume.read(path, series="1")
    assert [case.path for case in find_cases([tmp_path])] == [path]
    assert beside(path, "_denoised").name == "scan_denoised.npz"


@dataclass(frozen=True)
class TurnedRecord:
    """The way back from :func:`turn`."""

    protocol: ClassVar[str] = "turned"
    affine: list[list[float]]
    hu: Mapping[str, Any]
    spacing_mm: tuple[float, float, float]

    def to_json(self) -> dict[str, Any]:
        return {"protocol": self.protocol, "affine": self.affine}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TurnedRecord:
        return cls(data["affine"], {}, (1.0, 1.0, 1.0))


def turn(path: Path, metadata: Any, series: str | None, *, k: int, **_: Any) -> Made:
    """Turn a scan upside down."""
    volume = Volume.read(path, metadata=metadata, series=series)
    record = TurnedRecord(volume.affine.tolist(), volume.record["hu"], volume.spacing_mm)
    fine = volume.hu[::-1]
    return Made(ProtocolResult(fine, fine[:, ::k, ::k], record), volume.affine, volume.shape)


def turn_back(array: np.ndarray, record: TurnedRecord) -> Volume:
    """Undo :func:`turn`."""
    return Volume(array[::-1], np.array(record.affine))


def test_a_preprocessing_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store is made by it, knows how its slices lie, and leads back; the command line's choice takes it."""
    hu = (np.arange(6 * 16 * 16, dtype=np.int16) - 1000).reshape(6, 16, 16)
    volume = Volume(hu, np.diag([-0.75, -0.75, 2.0, 1.0]))
    volume.write(tmp_path / "scan.nii")
    option = all_settings(PrepareSettings)["protocol"]
    with pytest.raises(CtgridError, match="unknown protocol 'turned'; known: generatect, canonical"):
        StoreSettings.checked({"protocol": "turned"})
    with pytest.raises(CtgridError, match="known: generatect, canonical"):
        option.parse("turned")

    protocol = Protocol("turned", turn, TurnedRecord.from_json, lambda record: "LPI", turn_back)
    monkeypatch.setitem(PROTOCOLS, "turned", lambda: protocol)
    settings = StoreSettings.checked({"protocol": option.parse("turned"), "size": 16, "k": 4, "slices": 6})
    rows = prepare([tmp_path / "scan.nii"], tmp_path / "x.zarr", settings)
    assert [row["status"] for row in rows] == ["ok"], rows
    stored = Store.open(tmp_path / "x.zarr").volume("scan")
    np.testing.assert_array_equal(stored.read_slices(), hu[::-1])
    assert stored.orientation == "LPI"
    back = put_back(stored.read_slices(), stored.record)
    np.testing.assert_array_equal(back.hu, hu)
    np.testing.assert_array_equal(back.affine, volume.affine)


class Nearer:
    """Brings every voxel nearer to water."""

    def run(
        self, volume: Volume, strength: Strength = "auto", *, progress: Progress = silent, seed: int = 2
    ) -> DenoiseResult:
        return DenoiseResult(Volume(volume.hu // seed, volume.affine), {}, 1.0, {"method": "nearer", "seed": seed})


def test_a_denoising_method(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is run by its name, with its own settings and no others."""
    volume = Volume(np.full((2, 3, 4), 90, np.int16), np.eye(4))
    with pytest.raises(CtgridError, match="unknown denoising method 'nearer'; known: grid, "):
        denoise(volume, "nearer")

    method = Method("nearer", "nearer to water", lambda loading: Nearer(), context=0, settings=DrawnSettings())
    monkeypatch.setitem(METHODS, "nearer", method)
    assert (denoise(volume, "nearer").hu == 45).all()
    chosen = Choice.parse("nearer[seed=3]")
    assert (denoise(volume, chosen.name, **chosen.settings).hu == 30).all()
    with pytest.raises(CtgridError, match="method 'nearer' has no setting steps; it takes seed"):
        denoise(volume, "nearer", steps=3)


def test_a_layout_of_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe names it, and a run takes the clips of its parts."""
    for name in ("learn/a.mp4", "learn/b.mp4", "check/c.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(
        ValueError, match="unknown layout of video clips 'school'; known: folder, sky, taichi, minecraft"
    ):
        VideoRecipe(layout="school")

    monkeypatch.setitem(LAYOUTS, "school", Layout("school", 64, {"train": ("learn",), "test": ("check",)}))
    recipe = CodecRecipe(video=VideoRecipe(layout="school"))
    assert [clip.name for clip in choose_clips(recipe, tmp_path)] == ["a", "b"]
    assert [clip.name for clip in choose_clips(recipe, tmp_path, part="test")] == ["c"]


def weighed(content: Mapping[str, Any]) -> Description:
    """Describe weights by name."""
    columns = [Column("name", "name"), Column("kilograms", "kg", ".1f", "low")]
    rows = [{"name": name, "kilograms": value} for name, value in content["weights"].items()]
    return Description("Weights", [Table("What it weighs", columns, rows)], [Bars("Weight, kg", content["weights"])])


def test_a_kind_of_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file is found in a run's folder and shown by Markdown and by the page."""
    run = tmp_path / "run"
    run.mkdir()
    record = {"command": "weigh", "status": "done", "outputs": []}
    (run / "run.json").write_text(json.dumps(record))
    (run / "weights.json").write_text(json.dumps({"weights": {"lead": 11.34, "water": 1.0}}))
    out, options = tmp_path / "report.html", Options(title="Weights")
    write_report([run], out, options)
    assert "What it weighs" not in out.read_text(encoding="utf-8")
    with pytest.raises(CtgridError, match="no results of nodules, "):
        describe({"weights": {"lead": 11.34}})

    kind = Kind(
        "weights", lambda content: isinstance(content, dict) and "weights" in content, weighed, ("weights.json",)
    )
    monkeypatch.setitem(KINDS, "weights", kind)
    write_report([run], out, options, overwrite=True)
    page = out.read_text(encoding="utf-8")
    assert "What it weighs" in page and "<td>11.3</td>" in page and 'aria-label="Weight, kg"' in page
    text = description_markdown(describe({"weights": {"lead": 11.34, "water": 1.0}}))
    assert "| water |" in text and "1.0* |" in text and text in out.with_suffix(".md").read_text(encoding="utf-8")
    data = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert data["results"][0]["tables"][0]["rows"][0] == {"name": "lead", "kilograms": 11.34}
