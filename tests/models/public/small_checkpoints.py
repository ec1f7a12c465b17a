"""Small random checkpoints of public video and image encoders, in the format in which the real ones are published.

Each function fills a folder as `save_pretrained` of transformers does: config.json, model.safetensors, the description
of the preprocessing under the name and with the values that the real checkpoint has (sizes apart), and the tokenizer of
those that have one. It returns the folder, so that `f"hf:{save_clip(tmp_path)}"` is an address. The weights follow from
the family's name alone; the global random generator of PyTorch stays as it was.

`architecture` names the class of transformers that saves the weights; all of those that `HEADS` lists occur in public.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

SIDE, FRAMES, WIDTH = 32, 4, 24
TEXT_LENGTH = 16
HEADS: Mapping[str, tuple[str, ...]] = {
    "videomae": ("VideoMAEForVideoClassification", "VideoMAEForPreTraining", "VideoMAEModel"),
    "timesformer": ("TimesformerForVideoClassification", "TimesformerModel"),
    "vivit": ("VivitForVideoClassification", "VivitModel"),
    "vjepa2": ("VJEPA2Model", "VJEPA2ForVideoClassification"),
    "clip": ("CLIPModel", "CLIPVisionModelWithProjection", "CLIPVisionModel", "CLIPForImageClassification"),
    "siglip": ("SiglipModel", "SiglipVisionModel", "SiglipForImageClassification"),
    "siglip2": ("Siglip2Model", "Siglip2VisionModel", "Siglip2ForImageClassification"),
    "dinov2": ("Dinov2Model", "Dinov2ForImageClassification"),
    "dinov2_with_registers": ("Dinov2WithRegistersModel", "Dinov2WithRegistersForImageClassification"),
    "dinov3_vit": ("DINOv3ViTModel",),
    "dinov3_convnext": ("DINOv3ConvNextModel",),
    "vit": ("ViTModel", "ViTForImageClassification", "ViTForMaskedImageModeling"),
    "convnext": ("ConvNextModel", "ConvNextForImageClassification"),
}

_LAYERS = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_HALVES = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
_SQUARE = {"height": SIDE, "width": SIDE}


def save_videomae(folder: Path, architecture: str = "VideoMAEForVideoClassification") -> Path:
    """VideoMAE: 4 frames of 32 × 32 pixels."""
    config = transformers.VideoMAEConfig(
        **_LAYERS,
        image_size=SIDE,
        patch_size=8,
        num_frames=FRAMES,
        use_mean_pooling=architecture != "VideoMAEForPreTraining",
        decoder_hidden_size=16,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
    )
    processor = {
        "crop_size": _SQUARE,
        "image_processor_type": "VideoMAEImageProcessor",
        "size": {"shortest_edge": SIDE},
        **_IMAGENET,
    }
    return _save(folder, architecture, config, _describe(processor, resample=2))


def save_timesformer(folder: Path, architecture: str = "TimesformerForVideoClassification") -> Path:
    """TimeSformer: 4 frames of 32 × 32 pixels."""
    config = transformers.TimesformerConfig(**_LAYERS, image_size=SIDE, patch_size=8, num_frames=FRAMES)
    processor = {
        "crop_size": _SQUARE,
        "image_processor_type": "VideoMAEImageProcessor",
        "size": {"shortest_edge": SIDE},
        "image_mean": [0.45, 0.45, 0.45],
        "image_std": [0.225, 0.225, 0.225],
    }
    return _save(folder, architecture, config, _describe(processor, resample=2))


def save_vivit(folder: Path, architecture: str = "VivitForVideoClassification") -> Path:
    """ViViT: 4 frames of 32 × 32 pixels, the middle of 38 × 38."""
    config = transformers.VivitConfig(**_LAYERS, image_size=SIDE, num_frames=FRAMES, tubelet_size=(2, 8, 8))
    processor = {
        "crop_size": _SQUARE,
        "image_processor_type": "VivitImageProcessor",
        "size": {"shortest_edge": 38},
        "rescale_factor": 1 / 127.5,
        "offset": True,
        **_HALVES,
    }
    return _save(folder, architecture, config, _describe(processor, resample=2))


def save_vjepa2(folder: Path, architecture: str = "VJEPA2Model") -> Path:
    """V-JEPA 2: 4 frames of 32 × 32 pixels, the middle of 36 × 36."""
    config = transformers.VJEPA2Config(
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2.0,
        patch_size=8,
        crop_size=SIDE,
        frames_per_clip=FRAMES,
        num_pooler_layers=1,
        pred_hidden_size=16,
        pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
        pred_num_mask_tokens=2,
    )
    processor = {
        "crop_size": _SQUARE,
        "video_processor_type": "VJEPA2VideoProcessor",
        "size": {"shortest_edge": SIDE * 256 // 224},
        "do_sample_frames": False,
        "default_to_square": True,
        **_IMAGENET,
    }
    return _save(folder, architecture, config, _describe(processor, resample=2), "video_preprocessor_config.json")


def save_clip(folder: Path, architecture: str = "CLIPModel") -> Path:
    """CLIP: pictures of 32 × 32 pixels, texts of at most 16 tokens, a joint space of 12 dimensions."""
    tokenizer = make_clip_tokenizer()
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = {**_LAYERS, "vocab_size": len(tokenizer), "max_position_embeddings": TEXT_LENGTH, **special}
    text |= {"hidden_size": 16, "pad_token_id": tokenizer.pad_token_id}
    vision = {**_LAYERS, "image_size": SIDE, "patch_size": 8}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
    processor = {
        "crop_size": _SQUARE,
        "do_convert_rgb": True,
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": SIDE},
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    part = config.vision_config if architecture.startswith("CLIPVision") else config
    part.projection_dim = 12
    _save(folder, architecture, part, _describe(processor, resample=3))
    tokenizer.save_pretrained(folder)
    return folder


def save_siglip(folder: Path, architecture: str = "SiglipModel") -> Path:
    """SigLIP, and SigLIP 2 of a fixed size: pictures of 32 × 32 pixels, a joint space of 24 dimensions."""
    tokenizer = make_siglip2_tokenizer()
    vision = {**_LAYERS, "image_size": SIDE, "patch_size": 8}
    config = transformers.SiglipConfig(text_config=_siglip_text(tokenizer), vision_config=vision)
    processor = {"image_processor_type": "SiglipImageProcessor", "size": _SQUARE, **_HALVES}
    part = config.vision_config if architecture == "SiglipVisionModel" else config
    _save(folder, architecture, part, _describe(processor, resample=3, crop=False))
    tokenizer.save_pretrained(folder)
    return folder


def save_siglip2(folder: Path, architecture: str = "Siglip2Model") -> Path:
    """SigLIP 2 of any aspect (NaFlex): at most 16 patches of 8 × 8 pixels, a joint space of 24 dimensions."""
    tokenizer = make_siglip2_tokenizer()
    vision = {**_LAYERS, "num_patches": 16, "patch_size": 8}
    config = transformers.Siglip2Config(text_config=_siglip_text(tokenizer), vision_config=vision)
    processor = {"image_processor_type": "Siglip2ImageProcessor", "patch_size": 8, "max_num_patches": 16, **_HALVES}
    part = config.vision_config if architecture == "Siglip2VisionModel" else config
    _save(folder, architecture, part, _describe(processor, resample=2, crop=False))
    tokenizer.save_pretrained(folder)
    return folder


def save_dinov2(folder: Path, architecture: str = "Dinov2Model") -> Path:
    """DINOv2: pictures of 28 × 28 pixels, the middle of 32 × 32; its positions are of 42 × 42, as in public."""
    registers = "WithRegisters" in architecture
    make = transformers.Dinov2WithRegistersConfig if registers else transformers.Dinov2Config
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2}
    config = make(**sizes, image_size=42, patch_size=7, **({"num_register_tokens": 2} if registers else {}))
    processor = {
        "crop_size": {"height": 28, "width": 28},
        "do_convert_rgb": True,
        "image_processor_type": "BitImageProcessor",
        "size": {"shortest_edge": 32},
        **_IMAGENET,
    }
    return _save(folder, architecture, config, _describe(processor, resample=3))


def save_dinov2_with_registers(folder: Path, architecture: str = "Dinov2WithRegistersModel") -> Path:
    """DINOv2 with registers: otherwise as `save_dinov2`."""
    return save_dinov2(folder, architecture)


def save_dinov3_vit(folder: Path, architecture: str = "DINOv3ViTModel") -> Path:
    """DINOv3's vision transformer: pictures of 32 × 32 pixels, two registers."""
    config = transformers.DINOv3ViTConfig(**_LAYERS, image_size=SIDE, patch_size=8, num_register_tokens=2)
    return _save(folder, architecture, config, _describe_dinov3())


