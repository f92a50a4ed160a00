"""Features are summed up volume by volume, kept by content, and never computed twice."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.fidelity.detectors import Detector
from ctgrid.runs.evaluation.fidelity.protocol import LoadedProtocol
from ctgrid.runs.evaluation.fidelity.sets import FeatureSet, image_set, video_set
from ctgrid.runs.evaluation.fidelity.statistics import Collected, FeatureCache, collect
from ctgrid.runs.evaluation.samples import Sample, open_samples


@pytest.fixture(scope="module")
def samples(volumes: Callable[..., Path]) -> list[Sample]:
    return open_samples(volumes(range(3)), size=32)


@pytest.fixture
def sets(protocol: Callable[..., LoadedProtocol], detectors: Path) -> list[FeatureSet]:
    plan = protocol().protocol
    image, video = (Detector.open(spec, detectors) for spec in (plan.detectors.image, plan.detectors.video))
    return [image_set(plan, image), video_set(plan, video, 4, seed=0)]


def refuse() -> None:
    raise AssertionError("read again")


def unreadable(samples: list[Sample]) -> list[Sample]:
    return [Sample(s.name, s.path, s.digest, refuse) for s in samples]  # type: ignore[arg-type]


def test_what_is_known_is_not_read_again(
    samples: list[Sample], sets: list[FeatureSet], protocol: Callable[..., LoadedProtocol], tmp_path: Path
) -> None:
    plan, cache = protocol().protocol, FeatureCache(tmp_path / "cache")
    first = collect(samples, sets, "real", plan, cache)
    assert [one.count for one in first] == [3 * 12, 3]
    again = collect(unreadable(samples), sets, "real", plan, cache)
    for before, after in zip(first, again, strict=True):
        assert before.moments is not None and after.moments is not None
        np.testing.assert_array_equal(before.moments.scatter, after.moments.scatter)
    with pytest.raises(AssertionError, match="read again"):  # the second set's clips start elsewhere
        collect(unreadable(samples), sets, "fake", plan, cache)


def test_a_stopped_run_goes_on_where_it_was(
    samples: list[Sample], sets: list[FeatureSet], protocol: Callable[..., LoadedProtocol], tmp_path: Path
) -> None:
    plan, cache = protocol().protocol, FeatureCache(tmp_path / "cache")
    with pytest.raises(AssertionError):
        collect([samples[0], *unreadable(samples[1:])], sets, "real", plan, cache)
    found = collect([*unreadable(samples[:1]), *samples[1:]], sets, "real", plan, cache)
    assert found[0].volumes == 3


def test_a_damaged_entry_is_computed_again(
    samples: list[Sample], sets: list[FeatureSet], protocol: Callable[..., LoadedProtocol], tmp_path: Path
) -> None:
    plan, cache = protocol().protocol, FeatureCache(tmp_path / "cache")
    collect(samples, sets[:1], "real", plan, cache)
    for path in (tmp_path / "cache").rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:50])
    assert collect(samples, sets[:1], "real", plan, cache)[0].count == 36
    assert not list((tmp_path / "cache").rglob(".*"))


@pytest.mark.parametrize(("place", "value"), [(6, 0xFF), (8, 0x01)], ids=["made by a zip of the future", "encrypted"])
def test_an_entry_that_no_zip_reader_takes_is_none(tmp_path: Path, place: int, value: int) -> None:
    """What Python's zipfile says to these is no BadZipFile."""
    cache = FeatureCache(tmp_path)
    cache.put("ab", np.ones((2, 3)), 7)
    path = next(tmp_path.rglob("*.npz"))
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    while at >= 0:
        content[at + place] = value
        at = content.find(b"PK\x01\x02", at + 1)
    path.write_bytes(content)
    with pytest.raises(RuntimeError):
        zipfile.ZipFile(path).read("features.npy")
    assert cache.get("ab") is None


def test_keys_tell_apart_all_that_matters(
    protocol: Callable[..., LoadedProtocol], detectors: Path, sets: list[FeatureSet]
) -> None:
    plan = protocol().protocol
    video = Detector.open(plan.detectors.video, detectors)
    keys = {FeatureCache.key("a", one.settings[role]) for one in sets for role in ("real", "fake")}
    assert len(keys) == 3  # frames are the same in both roles, clips are not
    for other in (
        video_set(plan, video, 5, seed=0),
        video_set(plan, video, 4, seed=1),
        video_set(protocol(resolution=64).protocol, video, 4, seed=0),
        video_set(protocol({"too_short": "discard"}).protocol, video, 4, seed=0),
    ):
        assert FeatureCache.key("a", other.settings["real"]) not in keys
    assert FeatureCache.key("b", sets[0].settings["real"]) not in keys


def test_caps_take_the_first_and_quotas_are_spread() -> None:
    collected = Collected(cap=7, quota=3)
    for first in (0, 5, 10):
        collected.add(np.arange(first, first + 5.0)[:, None], short=False)
    assert collected.full
    assert collected.moments is not None
    assert (collected.count, collected.volumes) == (7, 2)
    assert collected.moments.mean[0] == 3.0
    features, volumes = collected.features()
    np.testing.assert_array_equal(features[:, 0], [0, 2, 4, 5, 6])
    np.testing.assert_array_equal(volumes, [0, 0, 0, 1, 1])


def test_a_cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(CtgridError, match="--no-cache"):
        FeatureCache(tmp_path / "file" / "cache")
