"""What marks a film and says little of what happens: the palette, the loudness and the mean spectrum of a clip.

Shapes: `B` clips, `T` frames, `P` rows of a planar YUV 4:2:0 picture, `W` columns, `S` samples, `E` numbers.
"""

import torch
from torch import Tensor

from talkies.core import ClipBatch, Float32s, split_planes
from talkies.transforms import AudioTransformConfig, LogMel

MARKS = ("palette", "loudness", "spectrum")
_BINS = 8  # a channel
_FRAMES_A_SECOND = 10
_FULL_SCALE = 32768.0
_QUIETEST = 1e-5  # -100 dB


class CueReader:
    """Reads the marks of clips whose sound has `rate_hz` samples a second."""

    def __init__(self, rate_hz: int) -> None:
        self._frame_samples = max(1, rate_hz // _FRAMES_A_SECOND)
        self._log_mel = LogMel(AudioTransformConfig(mels=64), rate_hz)

    @torch.inference_mode()
    def read(self, batch: ClipBatch) -> dict[str, Float32s]:
        """Return each clip's marks `[B, E]` by their names."""
        found = {
            "palette": palette_of(batch.video_BTPW),
            "loudness": loudness_of(batch.audio_BS, self._frame_samples),
            "spectrum": self._log_mel(batch.audio_BS)[:, 0].mean(2),
        }
        return {name: found[name].float().numpy() for name in MARKS}


def palette_of(video_BTPW: Tensor) -> Tensor:
    """Return mean and deviation of Y, U and V over a clip's pictures, and a histogram of each in `_BINS` bins."""
    luma, chroma = split_planes(video_BTPW)
    planes = (luma.flatten(1), chroma[:, :, 0].flatten(1), chroma[:, :, 1].flatten(1))
    return torch.cat([_plane(plane_BN) for plane_BN in planes], dim=1)


def _plane(plane_BN: Tensor) -> Tensor:
    level_BN = plane_BN.float()
    moments = torch.stack([level_BN.mean(1), level_BN.std(1)], dim=1)
    bins_BN = (plane_BN.long() * _BINS) // 256
    counts = torch.stack([torch.bincount(bins_N, minlength=_BINS) for bins_N in bins_BN])
    return torch.cat([moments, counts / plane_BN.shape[1]], dim=1)


def loudness_of(audio_BS: Tensor, frame_samples: int) -> Tensor:
    """Return the mean level of a clip's sound over frames of so many samples, in dB under full scale, and its SD."""
    length = min(frame_samples, audio_BS.shape[1])
    frames = audio_BS[:, : audio_BS.shape[1] // length * length].float().reshape(len(audio_BS), -1, length)
    level = 20 * torch.log10((frames / _FULL_SCALE).square().mean(2).sqrt() + _QUIETEST)
    return torch.stack([level.mean(1), level.std(1, correction=0)], dim=1)
