"""Frozen encoders in ONNX files: they give what PyTorch gives, and wrong files are refused."""

import json
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from talkies.core import ConfigError
from talkies.models import EncoderAddress, compute_model_stamp
from talkies.models.public import list_modalities, open_tower

PICTURES = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.1], "size": {"height": 16, "width": 16}}


class Small(nn.Module):
    """Features `[B, 5]`, or tokens `[B, 3, 5]`, of anything flattened."""

    def __init__(self, width: int, tokens: int = 1) -> None:
        super().__init__()
        torch.manual_seed(width)
        self.tokens, self.map = tokens, nn.Linear(width, 5 * tokens)

    def forward(self, x: Tensor) -> Tensor:
        y = self.map(x.flatten(1))
        return y if self.tokens == 1 else y.view(-1, self.tokens, 5)


def write(folder: Path, module: nn.Module, shape: tuple[int, ...], description: dict | None) -> EncoderAddress:
    path = folder / "model.onnx"
    names = {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}}
    torch.onnx.export(module.eval(), (torch.zeros(2, *shape),), path, dynamo=False, **names)  # the quicker exporter
    if description is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(description))
    return EncoderAddress.parse(f"onnx:{path}")


@pytest.fixture(autouse=True)
def _quiet(recwarn: pytest.WarningsRecorder) -> None:
    """The exporter of PyTorch warns about itself."""


@pytest.mark.filterwarnings("ignore")
class TestOnnx:
    @pytest.mark.parametrize("tokens", [1, 3])
    def test_pictures_are_encoded_frame_by_frame(self, tmp_path: Path, tokens: int) -> None:
        module = Small(3 * 16 * 16, tokens)
        address = write(tmp_path, module, (3, 16, 16), PICTURES)
        encoder = open_tower(address, "video").encoder
        clips = torch.randn(3, 3, 2, 16, 16)
        frames = module(clips.transpose(1, 2).flatten(0, 1))
        expected = (frames.mean(1) if tokens > 1 else frames).view(3, 2, 5).mean(1)
        torch.testing.assert_close(encoder(clips), expected, rtol=0, atol=1e-5)
        assert (encoder.input.size, encoder.input.mean) == (16, (0.5, 0.4, 0.3))

    def test_video_and_sound_are_told_by_their_dimensions(self, tmp_path: Path) -> None:
        (tmp_path / "video").mkdir()
        (tmp_path / "sound").mkdir()
        module = Small(4 * 3 * 16 * 16)
        video = write(tmp_path / "video", module, (4, 3, 16, 16), PICTURES)
        clips = torch.randn(2, 3, 4, 16, 16)
        encoder = open_tower(video, "video").encoder
        torch.testing.assert_close(encoder(clips), module(clips.transpose(1, 2)), rtol=0, atol=1e-5)
        assert encoder.input.frames == 4

        module = Small(32_000)
        sound = write(tmp_path / "sound", module, (32_000,), {"sampling_rate": 16_000})
        assert list_modalities(sound) == ("audio",)
        samples = torch.randn(2, 32_000)
        encoder = open_tower(sound, "audio").encoder
        torch.testing.assert_close(encoder(samples), module(samples), rtol=0, atol=1e-4)

    def test_the_stamp_follows_the_file(self, tmp_path: Path) -> None:
        stamps = set()
        for tokens in (1, 3):
            address = write(tmp_path, Small(3 * 16 * 16, tokens), (3, 16, 16), PICTURES)
            stamps.add(compute_model_stamp(open_tower(address, "video").encoder))
            assert compute_model_stamp(open_tower(address, "video").encoder) in stamps
        assert len(stamps) == 2

    def test_wrong_files_are_answered_in_one_sentence(self, tmp_path: Path) -> None:
        def refuse(address: EncoderAddress, sentence: str) -> None:
            with pytest.raises(ConfigError, match=f"^{re.escape(str(address))}{re.escape(sentence)}"):
                open_tower(address, "video")

        refuse(EncoderAddress.parse(f"onnx:{tmp_path}/none.onnx"), " cannot be read (no such file or directory)")
        (tmp_path / "text.onnx").write_text("text")
        refuse(EncoderAddress.parse(f"onnx:{tmp_path}/text.onnx"), " is no ONNX file that can be run; name another")
        bare = write(tmp_path, Small(3 * 16 * 16), (3, 16, 16), None)
        refuse(bare, " needs a description of its preprocessing beside it: a preprocessor_config.json")
        flat = write(tmp_path, Small(6), (2, 3), PICTURES)
        refuse(flat, " takes an input of 3 dimensions; an encoder takes samples [B, S], pictures [B, 3, H, W]")
