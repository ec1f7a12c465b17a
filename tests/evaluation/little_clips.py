"""Synthetic clips, data sets of them, and tiny encoders for them.

Shapes: `N` pictures, `H W` pixels, `S` samples.
"""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import torch

from talkies.clips.clip_spec import ClipSpec
from talkies.core import ModalityChoice
from talkies.evaluation.datasets import DataSet, Example, Split
from talkies.evaluation.transfer.extract import ExtractedFeatures
from talkies.evaluation.transfer.features import Statistics, TowerFeatures
from talkies.media import open_wav_writer
from talkies.models import AUDIO_ENCODERS, VIDEO_ENCODERS
from talkies.transforms import AudioTransformConfig, TransformConfig, VideoTransformConfig

RATE_HZ, FPS, SIDE = 8_000, 8, 32
CLIP_SPEC = ClipSpec(frames=4, fps=FPS, short_side=SIDE, size=SIDE, audio_seconds=0.5, audio_rate_hz=RATE_HZ)
AUDIO = AudioTransformConfig(n_fft=256, hop=128, mels=16)
Pictures = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.int16]


def tiny_features(seed: int = 0, clip_spec: ClipSpec = CLIP_SPEC) -> TowerFeatures:
    """Two tiny encoders whose weights a seed has drawn."""
    torch.manual_seed(seed)
    transforms = TransformConfig(video=VideoTransformConfig(size=SIDE), audio=AUDIO)
    return TowerFeatures("tiny", clip_spec, transforms, VIDEO_ENCODERS["tiny"](), AUDIO_ENCODERS["tiny"]())


def statistics_features(clip_spec: ClipSpec = CLIP_SPEC) -> Statistics:
    return Statistics(clip_spec, AUDIO)


def data_of(root: Path, modality: ModalityChoice, clips: Sequence[tuple[str, int]], tested: int = 2) -> DataSet:
    """A data set of files and their labels; the last `tested` of them are its test."""
    examples = tuple(Example(name, (label,), name) for name, label in clips)
    classes = tuple(f"class {label}" for label in range(1 + max(label for _, label in clips)))
    numbers = tuple(range(len(clips)))
    split = Split("split 1", numbers[: len(clips) - tested], numbers[len(clips) - tested :])
    return DataSet("planted", root, modality, classes, examples, (split,))


def write_sound(path: Path, audio_S: Samples) -> str:
    """Write a WAV file; return its name."""
    with open_wav_writer(path, RATE_HZ) as file:
        file.writeframes(audio_S.astype("<i2").tobytes())
    return path.name


def write_film(path: Path, video_NHW3: Pictures, audio_S: Samples | None = None) -> str:
    """Write an AVI file whose pictures keep every bit of luma and chroma, and whose sound is PCM; return its name."""
    with av.open(str(path), "w", format="avi") as container:
        video = container.add_stream("ffv1", rate=FPS)
        video.width, video.height, video.pix_fmt = video_NHW3.shape[2], video_NHW3.shape[1], "yuv420p"
        video.codec_context.thread_count = 1
        if audio_S is not None:
            audio = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        for number, picture in enumerate(video_NHW3):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio_S is not None:
            sound = av.AudioFrame.from_ndarray(audio_S[None].astype(np.int16), format="s16", layout="mono")
            sound.sample_rate, sound.pts = RATE_HZ, 0
            container.mux(audio.encode(sound))
            container.mux(audio.encode(None))
    return path.name


def noise_pictures(seed: int, count: int, height: int = SIDE, width: int = SIDE) -> Pictures:
    """Pictures of coarse noise."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, height // 4, width // 4, 3), dtype=np.uint8)
    return coarse.repeat(4, 1).repeat(4, 2)


def noise_sound(seed: int, samples: int, level: float = 4_000) -> Samples:
    return (level * np.random.default_rng(seed).standard_normal(samples)).clip(-32_000, 32_000).astype(np.int16)


def tone(hertz: float, seconds: float, phase: float = 0.0) -> Samples:
    turns_S = hertz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ + phase
    return (9_000 * np.sin(2 * np.pi * turns_S)).astype(np.int16)


def write_clips(root: Path) -> Path:
    """Write films of noise of 6 to 20 pictures with sound, a wide one, and sounds of their own; return the folder."""
    for seed, count in enumerate((20, 6, 13, 9, 16)):
        sound = noise_sound(seed, count * RATE_HZ // FPS)
        write_film(root / f"film-{seed}.avi", noise_pictures(seed, count), sound)
        write_sound(root / f"sound-{seed}.wav", sound)
    write_film(root / "wide.avi", noise_pictures(9, 12, width=64))
    return root


def films(root: Path, count: int = 5) -> DataSet:
    return data_of(root, "both", [(f"film-{seed}.avi", seed % 2) for seed in range(count)])


def assert_same(one: ExtractedFeatures, other: ExtractedFeatures, *, atol: float = 0.0) -> None:
    assert one.features.keys() == other.features.keys()
    for number, rows in one.features.items():
        assert rows.keys() == other.features[number].keys()
        for modality, row_VE in rows.items():
            torch.testing.assert_close(row_VE, other.features[number][modality], atol=atol, rtol=0)
