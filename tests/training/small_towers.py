"""Small random public encoders in the format of transformers, for training on them."""

from pathlib import Path

import torch

WIDTH = 12


def save_towers(folder: Path) -> tuple[str, str]:
    """Save CLIP's image encoder and wav2vec 2.0, and return their addresses."""
    import transformers

    with torch.random.fork_rng():
        torch.manual_seed(3)
        video = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        text = {**video, "hidden_size": 16, "vocab_size": 30, "max_position_embeddings": 8}
        vision = {**video, "image_size": 32, "patch_size": 8}
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH)
        transformers.CLIPModel(config).save_pretrained(folder / "clip")
        small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
        convolutions = {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
        transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**small, **convolutions)).save_pretrained(folder / "w2v")
    sides = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    transformers.CLIPImageProcessorPil(**sides).save_pretrained(folder / "clip")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder / "w2v")
    return f"hf:{folder / 'clip'}", f"hf:{folder / 'w2v'}"
