"""Loading a checkpoint of transformers: in silence, without changing settings, and with sentences for what is wrong."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from small_checkpoints import save_clip, save_siglip, save_siglip2, save_timesformer, save_videomae
from transformers.utils import logging as hub_logging

from talkies.core import ConfigError, VideoInput
from talkies.models import EncoderAddress
from talkies.models.public import open_text, open_tower
from talkies.models.public.checkpoint import open_checkpoint


def describe(folder: Path, **changes: Any) -> None:
    """Change the description of the preprocessing; None takes a value out."""
    path = folder / "preprocessor_config.json"
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))


def input_of(folder: Path) -> VideoInput:
    found = open_tower(EncoderAddress.parse(f"hf:{folder}"), "video").encoder.input
    assert isinstance(found, VideoInput)
    return found


def test_loading_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pretrained = save_videomae(tmp_path / "videomae", "VideoMAEForPreTraining")  # its decoder is not loaded
    folders = [pretrained, save_clip(tmp_path / "clip"), save_siglip(tmp_path / "siglip")]
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logging.getLogger("transformers").addHandler(handler)
    hub_logging.set_verbosity_info()
    capfd.readouterr()
    try:
        for folder in folders:
            open_tower(EncoderAddress.parse(f"hf:{folder}"), "video")
        open_text(EncoderAddress.parse(f"hf:{folders[1]}"))
        open_text(EncoderAddress.parse(f"hf:{folders[2]}"))
    finally:
        hub_logging.set_verbosity_warning()
        logging.getLogger("transformers").removeHandler(handler)
    assert [record.getMessage() for record in records] == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING, logging.ERROR])
@pytest.mark.parametrize("bars", [True, False])
def test_loading_leaves_the_settings_of_transformers_as_they_were(tmp_path: Path, level: int, bars: bool) -> None:
    folder = save_videomae(tmp_path)
    before = hub_logging.get_verbosity(), hub_logging.is_progress_bar_enabled(), are_progress_bars_disabled()
    try:
        hub_logging.set_verbosity(level)
        (hub_logging.enable_progress_bar if bars else hub_logging.disable_progress_bar)()
        open_tower(EncoderAddress.parse(f"hf:{folder}"), "video")
        assert (hub_logging.get_verbosity(), hub_logging.is_progress_bar_enabled()) == (level, bars)
        disable_progress_bars()
        open_tower(EncoderAddress.parse(f"hf:{folder}"), "video")
        assert are_progress_bars_disabled()
    finally:
        hub_logging.set_verbosity(before[0])
        (hub_logging.enable_progress_bar if before[1] else hub_logging.disable_progress_bar)()
        (disable_progress_bars if before[2] else enable_progress_bars)()


def test_settings_are_as_they_were_after_a_failure_too(tmp_path: Path) -> None:
    folder = save_videomae(tmp_path)
    (folder / "model.safetensors").write_bytes(b"no weights")
    before = hub_logging.get_verbosity(), hub_logging.is_progress_bar_enabled()
    with pytest.raises(ConfigError, match="name a complete checkpoint"):
        open_tower(EncoderAddress.parse(f"hf:{folder}"), "video")
    assert (hub_logging.get_verbosity(), hub_logging.is_progress_bar_enabled()) == before


@pytest.mark.parametrize("save", [save_videomae, save_timesformer, save_clip])
def test_damaged_weights_are_told_in_one_sentence(tmp_path: Path, save: Callable[..., Path]) -> None:
    path = save(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ConfigError, match="name a complete checkpoint") as told:
        input_of(tmp_path)
    assert os.linesep not in str(told.value)


def test_weights_in_several_files_are_all_read(tmp_path: Path) -> None:
    whole, split = save_videomae(tmp_path / "whole"), save_videomae(tmp_path / "split")
    transformers.VideoMAEForVideoClassification.from_pretrained(whole).save_pretrained(split, max_shard_size="20KB")
    (split / "model.safetensors").unlink(missing_ok=True)
    assert len(list(split.glob("model-*.safetensors"))) > 1
    first, second = (open_tower(EncoderAddress.parse(f"hf:{folder}"), "video").encoder for folder in (whole, split))
    clips = torch.randn(2, 3, 4, 32, 32)
    assert torch.equal(first.eval()(clips), second.eval()(clips))


def test_a_checkpoint_says_which_weights_it_has(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(EncoderAddress.parse(f"hf:{save_clip(tmp_path)}"))
    assert checkpoint.has_weights("visual_projection.")
    assert checkpoint.has_weights("text_model.")
    assert not checkpoint.has_weights("classifier.")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"size": 32, "crop_size": None}, (32, 32)),  # as older files name a size
        ({"size": [32, 32], "crop_size": 32}, (32, 32)),
        ({"size": {"shortest_edge": 36}, "crop_size": 32}, (36, 32)),
        ({"size": {"height": 40, "width": 40}, "crop_size": {"height": 32, "width": 32}}, (40, 32)),
        ({"size": {"shortest_edge": 32}, "crop_size": {"height": 24, "width": 24}, "do_center_crop": False}, (32, 32)),
        ({"size": None, "crop_size": None}, (32, 32)),
    ],
)
def test_sizes_are_read_however_a_file_names_them(
    tmp_path: Path, changes: dict[str, Any], expected: tuple[int, int]
) -> None:
    describe(save_videomae(tmp_path), **changes)
    found = input_of(tmp_path)
    assert (found.resize, found.size) == expected


@pytest.mark.parametrize(
    ("changes", "mean", "sd"),
    [
        ({"rescale_factor": None}, 0.5, 0.25),
        ({"rescale_factor": 1 / 127.5}, 0.25, 0.125),
        ({"rescale_factor": 1 / 127.5, "offset": True}, 0.75, 0.125),
        ({"rescale_factor": None, "image_processor_type": "VivitImageProcessor"}, 0.75, 0.125),
        ({"do_rescale": False}, 0.5 / 255, 0.25 / 255),
        ({"do_normalize": False}, 0.0, 1.0),
    ],
)
def test_colours_are_read_however_a_processor_scales_them(
    tmp_path: Path, changes: dict[str, Any], mean: float, sd: float
) -> None:
    describe(save_videomae(tmp_path), image_mean=[0.5] * 3, image_std=[0.25] * 3, **changes)
    found = input_of(tmp_path)
    assert found.mean == pytest.approx((mean,) * 3)
    assert found.sd == pytest.approx((sd,) * 3)


@pytest.mark.parametrize(
    ("type_", "filter_"),
    [
        ("CLIPImageProcessor", "bicubic"),
        ("CLIPFeatureExtractor", "bicubic"),
        ("BitImageProcessor", "bicubic"),
        ("VideoMAEImageProcessor", "bilinear"),
        ("Siglip2ImageProcessor", "bilinear"),
    ],
)
def test_a_filter_that_is_not_named_is_the_processors_own(tmp_path: Path, type_: str, filter_: str) -> None:
    describe(save_videomae(tmp_path), resample=None, image_processor_type=type_)
    assert input_of(tmp_path).filter == filter_


def test_a_processor_in_a_section_of_a_newer_file_is_read(tmp_path: Path) -> None:
    path = save_clip(tmp_path) / "preprocessor_config.json"
    values = json.loads(path.read_text())
    path.unlink()
    newer = {"processor_class": "CLIPProcessor", "image_processor": values}
    (tmp_path / "processor_config.json").write_text(json.dumps(newer))
    found = input_of(tmp_path)
    assert (found.size, found.filter, found.mean[0]) == (32, "bicubic", pytest.approx(0.48145466))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"image_mean": None}, r"does not describe its preprocessing \(a preprocessor_config.json with image_mean\)"),
        ({"resample": 1}, r"resizes its pictures with filter 1, which talkies does not have"),
        ({"size": {"height": 32, "width": 48}, "crop_size": None}, "clips are squares; name another model"),
        ({"size": {"max_pixels": 9}, "crop_size": None}, "clips are squares; name another model"),
        ({"crop_size": 48, "size": 32}, "describes pictures of 48 pixels, the middle of 32, and its network takes 32"),
        ({"crop_size": 24, "size": 32}, "describes pictures of 24 pixels, the middle of 32, and its network takes 32"),
    ],
)
def test_a_description_that_does_not_fit_is_told_in_one_sentence(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    describe(save_videomae(tmp_path), **changes)
    with pytest.raises(ConfigError, match=sentence) as told:
        input_of(tmp_path)
    assert os.linesep not in str(told.value)


def test_a_time_sformer_of_single_frames_is_refused(tmp_path: Path) -> None:
    folder = save_timesformer(tmp_path)
    config = transformers.TimesformerConfig.from_pretrained(folder)
    config.attention_type = "space_only"
    transformers.TimesformerModel(config).save_pretrained(folder)
    with pytest.raises(ConfigError, match="attends to each frame alone"):
        input_of(folder)


def test_patches_of_another_size_than_the_network_s_are_refused(tmp_path: Path) -> None:
    describe(save_siglip2(tmp_path), patch_size=4)
    with pytest.raises(ConfigError, match="describes patches of 4 pixels, and its network takes 8"):
        input_of(tmp_path)


@pytest.mark.parametrize(("patches", "side"), [(16, 32), (20, 32), (25, 40), (4, 16)])
def test_siglip_2_gets_the_square_that_its_processor_makes_of_one(tmp_path: Path, patches: int, side: int) -> None:
    from transformers.models.siglip2.image_processing_pil_siglip2 import get_image_size_for_max_num_patches

    describe(save_siglip2(tmp_path), max_num_patches=patches)
    assert input_of(tmp_path).size == side
    for edge in (30, 96, 255):
        assert get_image_size_for_max_num_patches(edge, edge, 8, patches) == (side, side)
