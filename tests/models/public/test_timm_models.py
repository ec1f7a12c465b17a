"""Image models of timm give what timm gives, and make the pictures that its own transform makes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from talkies.core import ConfigError
from talkies.models import EncoderAddress
from talkies.models.public import open_tower
from talkies.models.public.timm_models import open_timm


def test_without_timm_a_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"^timm:vit needs timm, and timm is not installed; install it with: pip"):
        open_timm(EncoderAddress.parse("timm:vit"))


class TestTimm:
    @pytest.fixture
    def address(self, tmp_path: Path) -> EncoderAddress:
        timm = pytest.importorskip("timm", reason="no timm that works here", exc_type=ImportError)
        torch.manual_seed(0)
        options = {"img_size": 32, "embed_dim": 24, "depth": 2, "num_heads": 2}
        network = timm.create_model("vit_tiny_patch16_224", num_classes=0, **options)
        from timm.models._hub import save_for_hf

        save_for_hf(network, tmp_path, model_config={"num_classes": 0}, model_args=options, safe_serialization=True)
        return EncoderAddress.parse(f"timm:local-dir:{tmp_path}")

    def test_features_are_those_of_timm(self, address: EncoderAddress) -> None:
        import timm

        encoder = open_tower(address, "video").encoder.eval()
        own = timm.create_model(address.name, pretrained=True, num_classes=0).eval()
        clips = torch.randn(2, 3, 3, 32, 32)
        expected = own(clips.transpose(1, 2).flatten(0, 1)).view(2, 3, -1).mean(1)
        torch.testing.assert_close(encoder(clips), expected, rtol=0, atol=1e-4)
        stages = [stage for stage, _ in encoder.named_blocks()]
        assert stages[-2:] == ["layer1", "layer2"]
        assert "stem" in stages

    def test_the_input_is_that_of_its_own_transform(self, address: EncoderAddress) -> None:
        import timm
        from PIL import Image

        encoder = open_tower(address, "video").encoder
        own = timm.create_model(address.name, pretrained=True, num_classes=0)
        transform = timm.data.create_transform(**timm.data.resolve_model_data_config(own), is_training=False)
        picture = np.random.default_rng(0).integers(0, 256, (encoder.input.resize,) * 2 + (3,), dtype=np.uint8)
        offset, size = encoder.input.first_pixel, encoder.input.size
        middle = torch.from_numpy(picture[offset : offset + size, offset : offset + size]).permute(2, 0, 1) / 255
        mean, sd = (torch.tensor(each)[:, None, None] for each in (encoder.input.mean, encoder.input.sd))
        torch.testing.assert_close(transform(Image.fromarray(picture)), (middle - mean) / sd, rtol=0, atol=1e-5)

    def test_a_name_that_timm_does_not_have_is_refused(self) -> None:
        pytest.importorskip("timm", reason="no timm that works here", exc_type=ImportError)
        with pytest.raises(ConfigError, match=r"^timm has no model 'vit_tinny_patch16_224' \(did you mean 'vit_tiny"):
            open_timm(EncoderAddress.parse("timm:vit_tinny_patch16_224"))
