"""Encode a file to search by: a picture, a sound or a clip, decoded in a separate process.

Shapes: `B` windows, `N` pictures, `T` frames, `P` rows of planar YUV 4:2:0 pictures, `W` columns, `S` samples,
`D` embedding.
"""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from talkies.clips import FileWindows, cut_file_windows, find_bars_of_pictures
from talkies.core import Float32s, Framing, Grid, LibraryError, list_places, path_to_text
from talkies.media import DecodedFile, QueryFile, read_query_file
from talkies.retrieval.search.clip_sequence import ClipSequence, place_windows
from talkies.retrieval.search.query import Example
from talkies.runs.clip_encoder import ClipEncoder
from talkies.runtime import IsolatedProcess, ProcessLimits, find_path, replace_atomically

_BATCH_WINDOWS = 16
LIMITS = ProcessLimits(stall_seconds=30.0, total_seconds=60.0, memory_bytes=1_500_000_000)


def encode_file(
    path: Path,
    encoder: ClipEncoder,
    stride_seconds: float = 1.0,
    *,
    framing: Framing = "centre",
    name: str | None = None,
    limits: ProcessLimits = LIMITS,
) -> Example:
    """Return a file's embedding, to search a library by.

    The file is read in a separate process: a crash, a hang or excessive memory use there does no harm here.

    Args:
        path: A picture, a sound or a clip.
        encoder: The model that embedded the library.
        stride_seconds: The stride of the library's clips.
        framing: How the library's pictures became squares.
        name: What to call the file in messages; None: its file name.
        limits: The time and memory that reading it may take.

    Returns:
        The mean of the file's clips, and their sequence if there are several.

    Raises:
        MediaError: if it is no picture, sound or clip that can be read, or it is too long.
        IsolationError: if reading it crashed, or exceeded `limits`.
    """
    path = find_path(path)
    stride_frames = max(1, round(stride_seconds * encoder.profile.fps))
    with IsolatedProcess(limits) as isolated:
        media = isolated.call(read_query_file, QueryFile(path, encoder.profile.grid, encoder.profile.short_side))
    return encode_media(media, encoder, stride_frames, name or path_to_text(path.name), framing)


def encode_media(
    media: DecodedFile, encoder: ClipEncoder, stride_frames: int, name: str, framing: Framing = "centre"
) -> Example:
    """Return the embedding of a decoded file: the mean of its clips, and their sequence if there are several.

    A file shorter than a clip is repeated; a single picture is held still. Bars burnt into the pictures are cut off, as
    those of the library's films are.

    Args:
        media: The decoded file, on the encoder's grid.
        encoder: The model.
        stride_frames: The stride of the library's clips.
        name: The name of the file.
        framing: How the library's pictures became squares.
    """
    fps, grid = encoder.profile.fps, encoder.profile.grid
    lengths = _count_frames(media, grid)
    start_B = place_windows(min(lengths), encoder.shape.window_frames, stride_frames)
    bars = find_bars_of_pictures(media.video_NPW, fps) if media.video_NPW is not None else ()
    squares = []
    for place in list_places(framing) if media.video_NPW is not None else (0.5,):
        windows = cut_file_windows(media, grid, encoder.shape, start_B, bars=bars, framing=framing, place=place)
        squares.append(_encode_windows(encoder, windows))
    video_BD, audio_BD = squares[0]
    if video_BD is not None and len(squares) > 1:
        video_BD = _normalise_rows(np.mean([video for video, _ in squares if video is not None], axis=0))
    several = len(start_B) > 1
    return Example(
        name=name,
        seconds=max(lengths) / fps,
        stamp=encoder.stamp,
        video_D=None if video_BD is None else _average_unit_rows(video_BD),
        audio_D=None if audio_BD is None else _average_unit_rows(audio_BD),
        sequence=ClipSequence(stride_frames / fps, start_B / fps, video_BD, audio_BD) if several else None,
    )


def _encode_windows(encoder: ClipEncoder, windows: FileWindows) -> tuple[Float32s | None, Float32s | None]:
    """Return the embeddings of a file's windows, a few of them in the encoder at a time."""
    parts = [encoder.encode_windows(windows[at : at + _BATCH_WINDOWS]) for at in range(0, len(windows), _BATCH_WINDOWS)]
    video_parts = [video_BD for video_BD, _ in parts if video_BD is not None]
    audio_parts = [audio_BD for _, audio_BD in parts if audio_BD is not None]
    return (
        np.concatenate(video_parts) if video_parts else None,
        np.concatenate(audio_parts) if audio_parts else None,
    )


def _count_frames(media: DecodedFile, grid: Grid) -> list[int]:
    """Return how many frames of the grid the video lasts, and the audio, for those that the file has."""
    lengths = []
    if media.video_NPW is not None:
        lengths.append(len(media.video_NPW))
    if media.audio_S is not None:
        lengths.append(max(1, len(media.audio_S) // grid.samples_per_frame))
    return lengths


def save_example(path: Path, example: Example) -> None:
    """Write an example atomically."""
    arrays = {"video": example.video_D, "audio": example.audio_D}
    metadata = {"name": example.name, "seconds": repr(example.seconds), "stamp": example.stamp}
    if example.sequence is not None:
        arrays["passage.start"] = example.sequence.start_W  # type: ignore[assignment]
        arrays["passage.video"] = example.sequence.video_WD
        arrays["passage.audio"] = example.sequence.audio_WD
        metadata["stride_seconds"] = repr(example.sequence.stride_seconds)
    with replace_atomically(path) as temporary:
        save_file({name: array for name, array in arrays.items() if array is not None}, temporary, metadata)


def load_example(path: Path) -> Example:
    """Return an example that `save_example` wrote.

    Raises:
        LibraryError: if it is missing, damaged, or something else.
    """
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        sequence = None
        if "stride_seconds" in metadata:
            sequence = ClipSequence(
                stride_seconds=float(metadata["stride_seconds"]),
                start_W=arrays["passage.start"],
                video_WD=arrays.get("passage.video"),
                audio_WD=arrays.get("passage.audio"),
            )
        return Example(
            name=metadata["name"],
            seconds=float(metadata["seconds"]),
            stamp=metadata["stamp"],
            video_D=arrays.get("video"),
            audio_D=arrays.get("audio"),
            sequence=sequence,
        )
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise LibraryError(f"{path.name} is not a saved example, or is damaged; give the file again") from error


def _normalise_rows(rows_BD: Float32s) -> Float32s:
    unit_BD: Float32s = (rows_BD / np.maximum(np.linalg.norm(rows_BD, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    return unit_BD


def _average_unit_rows(rows_BD: Float32s) -> Float32s:
    mean_D = rows_BD.mean(0)
    unit_D: Float32s = (mean_D / max(float(np.linalg.norm(mean_D)), 1e-12)).astype(np.float32)
    return unit_D
