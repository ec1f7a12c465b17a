"""The frozen features of films and of labelled sounds, encoded once and kept in a file.

Shapes: `N` clips, `T` frames, `S` samples, `E` features.
"""

import csv
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.signal import resample_poly
from torch import Tensor, nn

from public_towers import aisfx, efficientnet_lite0
from talkies.clips import list_windows, read_films
from talkies.core import ClipShape, Float32s, Grid, Int64s, Span
from talkies.library import FilmEntry, Library
from talkies.media import decode_file
from talkies.transforms.video import VideoTransform, VideoTransformConfig

FPS = 16
SHAPE = ClipShape(frames=4, stride=8, audio_frames=37)  # 4 pictures in 2 s, 2.3 s of sound: one block of aiSFX
STRIDE_FRAMES = 8
EXCLUDED = {"black", "silent", "still", "credits", "damaged"}
_SHOWN = (0.45, 0.225)  # the mean and deviation that `VideoTransform` normalises by


@dataclass(frozen=True, slots=True)
class FilmFeatures:
    """The features of a film's clips, one every half second, and the spans in which something is seen and heard."""

    name: str
    start_N: Int64s
    video_NE: Float32s
    audio_NE: Float32s
    eligible: tuple[Span, ...]

    @property
    def frames(self) -> int:
        """The frame after the last clip's last."""
        return int(self.start_N[-1]) + SHAPE.window_frames


@dataclass(frozen=True, slots=True)
class SoundFeatures:
    """The features of labelled sounds, with their classes, folds and recordings."""

    audio_NE: Float32s
    label_N: Int64s
    fold_N: Int64s
    source_N: Int64s


def encode_films(library: Library, films: Mapping[str, FilmEntry], cache: Path) -> dict[str, FilmFeatures]:
    """Return the features of films by name, from the cache if they are there, and print how long they took."""
    video, audio = efficientnet_lite0.build(), aisfx.build()
    encoded = {}
    for name, film in films.items():
        path = cache / f"{film.film_id}.npz"
        if not path.exists():
            began = time.monotonic()
            parts = _encode_film(library, film, video, audio)
            np.savez(path, **parts, seconds=time.monotonic() - began)
        stored = np.load(path)
        rest = library.spans([film], EXCLUDED)
        whole = type(rest).of([[Span(0, film.frames)]])
        spans = whole.subtract(rest).list_spans(0)
        encoded[name] = FilmFeatures(name, stored["start"], stored["video"], stored["audio"], tuple(spans))
        print(f"{name}: {len(stored['start'])} clips encoded in {float(stored['seconds']):.1f} s", flush=True)
    return encoded


@torch.inference_mode()
def _encode_film(library: Library, film: FilmEntry, video: nn.Module, audio: nn.Module) -> dict[str, Float32s]:
    requests = list_windows(film.id, film.frames, SHAPE, STRIDE_FRAMES)
    pictures, sounds = [], []
    for _, batches in read_films(library, SHAPE, {film: requests}, batch_clips=16, workers=0):
        for batch in batches:
            pictures.append(video(prepare_video(batch.video_BTPW)).numpy())
            sounds.append(audio(prepare_audio(batch.audio_BS.numpy())).numpy())
    return {
        "start": np.array([request.window.start_frame for request in requests], np.int64),
        "video": np.concatenate(pictures),
        "audio": np.concatenate(sounds),
    }


def prepare_video(video_BTPW: Tensor) -> Tensor:
    """Return the pictures that EfficientNet-Lite0 takes, of pictures of 256 × 256 pixels."""
    takes = efficientnet_lite0.EfficientNetLite0.input
    assert video_BTPW.shape[3] == takes.resize, "the library's pictures need no resizing"
    normalised = VideoTransform(VideoTransformConfig(size=takes.resize)).prepare(video_BTPW)
    edge = (takes.resize - takes.size) // 2
    middle = normalised[..., edge : edge + takes.size, edge : edge + takes.size]
    mean, sd = (torch.tensor(part)[:, None, None, None] for part in (takes.mean, takes.sd))
    return (middle * _SHOWN[1] + _SHOWN[0] - mean) / sd


def prepare_audio(audio_BS: np.ndarray) -> Tensor:
    """Return the samples that aiSFX takes, of int16 samples at 48 kHz."""
    up, down = 147, 160  # 44.1 kHz of 48 kHz
    return torch.from_numpy(resample_poly(audio_BS.astype(np.float64) / 32768, up, down, axis=1).astype(np.float32))


@torch.inference_mode()
def encode_sounds(root: Path, cache: Path) -> SoundFeatures:
    """Return the features of ESC-10's sounds, from the cache if they are there."""
    path = cache / "esc10.npz"
    with (root / "meta" / "esc10.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not path.exists():
        encoder = aisfx.build()
        grid = Grid(15, aisfx.RATE_HZ)
        features = []
        for row in rows:
            samples = decode_file(root / "audio" / f"{Path(row['filename']).stem}.ogg", "audio", grid, 16).audio_S
            assert samples is not None
            features.append(encoder(torch.from_numpy(samples.astype(np.float32) / 32768)[None]).numpy())
        np.savez(path, audio=np.concatenate(features))
    return SoundFeatures(
        np.load(path)["audio"],
        np.unique([row["target"] for row in rows], return_inverse=True)[1],
        np.array([int(row["fold"]) for row in rows]),
        np.array([int(row["src_file"]) for row in rows]),
    )
