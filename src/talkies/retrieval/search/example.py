"""What a file looks and sounds like to a model: a picture, a sound or a clip, decoded in a process of its own.

Shapes: `B` windows, `N` pictures, `T` frames, `P` rows of planar YUV 4:2:0 pictures, `W` columns, `S` samples,
`D` embedding.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from talkies.core import (
    ClipBatch,
    ClipRequest,
    ClipShape,
    Float32s,
    Grid,
    Int16s,
    Int64s,
    LibraryError,
    Span,
    UInt8s,
    crop_middle_square,
    format_path,
    parse_film_id,
    yuv_rows,
)
from talkies.media import DecodedFile, QueryFile, read_query_file
from talkies.retrieval.search.clip_sequence import Passage, window_starts
from talkies.retrieval.search.query import Example
from talkies.runs.clip_encoder import ClipEncoder
from talkies.runtime import Isolated, ProcessLimits, replace_atomically

LIMITS = ProcessLimits(stall_seconds=30.0, total_seconds=60.0, memory_bytes=1_500_000_000)
_NO_FILM = parse_film_id("0" * 16)


@dataclass(frozen=True, slots=True)
class FileWindows:
    """Windows of a file, each as long as a clip, from frame `start_B` on: pictures `[B, T, P, W]`, sound `[B, S]`, what
    it has of both.
    """

    seconds: float
    start_B: Int64s
    video_BTPW: UInt8s | None
    audio_BS: Int16s | None


def example_of(
    path: Path,
    encoder: ClipEncoder,
    stride_seconds: float = 1.0,
    name: str | None = None,
    limits: ProcessLimits = LIMITS,
) -> Example:
    """Return what the file at `path`, called `name`, looks and sounds like, for films embedded each `stride_seconds`.

    It is read in a process of its own: what crashes, hangs or eats memory there costs nothing here.

    Raises:
        MediaError: if it is no picture, sound or clip that can be read, or too long.
        IsolationError: if reading it crashed, or took more than `limits` allow.
    """
    stride_frames = max(1, round(stride_seconds * encoder.profile.fps))
    with Isolated(limits) as isolated:
        media = isolated.call(read_query_file, QueryFile(path, encoder.profile.grid, encoder.profile.short_side))
    windows = windows_of(media, encoder.profile.grid, encoder.shape, stride_frames)
    return encode_windows(windows, encoder, stride_frames, name or format_path(path.name))


def encode_windows(windows: FileWindows, encoder: ClipEncoder, stride_frames: int, name: str) -> Example:
    """Return what windows of a file look and sound like: on the mean, and one after the other."""
    profile, shape, count = encoder.profile, encoder.shape, len(windows.start_B)
    video_BTPW, audio_BS = windows.video_BTPW, windows.audio_BS
    if video_BTPW is None:
        video_BTPW = np.zeros((count, shape.frames, yuv_rows(profile.short_side), profile.short_side), np.uint8)
    if audio_BS is None:
        audio_BS = np.zeros((count, shape.audio_frames * profile.grid.samples_per_frame), np.int16)
    request = ClipRequest(_NO_FILM, Span(0, shape.window_frames))
    film_B = torch.zeros(count, dtype=torch.int64)
    batch = ClipBatch((request,) * count, torch.from_numpy(video_BTPW), torch.from_numpy(audio_BS), film_B)
    embeddings = encoder.encode(batch).embeddings
    video_BD = None if windows.video_BTPW is None else embeddings.video_BD.numpy()
    audio_BD = None if windows.audio_BS is None else embeddings.audio_BD.numpy()
    passage = Passage(stride_frames / profile.fps, windows.start_B / profile.fps, video_BD, audio_BD)
    video_D, audio_D = (None if vectors is None else _mean(vectors) for vectors in (video_BD, audio_BD))
    return Example(name, windows.seconds, encoder.stamp, video_D, audio_D, passage if count > 1 else None)


def windows_of(media: DecodedFile, grid: Grid, shape: ClipShape, stride_frames: int) -> FileWindows:
    """Return the windows of a file's pictures and sound.

    A file that is shorter than a clip begins again at its end; a single picture stands still.
    """
    samples, window = grid.samples_per_frame, shape.window_frames
    lengths = []
    if media.video_NPW is not None:
        lengths.append(len(media.video_NPW))
    if media.audio_S is not None:
        lengths.append(max(1, len(media.audio_S) // samples))
    start_B = window_starts(min(lengths), window, stride_frames)
    video = audio = None
    if media.video_NPW is not None:
        picture_BT = np.array(
            [list(shape.select_video_frames(Span(start, start + window))) for start in start_B.tolist()]
        )
        square_NPW = crop_middle_square(media.video_NPW)
        video = square_NPW[picture_BT % len(square_NPW)]
    if media.audio_S is not None:
        offset = shape.select_audio_span(Span(0, window)).start_frame
        sound_BS = (start_B[:, None] + offset) * samples + np.arange(shape.audio_frames * samples)
        audio = media.audio_S[sound_BS % len(media.audio_S)]
    return FileWindows(max(lengths) / grid.fps, start_B, video, audio)


def save_example(path: Path, example: Example) -> None:
    """Write an example so that it is there whole or not at all."""
    passage = example.passage
    arrays = {
        "video": example.video_D,
        "audio": example.audio_D,
        "passage.start": None if passage is None else passage.start_W,
        "passage.video": None if passage is None else passage.video_WD,
        "passage.audio": None if passage is None else passage.audio_WD,
    }
    words = {"name": example.name, "seconds": repr(example.seconds), "stamp": example.stamp}
    if passage:
        words["stride_seconds"] = repr(passage.stride_seconds)
    with replace_atomically(path) as temporary:
        save_file({name: array for name, array in arrays.items() if array is not None}, temporary, words)


def load_example(path: Path) -> Example:
    """Return an example that `save_example` wrote.

    Raises:
        LibraryError: if it is missing, damaged, or something else.
    """
    try:
        with safe_open(path, "numpy") as file:
            words, arrays = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        passage = None
        if "stride_seconds" in words:
            sides = (arrays.get("passage.video"), arrays.get("passage.audio"))
            passage = Passage(float(words["stride_seconds"]), arrays["passage.start"], *sides)
        sides = (arrays.get("video"), arrays.get("audio"))
        return Example(words["name"], float(words["seconds"]), words["stamp"], *sides, passage)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise LibraryError(f"{path.name} is no file's example, or is damaged; give the file again") from error


def _mean(rows_BD: Float32s) -> Float32s:
    mean_D = rows_BD.mean(0)
    unit_D: Float32s = (mean_D / max(float(np.linalg.norm(mean_D)), 1e-12)).astype(np.float32)
    return unit_D