def save_dinov3_convnext(folder: Path, architecture: str = "DINOv3ConvNextModel") -> Path:
    """DINOv3's convolutional network: pictures of 32 × 32 pixels."""
    config = transformers.DINOv3ConvNextConfig(
        hidden_sizes=[8, 12, 16, WIDTH], depths=[1, 1, 2, 1], image_size=SIDE, layer_scale_init_value=0.5
    )
    return _save(folder, architecture, config, _describe_dinov3())


def save_vit(folder: Path, architecture: str = "ViTModel") -> Path:
    """A vision transformer, as trained on ImageNet: pictures of 32 × 32 pixels."""
    config = transformers.ViTConfig(**_LAYERS, image_size=SIDE, patch_size=8, encoder_stride=8)
    processor = {"image_processor_type": "ViTImageProcessor", "size": _SQUARE, **_HALVES}
    return _save(folder, architecture, config, _describe(processor, resample=2, crop=False))


def save_convnext(folder: Path, architecture: str = "ConvNextModel") -> Path:
    """ConvNeXt, as trained on ImageNet: pictures of 32 × 32 pixels, the middle of 36 × 36."""
    config = transformers.ConvNextConfig(
        hidden_sizes=[8, 12, 16, WIDTH], depths=[1, 1, 2, 1], image_size=SIDE, layer_scale_init_value=0.5
    )
    processor = {
        "image_processor_type": "ConvNextImageProcessor",
        "size": {"shortest_edge": SIDE},
        "crop_pct": 0.875,
        **_IMAGENET,
    }
    return _save(folder, architecture, config, _describe(processor, resample=3, crop=False))


