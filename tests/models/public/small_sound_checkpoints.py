"""Small random checkpoints of public sound encoders in their real formats, each with its real feature extractor.

Every function writes a folder as `save_pretrained` does, and returns the network of transformers that it saved.
"""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ("a", "train", "passes", "dog", "barks", "rain", "music", "the", "sound", "of", "piano", "sings")

_TRANSFORMER: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 2}
_WAVEFORM: dict[str, Any] = _TRANSFORMER | {
    "hidden_size": 16,
    "intermediate_size": 32,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 12,
}
_PE_VIDEO_PROCESSOR: dict[str, Any] = {
    "do_center_crop": None,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "do_sample_frames": False,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "num_frames": None,
    "resample": 2,
    "rescale_factor": 1 / 255,
    "size": {"height": 32, "width": 32},
    "video_processor_type": "PeVideoVideoProcessor",
}
_PE_LAYERS: dict[str, Any] = _TRANSFORMER | {"hidden_size": 32, "intermediate_size": 48, "head_dim": 16}


def save_wav2vec2(folder: Path, *, head: str = "Wav2Vec2Model", **changes: Any) -> Any:
    """Save wav2vec 2.0; `feat_extract_norm="layer", do_stable_layer_norm=True` make it like the large ones."""
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=_is_large(changes))
    return _save(folder, head, transformers.Wav2Vec2Config(**_WAVEFORM | changes), extractor)


def save_hubert(folder: Path, *, head: str = "HubertModel", **changes: Any) -> Any:
    """Save HuBERT."""
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=_is_large(changes))
    return _save(folder, head, transformers.HubertConfig(**_WAVEFORM | changes), extractor)


def save_wavlm(folder: Path, *, head: str = "WavLMModel", **changes: Any) -> Any:
    """Save WavLM; the base ones do not normalise their samples."""
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=_is_large(changes))
    config = transformers.WavLMConfig(**_WAVEFORM | {"num_buckets": 20, "max_bucket_distance": 40} | changes)
    return _save(folder, head, config, extractor)


def save_ast(folder: Path, *, head: str = "ASTModel", mels: int = 128, frames: int = 240, **extractor: Any) -> Any:
    """Save AST: 128 mel bins, and 2.4 s (240 frames) where real ones take 10.24 s."""
    config = transformers.ASTConfig(
        **_TRANSFORMER, hidden_size=16, intermediate_size=32, num_mel_bins=mels, max_length=frames, num_labels=5
    )
    return _save(
        folder, head, config, transformers.ASTFeatureExtractor(num_mel_bins=mels, max_length=frames, **extractor)
    )


def save_whisper(folder: Path, *, head: str = "WhisperModel", seconds: int = 4, mels: int = 80) -> Any:
    """Save Whisper, of 4 s where real ones take 30 s."""
    config = transformers.WhisperConfig(
        vocab_size=32,
        num_mel_bins=mels,
        d_model=16,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_source_positions=seconds * 50,
        max_target_positions=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    return _save(folder, head, config, transformers.WhisperFeatureExtractor(feature_size=mels, chunk_length=seconds))


def save_clap(folder: Path, *, head: str = "ClapModel", fused: bool = False, seconds: int = 2, **extractor: Any) -> Any:
    """Save CLAP with its text encoder and tokenizer: 48 kHz, 64 mel bins, and 2 s where real ones take 10 s."""
    audio = transformers.ClapAudioConfig(
        spec_size=128,  # 64 mel bins × up to 256 frames, as one square
        num_mel_bins=64,
        window_size=4,
        depths=(1, 1),
        num_hidden_layers=2,
        num_attention_heads=(1, 2),
        patch_embeds_hidden_size=8,
        hidden_size=16,
        aff_block_r=2,
        enable_fusion=fused,
        fusion_type="aff_2d" if fused else None,
        drop_path_rate=0.1,
    )
    text = transformers.ClapTextConfig(
        **_TRANSFORMER, hidden_size=24, intermediate_size=32, vocab_size=32, max_position_embeddings=40
    )
    config = transformers.ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=12)
    values = {"truncation": "fusion" if fused else "rand_trunc", "padding": "repeatpad", "max_length_s": seconds}
    network = _save(folder, head, config, transformers.ClapFeatureExtractor(**values | extractor), norms=True)
    save_tokenizer(folder)
    return network


