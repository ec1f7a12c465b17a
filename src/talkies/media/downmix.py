"""Mix the channels of a sound track to mono without losing what they hold.

FFmpeg mixes as in ITU-R BS.775, which is right for nearly every film. Where channels cancel in that mix (stereo whose
right channel is inverted) or have no place in it (sixteen channels without a layout), the loudest are used alone:

- for one block of the library's grid, where the mix has lost its sound, by that block's samples only, so that every
  reader of a film comes to the same mix;
- for the whole film, where its channels cancel throughout, or no layout says how to mix them: known after one pass.

Shapes: `R` rows (the mono mix, then each channel), `C` channels, `S` samples.
"""

import re
from dataclasses import dataclass
from functools import cache

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.resampler import AudioResampler
from av.error import FFmpegError

from talkies.core import Bools, Float32s, Float64s, Int16s

CANCELLED_SHARE = 0.1
"""Channels cancel in a block if their mix has less than this share of the energy that it has if they are independent.
In twelve minutes of real films it never fell below 0.18."""
CANCELLED_SHARE_OF_FILM = 0.5
"""The same for two channels in a whole film: of those films, none had less than 1.2."""
LEAST_SHARE = 0.01
"""The mix has lost the sound if it has less than this share of the energy of the loudest channel. A single surround
channel of 7.1 has 0.013."""
INAUDIBLE_LEVEL = 16
"""A block whose highest sample is below this (−66 dBFS) has no sound that could be lost."""
SILENT_LEVEL = 32
"""Channels whose highest sample in a whole film is not above this (−60 dBFS) are silent."""
FADE_SECONDS = 0.005
_BATCH_SECONDS = 0.25  # collected before anything is computed: single frames are so short that each is slow
_NO_ROWS: Int16s = np.zeros((1, 0), np.int16)
_AS_LOUD = 0.8
"""Of channels within 1 dB of the loudest, the first is used, lest the choice changes from block to block."""
_USUAL_LAYOUTS = {1: "mono", 2: "stereo", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""What FFmpeg takes so many channels without names for. Of other numbers no layout is usual."""


@dataclass(frozen=True, slots=True, eq=False)
class ChannelMix:
    """How the channels of a layout are mixed.

    `weights_C` sum to 1. `audible_C` are the same, with a surround channel's weight for channels that FFmpeg drops.
    `lfe_C` marks low-frequency effects, which a mono mix does not have. `by_ffmpeg` says that FFmpeg computes the mix;
    `discrete` that nothing says where the channels belong.
    """

    weights_C: Float64s
    audible_C: Float64s
    lfe_C: Bools
    by_ffmpeg: bool
    discrete: bool

    def select(self, channels: tuple[int, ...]) -> "ChannelMix":
        """Return the mix of only some channels (counted from 1), or itself if it does not have them."""
        if not channels or max(channels) > len(self.weights_C):
            return self
        chosen_C = np.isin(np.arange(len(self.weights_C)) + 1, channels)
        weights_C = self.weights_C * chosen_C
        if not weights_C.any():
            weights_C = chosen_C.astype(np.float64)
        weights_C = weights_C / weights_C.sum()
        return ChannelMix(weights_C, weights_C, self.lfe_C & ~chosen_C, by_ffmpeg=False, discrete=self.discrete)


@cache
def find_mix(layout: str, channels: tuple[int, ...] = ()) -> ChannelMix:
    """Return how a channel layout is mixed to mono, of all its channels or of some (counted from 1).

    FFmpeg's mix where it has one; the omnidirectional first channel of ambisonics; otherwise the mean of all channels.
    """
    if channels:
        return find_mix(layout).select(channels)
    nameless = re.fullmatch(r"(\d+) channels", layout)
    usual = _USUAL_LAYOUTS.get(int(nameless[1])) if nameless else layout
    # Sixteen channels are given FFmpeg's only name for so many, which is no cinema's.
    discrete = usual is None or usual == "hexadecagonal"
    names = [channel.name for channel in av.AudioLayout(usual or layout).channels]
    lfe_C = np.array([name in ("LFE", "LFE2") for name in names])
    weights_C = None if discrete else _measure_weights(layout, len(names))

    if weights_C is not None:
        surround = weights_C[weights_C > 0].min()
        audible_C = np.where((weights_C == 0) & ~lfe_C, surround, weights_C)
        return ChannelMix(weights_C, audible_C, lfe_C, by_ffmpeg=True, discrete=False)
    first_alone = layout.startswith("ambisonic")
    weights_C = np.eye(1, len(names))[0] if first_alone else np.full(len(names), 1 / len(names))
    return ChannelMix(weights_C, weights_C, lfe_C, by_ffmpeg=False, discrete=discrete)


def _measure_weights(layout: str, channels: int) -> Float64s | None:
    """Return the weights of FFmpeg's mono mix of a layout, by mixing one channel at a time; None if it has none."""
    level, samples = 16_384, 64
    weights_C: Float64s = np.zeros(channels)
    for channel in range(channels):
        samples_SC = np.zeros((samples, channels), np.int16)
        samples_SC[:, channel] = level
        frame = av.AudioFrame.from_ndarray(samples_SC.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = 16_000
        try:
            mixed = AudioResampler(format="s16", layout="mono").resample(frame)
        except FFmpegError:
            return None
        weights_C[channel] = mixed[0].to_ndarray()[0, samples // 2] / level
    weights_C /= weights_C.sum()
    return weights_C


class DownmixResampler:
    """Resamples decoded frames of one format to int16 rows `[R, S]`.

    The first row is the mono mix; if there are several channels, the others are each channel at the same times.

    Args:
        rate_hz: the sample rate of the result.
        channels: the channels (counted from 1) that are mixed; all of them by default.
    """

    def __init__(self, rate_hz: int, channels: tuple[int, ...] = ()) -> None:
        self._rate_hz, self._selected = rate_hz, channels
        self._queue = AudioFifo()
        self._opened = False  # with the first frame, which tells the layout
        self._batch_samples = 0.0  # of the source
        self._mono: AudioResampler | None = None
        self._split: AudioResampler | None = None
        self._mono_parts: list[Int16s] = []  # `[S]`, of the next batch
        self._split_parts: list[Int16s] = []  # `[S, C]`
        self.mix: ChannelMix | None = None  # None for mono

    def resample(self, frame: av.AudioFrame | None) -> Int16s:
        """Return the next rows, or none until there is a batch; `None` instead of a frame returns the rest."""
        if frame is not None:
            if not self._opened:
                self._open(frame)
            pts, frame.pts = frame.pts, None  # otherwise the queue requires exact timestamps
            self._queue.write(frame)
            frame.pts = pts
        if not self._opened or (frame is not None and self._queue.samples < self._batch_samples):
            return _NO_ROWS

        if self._queue.samples:
            self._push_batch(self._queue.read())
        if frame is None:
            self._push_batch(None)
        return self._take_batch()

    def _push_batch(self, batch: av.AudioFrame | None) -> None:
        """Resample a batch; None takes what the resamplers still hold."""
        if self._mono is not None:
            self._mono_parts += [_read(part) for part in self._mono.resample(batch)]
        if self._split is not None and self.mix is not None:
            count = len(self.mix.weights_C)
            self._split_parts += [_read(part).reshape(-1, count) for part in self._split.resample(batch)]

    def _take_batch(self) -> Int16s:
        """Return all rows for which the mix and the channels are there."""
        mono_S = np.concatenate(self._mono_parts) if self._mono_parts else np.zeros(0, np.int16)
        if self.mix is None:
            self._mono_parts = []
            return mono_S[None]
        channels = len(self.mix.weights_C)
        split_SC = np.concatenate(self._split_parts) if self._split_parts else np.zeros((0, channels), np.int16)
        if self._mono is None:
            mono_S = np.rint(split_SC @ self.mix.weights_C).astype(np.int16)
        ready = min(len(mono_S), len(split_SC))
        self._mono_parts = [mono_S[ready:]] if self._mono is not None else []
        self._split_parts = [split_SC[ready:]]
        return np.concatenate([mono_S[None, :ready], split_SC[:ready].T])

    def _open(self, frame: av.AudioFrame) -> None:
        self._opened, layout = True, frame.layout.name
        self._batch_samples = _BATCH_SECONDS * frame.sample_rate
        if frame.layout.nb_channels > 1:
            self.mix = find_mix(layout, self._selected)
            self._split = AudioResampler(format="s16", layout=layout, rate=self._rate_hz)
        if self.mix is None or self.mix.by_ffmpeg:
            self._mono = AudioResampler(format="s16", layout="mono", rate=self._rate_hz)


def _read(frame: av.AudioFrame) -> Int16s:
    return frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)


class LossGuard:
    """Turns rows `[R, S]` that follow one another without gaps from time zero on into mono samples.

    Where the mix has kept the sound, its samples are passed on as they are. Where it has lost it, the loudest channel
    is used alone.

    Args:
        block_samples: the samples of a block: the mix is chosen for each block of the grid.
        rate_hz: the sample rate.
    """

    def __init__(self, block_samples: int, rate_hz: int) -> None:
        self._block_samples = block_samples
        self._fade_samples = max(1, round(FADE_SECONDS * rate_hz))
        self._rate_hz = rate_hz
        self._position = 0  # of the next sample to come
        self._waiting: list[Int16s] = []  # rows of the block that is not complete
        self._waiting_mix: ChannelMix | None = None
        self._follows = False  # whether there is a block just before
        self._last_weights_C: Float64s | None = None  # of that block; None for the plain mix
        self._lost_samples = 0
        self._totals = _ChannelTotals()

    @property
    def lost_seconds(self) -> float:
        """For how long the sound was lost in the mono mix, so that only some of the channels were used."""
        return self._lost_samples / self._rate_hz

    @property
    def dominant_channels(self) -> tuple[int, ...]:
        """The channels (counted from 1) that should have been used for the whole film; empty if its mix is right."""
        return self._totals.find_dominant_channels()

    def push(self, rows_RS: Int16s, mix: ChannelMix | None) -> Int16s:
        """Return the mono samples that are ready, after taking the next rows; `mix` is None for mono."""
        ready: list[Int16s] = []
        if mix is not self._waiting_mix:  # another layout
            ready.append(self.flush())
            self._waiting_mix, self._follows = mix, False
        if mix is None:
            self._position += rows_RS.shape[1]
            self._totals.add_mono(rows_RS[0])
            return np.concatenate([*ready, rows_RS[0]]) if ready else rows_RS[0]

        start = 0
        while start < rows_RS.shape[1]:
            part_RS = rows_RS[:, start : start + self._block_samples - self._position % self._block_samples]
            self._waiting.append(part_RS)
            self._position += part_RS.shape[1]
            start += part_RS.shape[1]
            if self._position % self._block_samples == 0:
                ready.append(self.flush())
        return np.concatenate(ready) if ready else np.zeros(0, np.int16)

    def flush(self) -> Int16s:
        """Return the mono samples of the block that is not complete."""
        if not self._waiting or self._waiting_mix is None:
            return np.zeros(0, np.int16)
        rows_RS = np.concatenate(self._waiting, axis=1) if len(self._waiting) > 1 else self._waiting[0]
        self._waiting = []
        return self._mix_block(rows_RS, self._waiting_mix)

    def _mix_block(self, rows_RS: Int16s, mix: ChannelMix) -> Int16s:
        channels_CS = rows_RS[1:].astype(np.float32)
        peaks_C = np.abs(channels_CS).max(axis=1)
        weights_C = None
        if peaks_C.max() >= INAUDIBLE_LEVEL:
            covariance_CC = channels_CS @ channels_CS.T / channels_CS.shape[1]
            self._totals.add(covariance_CC, peaks_C, mix)
            weights_C = choose_weights(covariance_CC, mix)

        last_C, self._last_weights_C = self._last_weights_C, weights_C
        fades, self._follows = self._follows, True
        plain_S: Int16s = rows_RS[0]
        if weights_C is None and (last_C is None or not fades):
            return plain_S

        # Fade from the mix of the block before to that of this block.
        mono_S = _apply(weights_C, rows_RS, channels_CS)
        if fades and (weights_C is None or last_C is None or not np.array_equal(weights_C, last_C)):
            fade = slice(0, min(self._fade_samples, len(mono_S)))
            share_S = np.linspace(0, 1, self._fade_samples, endpoint=False)[fade]
            before_S = _apply(last_C, rows_RS[:, fade], channels_CS[:, fade])
            mono_S[fade] = share_S * mono_S[fade] + (1 - share_S) * before_S
        if weights_C is not None:
            self._lost_samples += len(mono_S)
        rounded_S: Int16s = np.rint(mono_S).clip(-32_768, 32_767).astype(np.int16)
        return rounded_S


def _apply(weights_C: Float64s | None, rows_RS: Int16s, channels_CS: Float32s) -> Float64s:
    return rows_RS[0].astype(np.float64) if weights_C is None else weights_C @ channels_CS


def choose_weights(covariance_CC: Float32s, mix: ChannelMix) -> Float64s | None:
    """Return the weights of the loudest channel alone if the mono mix has lost the sound, or None if it has not.

    Args:
        covariance_CC: mean products of the samples of each two channels.
        mix: how the channels are mixed.
    """
    heard_C = covariance_CC.diagonal() * ~mix.lfe_C
    mixed = float(mix.weights_C @ covariance_CC @ mix.weights_C)
    independent = float(np.square(mix.audible_C) @ heard_C)
    if mixed >= max(CANCELLED_SHARE * independent, LEAST_SHARE * float(heard_C.max())):
        return None
    weights_C: Float64s = np.zeros(len(heard_C))
    weights_C[_find_loudest(heard_C)] = 1
    return weights_C


def _find_loudest(energies_C: Float32s | Float64s) -> int:
    return int(np.argmax(energies_C >= _AS_LOUD * energies_C.max()))


class _ChannelTotals:
    """Sums over a whole film, to find channels that cancel or are alone throughout."""

    def __init__(self) -> None:
        self._covariances: dict[ChannelMix, Float64s] = {}
        self._peaks: dict[ChannelMix, Float32s] = {}
        self._mono_peak = 0

    def add_mono(self, samples_S: Int16s) -> None:
        if self._mono_peak <= SILENT_LEVEL and len(samples_S):
            self._mono_peak = int(np.abs(samples_S.astype(np.int32)).max())

    def add(self, covariance_CC: Float32s, peaks_C: Float32s, mix: ChannelMix) -> None:
        if mix not in self._covariances:
            self._covariances[mix] = np.zeros(covariance_CC.shape)
            self._peaks[mix] = np.zeros(len(peaks_C), np.float32)
        self._covariances[mix] += covariance_CC
        np.maximum(self._peaks[mix], peaks_C, out=self._peaks[mix])

    def find_dominant_channels(self) -> tuple[int, ...]:
        """Return the channels (counted from 1) that should be used for the whole film, or none for all of them."""
        if not self._covariances:
            return ()
        mix = max(self._covariances, key=lambda mix: float(np.trace(self._covariances[mix])))  # that of most sound
        covariance_CC, peaks_C = self._covariances[mix], self._peaks[mix]
        if self._mono_peak <= SILENT_LEVEL < peaks_C.max() and peaks_C[~mix.lfe_C].max(initial=0) <= SILENT_LEVEL:
            return (int(np.argmax(peaks_C)) + 1,)  # only low-frequency effects
        return _find_loudest_pair(covariance_CC) if mix.discrete else _find_uncancelled(covariance_CC, mix)


def _find_uncancelled(covariance_CC: Float64s, mix: ChannelMix) -> tuple[int, ...]:
    """Return the channels (counted from 1) without the quieter of each two that cancel, or none if no two do."""
    weighted_CC = np.outer(mix.weights_C, mix.weights_C) * covariance_CC
    parts_C = np.diagonal(weighted_CC)
    both_CC = parts_C[:, None] + parts_C
    cancels_CC = both_CC + 2 * weighted_CC < CANCELLED_SHARE_OF_FILM * both_CC
    cancels_CC &= both_CC >= LEAST_SHARE * parts_C.sum()

    kept_C = mix.weights_C > 0
    channels = int(kept_C.sum())
    for first, second in zip(*np.nonzero(np.triu(cancels_CC, 1)), strict=True):
        if kept_C[first] and kept_C[second]:
            kept_C[first if parts_C[first] < _AS_LOUD * parts_C[second] else second] = False
    return tuple(int(number) + 1 for number in np.flatnonzero(kept_C)) if kept_C.sum() < channels else ()


def _find_loudest_pair(covariance_CC: Float64s) -> tuple[int, ...]:
    """Return the loudest channel or pair of neighbours (counted from 1), or none if all channels are about as loud."""
    channels = len(covariance_CC)
    energies_C = np.diagonal(covariance_CC)
    if covariance_CC.mean() >= 0.5 * energies_C.max() / channels:  # the energy of the mean of all channels
        return ()

    # A pair is channels 1 and 2, 3 and 4 …: both sound, and do not cancel.
    loudest = _find_loudest(energies_C)
    pair = slice(loudest // 2 * 2, loudest // 2 * 2 + 2)
    is_pair = pair.stop <= channels and covariance_CC[pair, pair].mean() >= 0.3 * energies_C[loudest]
    return (pair.start + 1, pair.stop) if is_pair else (loudest + 1,)
