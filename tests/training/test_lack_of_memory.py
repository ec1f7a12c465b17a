"""Where memory does not suffice there is a sentence that says what to lower: when loading, encoding and training."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from talkies.config import to_yaml
from talkies.core import WorkError
from talkies.core.memory import explain_lack_of_memory
from talkies.library import Library
from talkies.training import resolve

pytest.importorskip("transformers")
SOAK = pytest.mark.skipif(os.environ.get("TALKIES_SOAK") != "1", reason="make soak limits loading and steps too")
SCRIPT = Path(__file__).with_name("limited_training.py")


def save_wide_towers(folder: Path) -> tuple[str, str]:
    """Save encoders of which one clip takes a hundred megabytes, and the weights fifty."""
    import transformers

    layers = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 2, "num_attention_heads": 8}
    transformers.VideoMAEModel(
        transformers.VideoMAEConfig(**layers, image_size=128, patch_size=8, num_frames=16)
    ).save_pretrained(folder / "mae")
    sides = {"size": {"shortest_edge": 128}, "crop_size": {"height": 128, "width": 128}}
    transformers.CLIPImageProcessorPil(**sides).save_pretrained(folder / "mae")
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    convolutions = {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
    transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**small, **convolutions)).save_pretrained(folder / "w2v")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder / "w2v")
    return f"hf:{folder / 'mae'}", f"hf:{folder / 'w2v'}"


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return save_wide_towers(tmp_path_factory.mktemp("wide"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "megabytes", "settings", "sentence"),
    [
        pytest.param(
            *(
                "loading",
                20,
                (),
                "talkies: not enough memory to load the encoders; name smaller encoders, or close other",
            ),
            marks=SOAK,
        ),
        ("features", 6, (), "talkies: not enough memory to compute the features of clips; set a smaller clip.frames"),
        pytest.param(
            *("steps", 30, ("adaptation.cache=false", "adaptation.video.train=all")),
            "talkies: not enough memory to take a training step; set training.chunk_clips to encode fewer clips at a",
            marks=SOAK,
        ),
    ],
    ids=["loading", "features", "steps"],
)
def test_a_limit_of_memory_ends_in_a_sentence(
    stage: str,
    megabytes: int,
    settings: tuple[str, ...],
    sentence: str,
    towers: tuple[str, str],
    library: Library,
    tmp_path: Path,
) -> None:
    named = (f"model.video={towers[0]}", f"model.audio={towers[1]}", "clip.auto=false", "clip.frames=16", "clip.fps=16")
    small = ("sampling.films_per_batch=2", "sampling.clips_per_film=4", "training.steps=1", "loader.workers=0")
    config = resolve("adapt-heads", [*named, "clip.audio_seconds=1.0", *small, "training.device=cpu", *settings])
    (tmp_path / "recipe.yaml").write_text(to_yaml(config))
    command = [SCRIPT, library.root, tmp_path / "recipe.yaml", tmp_path / "run", stage, megabytes]
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:131] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("unable to mmap 400 bytes from file </x>: Cannot allocate memory (12)"),
        RuntimeError("std::bad_alloc"),
        ImportError("libopenblas.so: failed to map segment from shared object"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
    ids=lambda error: str(error)[:20] or type(error).__name__,
)
def test_every_way_of_saying_so_is_understood(error: Exception) -> None:
    sentence = r"^not enough memory to dance; sit down$"
    with pytest.raises(WorkError, match=sentence), explain_lack_of_memory("dance", "sit down"):
        raise error


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), OSError(28, "No space left on device")])
def test_other_errors_are_left_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, explain_lack_of_memory("dance", "sit down"):
        raise error
    assert raised.value is error
