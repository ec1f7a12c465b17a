"""What is shown and heard in the shots of composed films: recordings and action clips, decoded and cached.

Shapes: `N` pictures, `P` rows of a planar YUV 4:2:0 picture (3/2 of its height), `W` columns, `S` samples.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from talkies.core import Float64s, Grid, Int16s, MediaError, UInt8s, format_path, text_to_path
from talkies.media import decode_file, probe
from talkies.synth.composed.backgrounds import compute_short_side, cover
from talkies.synth.composed.script import ComposedConfig, ComposedShot

_SILENCE = 1e-3
"""What is quieter, relative to a recording's peak, is silence at its start and end."""


def get_inset_size(config: ComposedConfig) -> tuple[int, int]:
    """Return the width and height of the window in which action clips are shown, both even."""
    width, height = (2 * round(side * config.clip_share / 2) for side in (config.width, config.height))
    return width, height


def find_clip_frame(shot: ComposedShot, frame: int, frames: int) -> int:
    """Return which of a clip's `frames` is shown at frame number `frame` of the film."""
    return (min(int(shot.clip_at * frames), frames - 1) + frame - shot.start_frame) % frames


def read_shot_sound(folder: Path, shot: ComposedShot, config: ComposedConfig) -> Float64s:
    """Return the sound of a shot `[S]` at a root mean square of 1: its recording, or its clip's own, in sync with it.

    Both are repeated where they are too short. A recording is played without the silence at its ends.

    Args:
        folder: where `write_recording` wrote its recording.
        shot: the shot.
        config: the config of its film.

    Raises:
        MediaError: if its clip cannot be decoded.
    """
    rate_hz = config.audio_rate_hz
    begin, end = (round(frame * rate_hz / config.fps) for frame in (shot.start_frame, shot.end_frame))
    if shot.recording is not None:
        sound_S = np.load(folder / f"{shot.recording_sha256}.recording.npy")
        start = min(int(shot.recording_at * len(sound_S)), len(sound_S) - 1)
    else:
        assert shot.clip is not None, "a shot has a recording or a clip"
        pictures_NPW, sound_S = load_clip(shot.clip, config)
        if not sound_S.any():
            name = format_path(text_to_path(shot.clip).name)
            raise MediaError(
                "silent", f"{name} has no sound, and its class has no recordings; take it out of the action clips"
            )
        start = find_clip_frame(shot, shot.start_frame, len(pictures_NPW)) * rate_hz // config.fps
    sound = np.take(sound_S, np.arange(start, start + end - begin), mode="wrap") / 32768
    rms = float(np.sqrt(np.mean(np.square(sound_S / 32768.0))))
    return np.asarray(sound / max(rms, 1e-4), np.float64)


def write_recording(folder: Path, path: str, sha256: str, rate_hz: int) -> None:
    """Write the sound of a file without the silence at its ends.

    Raises:
        MediaError: if it cannot be decoded, or is silent.
        SourceError: if it cannot be read.
    """
    sound_S = decode_file(text_to_path(path), "audio", Grid(1, rate_hz), 0).audio_S
    assert sound_S is not None, "audio was requested"
    loudness_S = np.abs(sound_S.astype(np.int32))
    (heard,) = np.nonzero(loudness_S > _SILENCE * loudness_S.max(initial=0))
    if not len(heard):
        name = format_path(Path(path).name)
        raise MediaError("silent", f"{name} is silent, and each shot must be heard; take it out of the sounds")
    np.save(folder / f"{sha256}.recording.npy", sound_S[heard[0] : heard[-1] + 1])


@lru_cache(maxsize=16)
def load_clip(path: str, config: ComposedConfig) -> tuple[UInt8s, Int16s]:
    """Return the pictures of a clip `[N, P, W]`, which cover the inset, and its sound `[S]`, both equally long.

    The sound is empty if the clip has none.

    Raises:
        MediaError: if it has no pictures, or cannot be decoded.
    """
    file = text_to_path(path)
    info = probe(file)
    if info.video is None or not info.video.decodes:
        raise MediaError("no_video", f"{format_path(file.name)} has no pictures; take it out of the action clips")
    width, height = get_inset_size(config)
    has_sound = info.audio is not None and info.audio.decodes
    grid = Grid(config.fps, config.audio_rate_hz)
    decoded = decode_file(file, "both" if has_sound else "video", grid, compute_short_side(info.video, width, height))
    assert decoded.video_NPW is not None, "pictures were requested"
    sound_S = np.zeros(0, np.int16) if decoded.audio_S is None else decoded.audio_S
    return np.stack([cover(picture_PW, width, height) for picture_PW in decoded.video_NPW]), sound_S
