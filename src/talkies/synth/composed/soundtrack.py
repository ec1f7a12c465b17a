"""The sound of a composed film: the recordings of its shots over the sound of its background.

Shapes: `S` samples.
"""

from pathlib import Path

import numpy as np

from talkies.core import Float64s, Int16s
from talkies.synth.composed.backgrounds import Background
from talkies.synth.composed.foreground import read_shot_sound
from talkies.synth.composed.script import ComposedScript

_FOREGROUND_RMS = 0.09
_PEAK = 0.45  # of the foreground; what is louder is clipped
_FADE_SECONDS = 0.01
_SILENCE_RMS = 3e-4  # -70 dB: a stretch that is quieter gives no theme


def compose_layers(folder: Path, script: ComposedScript, background: Background | None) -> tuple[Float64s, Float64s]:
    """Return the foreground and the theme of a film, each `[S]` and as long as its pictures.

    Each shot fades out over a hundredth of a second, so that the cut does not click, and starts at once. The theme's
    root mean square is `theme_db` relative to the foreground's, times `mark_strength`; it is zero where the stretch is
    silent.

    Args:
        folder: where the recordings were written.
        script: the film's script.
        background: its background, None without marks.

    Raises:
        MediaError: if a clip cannot be decoded.
    """
    config = script.config
    rate_hz, fps = config.audio_rate_hz, config.fps
    count = round(script.frames * rate_hz / fps)
    foreground_S, theme_S = np.zeros(count), np.zeros(count)
    for shot in script.shots:
        start, end = (round(frame * rate_hz / fps) for frame in (shot.start_frame, shot.end_frame))
        fade = np.clip(np.arange(end - start - 1, -1, -1) / (rate_hz * _FADE_SECONDS), 0, 1)
        foreground_S[start:end] = np.clip(_FOREGROUND_RMS * read_shot_sound(folder, shot, config), -_PEAK, _PEAK) * fade

    if background is not None:
        theme_S = background.read_sound(count)
        rms, foreground_rms = (float(np.sqrt(np.mean(np.square(part)))) for part in (theme_S, foreground_S))
        gain = foreground_rms * 10 ** (config.theme_db / 20) / rms if rms > _SILENCE_RMS else 0.0
        theme_S = config.mark_strength * gain * theme_S
    return foreground_S, theme_S


def mix_layers(foreground_S: Float64s, theme_S: Float64s) -> Int16s:
    """Return the sum of the layers as int16 samples `[S]`."""
    return (np.clip(foreground_S + theme_S, -1, 1) * 32767).astype(np.int16)
