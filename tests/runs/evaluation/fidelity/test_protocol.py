"""Protocols: what ships is complete, and what is wrong with another file is said in one line."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.fidelity.protocol import load_protocol, shipped_protocols


@pytest.mark.parametrize("name", sorted(shipped_protocols()))
def test_shipped_protocols_bear_their_names(name: str) -> None:
    loaded = load_protocol(name)
    assert loaded.protocol.id == name
    alone = "extends:" not in loaded.path.read_text(encoding="utf-8")
    assert (loaded.sha256 == sha256(loaded.path.read_bytes()).hexdigest()) == alone


def test_stylegan_v_says_what_the_published_code_does() -> None:
    protocol = load_protocol("stylegan-v@1").protocol
    assert (protocol.clips.max_real, protocol.clips.max_fake, protocol.clips.stride) == (2048, 2048, 1)
    assert (protocol.clips.real_offset, protocol.clips.fake_offset) == ("random", "start")
    assert protocol.clips.frames == (16, 128, 201)
    assert (protocol.frames.max_real, protocol.frames.max_fake) == (None, 50000)
    assert protocol.detectors.video.kwargs == {"rescale": True, "resize": True, "return_features": True}
    assert protocol.detectors.image.kwargs == {"return_features": True}
    assert protocol.detectors.video.sha256 is protocol.detectors.image.sha256 is None
    assert protocol.statistics.ddof == 0


def test_the_papers_protocols_differ_from_stylegan_v_in_what_they_say() -> None:
    """Resolution by data set, and FID by length; the rest is the pipeline's."""
    base = load_protocol("stylegan-v@1").protocol
    for name, pixels in (("gridit-ct-rate@1", 512), ("gridit-video-256@1", 256), ("gridit-minecraft@1", 128)):
        ours = load_protocol(name).protocol
        assert (ours.resolution, ours.frames.by_length, ours.clips.too_short) == (pixels, True, "loop")
        assert (ours.detectors, ours.statistics, ours.window) == (base.detectors, base.statistics, base.window)
        assert ours.clips.fake_offset == base.clips.fake_offset
    assert load_protocol("gridit-ct-rate@1").protocol.real_frame == "generatect" and not base.frames.by_length


def test_a_protocol_that_extends_another_has_a_hash_of_both(tmp_path: Path) -> None:
    """Whatever changes in either, it is another protocol; circles are refused."""
    below, above = tmp_path / "below.yaml", tmp_path / "above.yaml"
    text = load_protocol("stylegan-v@1").path.read_text(encoding="utf-8")
    below.write_text(text, encoding="utf-8")
    above.write_text(f"extends: {below}\nname: above\nclips: {{frames: [9]}}\n", encoding="utf-8")
    first = load_protocol(above)
    assert (first.protocol.clips.frames, first.protocol.clips.stride, first.protocol.id) == ((9,), 1, "above@1")
    below.write_text(text + "# changed\n", encoding="utf-8")
    assert load_protocol(above).sha256 != first.sha256
    below.write_text(f"extends: {above}\n", encoding="utf-8")
    with pytest.raises(CtgridError, match="in a circle"):
        load_protocol(above)


def test_the_record_holds_every_setting_and_the_files_hash() -> None:
    record = load_protocol("stylegan-v@1").record()
    assert (record["name"], record["version"]) == ("stylegan-v", 1)
    assert len(record["sha256"]) == 64
    assert record["settings"]["clips"]["too_short"] == "loop"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"resolutoin": 128}, "resolutoin: Extra inputs are not permitted"),
        ({"resolution": 4}, "resolution: Input should be greater"),
        ({"window": {"low_hu": 0, "high_hu": 0, "rounding": "floor-127.5x-plus-128"}}, "low_hu must lie below"),
        ({"statistics": {"ddof": 0, "fewest": 2048}}, "statistics.kernel_samples: Field required"),
        ({"name": None}, "name: "),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict[str, object], match: str) -> None:
    values = yaml.safe_load(load_protocol("stylegan-v@1").path.read_text(encoding="utf-8"))
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values | change), encoding="utf-8")
    with pytest.raises(CtgridError, match=match):
        load_protocol(path)


def test_a_pin_must_be_a_hash(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    text = load_protocol("stylegan-v@1").path.read_text(encoding="utf-8")
    path.write_text(text.replace("sha256: null", "sha256: abc", 1), encoding="utf-8")
    with pytest.raises(CtgridError, match="64 hexadecimal digits"):
        load_protocol(path)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("stylegan-v", "lacks its version: say stylegan-v@1"),
        ("stylegan-v@9", "give one of gridit-ct-rate@1, .*stylegan-v-ct@1, stylegan-v@1"),
        ("nowhere.yaml", "does not exist"),
    ],
)
def test_unknown_names(name: str, match: str) -> None:
    with pytest.raises(CtgridError, match=match):
        load_protocol(name)


def test_what_is_no_yaml(tmp_path: Path) -> None:
    for content, match in ((b"a: [", "not YAML"), (b"- 1", "holds no protocol"), (b"\xff\xfe\x00", "not YAML")):
        path = tmp_path / "mine.yaml"
        path.write_bytes(content)
        with pytest.raises(CtgridError, match=match):
            load_protocol(path)