def save_pe_av(folder: Path, *, vision: str = "convnext") -> Any:
    """Save PE-AV with both text heads and a tokenizer; hop 16 where real ones have 1920.

    Args:
        folder: where.
        vision: `timm` for the image encoder that real ones have, which needs timm; `convnext` for one without it.
    """
    audio, video = _describe_pe_audio(), _describe_pe_video(vision)
    joint = transformers.PeAudioVideoEncoderConfig(audio_config=audio, video_config=video, **_PE_LAYERS)
    config = transformers.PeAudioVideoConfig(text_config=_describe_pe_text(), audio_video_config=joint)
    network = _save(folder, "PeAudioVideoModel", config)
    _write_pe_processor(folder)
    save_tokenizer(folder)
    return network


def save_pe_audio(folder: Path) -> Any:
    """Save the sound side of PE-AV with its text encoder and a tokenizer."""
    config = transformers.PeAudioConfig(text_config=_describe_pe_text(), audio_config=_describe_pe_audio())
    network = _save(folder, "PeAudioModel", config, _make_pe_extractor())
    save_tokenizer(folder)
    return network


def save_pe_video(folder: Path, *, vision: str = "convnext") -> Any:
    """Save the picture side of PE-AV with its text encoder and a tokenizer; `vision` as in `save_pe_av`."""
    config = transformers.PeVideoConfig(text_config=_describe_pe_text(), video_config=_describe_pe_video(vision))
    network = _save(folder, "PeVideoModel", config)
    _write_pe_video_processor(folder)
    save_tokenizer(folder)
    return network


def save_tokenizer(folder: Path) -> None:
    """Save a tokenizer of whole words, with the special tokens of RoBERTa: `<s>` 0, `<pad>` 1, `</s>` 2."""
    special = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    vocabulary = {word: number for number, word in enumerate(special + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>"}
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", mask_token="<mask>", model_max_length=32, **names
    ).save_pretrained(folder)


def _save(folder: Path, class_name: str, config: Any, extractor: Any = None, *, norms: bool = False) -> Any:
    """Save a network with random weights, none of them 0, and return it in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = getattr(transformers, class_name)(config).eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
            for name, buffer in network.named_buffers():
                if norms and name.endswith(("running_mean", "running_var")):
                    buffer.copy_(torch.rand_like(buffer) * 40 + (10 if "var" in name else -40))
    network.save_pretrained(folder)
    if extractor is not None:
        extractor.save_pretrained(folder)
    return network


def _is_large(changes: dict[str, Any]) -> bool:
    return changes.get("feat_extract_norm") == "layer"


def _describe_pe_text() -> Any:
    return transformers.ModernBertConfig(
        **_TRANSFORMER,
        hidden_size=24,
        intermediate_size=32,
        vocab_size=32,
        bos_token_id=0,
        cls_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        sep_token_id=2,
        max_position_embeddings=64,
    )


def _describe_pe_audio() -> Any:
    codec = transformers.DacConfig(encoder_hidden_size=4, downsampling_ratios=[2, 8], codebook_dim=6, hidden_size=16)
    return transformers.PeAudioEncoderConfig(dac_config=codec, **_PE_LAYERS)


def _describe_pe_video(vision: str) -> Any:
    if vision == "timm":
        config: Any = transformers.TimmWrapperConfig(
            architecture="vit_pe_core_tiny_patch16_384",
            do_pooling=True,
            num_classes=20,
            global_pool="map",
            model_args={"depth": 2, "img_size": 32, "embed_dim": 48, "num_heads": 2, "patch_size": 8},
        )
    else:
        config = transformers.ConvNextConfig(
            hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, image_size=32, num_labels=20, drop_path_rate=0.1
        )
    return transformers.PeVideoEncoderConfig(vision_config=config, **_PE_LAYERS)


def _make_pe_extractor() -> Any:
    return transformers.PeAudioFeatureExtractor(hop_length=16)


def _write_pe_video_processor(folder: Path) -> None:
    """Write what `PeVideoVideoProcessor.save_pretrained` writes; the class itself needs torchvision."""
    (folder / "video_preprocessor_config.json").write_text(json.dumps(_PE_VIDEO_PROCESSOR), encoding="utf-8")


def _write_pe_processor(folder: Path) -> None:
    """Write what `PeAudioVideoProcessor.save_pretrained` writes: both sides in one file."""
    extractor = _make_pe_extractor().to_dict()
    values = {"feature_extractor": extractor, "video_processor": _PE_VIDEO_PROCESSOR}
    path = folder / "processor_config.json"
    path.write_text(json.dumps(values | {"processor_class": "PeAudioVideoProcessor"}), encoding="utf-8")