SAVERS: Mapping[str, Callable[..., Path]] = {
    "videomae": save_videomae,
    "timesformer": save_timesformer,
    "vivit": save_vivit,
    "vjepa2": save_vjepa2,
    "clip": save_clip,
    "siglip": save_siglip,
    "siglip2": save_siglip2,
    "dinov2": save_dinov2,
    "dinov2_with_registers": save_dinov2_with_registers,
    "dinov3_vit": save_dinov3_vit,
    "dinov3_convnext": save_dinov3_convnext,
    "vit": save_vit,
    "convnext": save_convnext,
}


def make_clip_tokenizer() -> Any:
    """A tokenizer as CLIP's, by bytes: a token for each letter, inside a word and at its end."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    tokens = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=TEXT_LENGTH)


def make_siglip2_tokenizer() -> Any:
    """A tokenizer as SigLIP 2's, by bytes: a token for each letter, and for each byte of any other character."""
    letters = [chr(code) for code in range(33, 127)]
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *letters]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    published = {
        "add_bos_token": False,
        "add_eos_token": True,
        "padding_side": "right",
        "model_input_names": ["input_ids"],
    }
    return transformers.Siglip2Tokenizer(vocab=vocabulary, merges=[], model_max_length=TEXT_LENGTH, **published)


def _siglip_text(tokenizer: Any) -> dict[str, Any]:
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    sizes = {"vocab_size": len(tokenizer), "max_position_embeddings": TEXT_LENGTH, "projection_size": WIDTH}
    return {**_LAYERS, **sizes, **special, "pad_token_id": tokenizer.pad_token_id}


def _describe(values: dict[str, Any], *, resample: int, crop: bool = True) -> dict[str, Any]:
    usual = {"do_normalize": True, "do_rescale": True, "do_resize": True, "rescale_factor": 1 / 255}
    return {**({"do_center_crop": True} if crop else {}), **usual, "resample": resample, **values}


def _describe_dinov3() -> dict[str, Any]:
    processor = {
        "crop_size": None,
        "data_format": "channels_first",
        "default_to_square": True,
        "do_center_crop": None,
        "image_processor_type": "DINOv3ViTImageProcessorFast",
        "size": _SQUARE,
        **_IMAGENET,
    }
    return _describe(processor, resample=2, crop=False)


def _save(
    folder: Path, architecture: str, config: Any, processor: dict[str, Any], name: str = "preprocessor_config.json"
) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(config.model_type.encode()))
        network = getattr(transformers, architecture)(config)
        for weight in network.parameters():  # fresh weights are so small that features of two clips hardly differ
            weight.data.add_(torch.randn_like(weight) * 0.05)
    network.save_pretrained(folder)
    (folder / name).write_text(json.dumps(processor, indent=2, sort_keys=True), encoding="utf-8")
    return folder
