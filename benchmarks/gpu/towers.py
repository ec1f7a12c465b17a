"""Public encoders of ViT-B's size with random weights, in the format in which real ones are published.

They are CLIP's image encoder and AST, each of 12 blocks of 768 dimensions; pictures of 128 × 128 in patches of 8 make
257 tokens, and 2.56 s of sound make 302.
"""

import json
from pathlib import Path

import torch

from gpu.settings import Settings

MODULES = {"transformers": "transformers", "peft": "peft"}
_FULL_WIDTH = 768


def save_towers(settings: Settings) -> tuple[str, str]:
    """Save both encoders unless they are there, and return their addresses."""
    folder = settings.work / "towers"
    if not (folder / "audio" / "preprocessor_config.json").is_file():
        _save_towers(folder, settings)
    return f"hf:{folder / 'video'}", f"hf:{folder / 'audio'}"


def _save_towers(folder: Path, settings: Settings) -> None:
    import transformers

    sizes = settings.sizes
    side = 128 if sizes.tower_width == _FULL_WIDTH else 32
    layers = {
        "hidden_size": sizes.tower_width,
        "intermediate_size": 4 * sizes.tower_width,
        "num_hidden_layers": sizes.tower_layers,
        "num_attention_heads": 12,
    }
    vision = transformers.CLIPVisionConfig(**layers, image_size=side, patch_size=8, projection_dim=512)
    sound = transformers.ASTConfig(**layers, num_mel_bins=128, max_length=2 * side)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.CLIPVisionModelWithProjection(vision).save_pretrained(folder / "video")
        transformers.ASTModel(sound).save_pretrained(folder / "audio")
    pictures = {
        "image_processor_type": "CLIPImageProcessor",
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "rescale_factor": 1 / 255,
        "resample": 3,
        "size": {"shortest_edge": side},
        "crop_size": {"height": side, "width": side},
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    waves = {
        "feature_extractor_type": "ASTFeatureExtractor",
        "do_normalize": True,
        "feature_size": 1,
        "max_length": 2 * side,
        "mean": -4.2677393,
        "num_mel_bins": 128,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
        "sampling_rate": 16_000,
        "std": 4.5689974,
    }
    for name, values in (("video", pictures), ("audio", waves)):
        (folder / name / "preprocessor_config.json").write_text(json.dumps(values, indent=1), encoding="utf-8")
