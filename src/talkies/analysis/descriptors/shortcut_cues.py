"""Shortcut cues: what identifies a film without showing what happens. Palette, loudness and mean spectrum of a clip.

Shapes: `B` clips, `T` frames, `P` rows of a planar YUV 4:2:0 picture, `W` columns, `S` samples, `N` levels of a plane,
`E` numbers.
"""

import torch
from torch import Tensor

from talkies.core import ClipBatch, Float32s, split_planes
from talkies.transforms import AudioTransformConfig, LogMel

SHORTCUT_CUES = ("palette", "loudness", "spectrum")
_BINS = 8  # a channel
_FRAMES_A_SECOND = 10
_COUNTED_AT_HZ = 16_000  # the same bands at any rate of the library
_FULL_SCALE = 32768.0
_QUIETEST = 1e-5  # -100 dB


class CueReader:
    """Reads the shortcut cues of clips whose audio has `rate_hz` samples a second."""

    def __init__(self, rate_hz: int) -> None:
        self._frame_samples = max(1, rate_hz // _FRAMES_A_SECOND)
        self._log_mel = LogMel(AudioTransformConfig(mels=64, rate_hz=_COUNTED_AT_HZ), rate_hz)

    @torch.inference_mode()
    def read(self, batch: ClipBatch) -> dict[str, Float32s]:
        """Return each clip's shortcut cues `[B, E]` by name."""
        cues = {
            "palette": compute_palette(batch.video_BTPW),
            "loudness": compute_loudness(batch.audio_BS, self._frame_samples),
            "spectrum": self._log_mel(batch.audio_BS)[:, 0].mean(2),
        }
        return {name: cues[name].float().numpy() for name in SHORTCUT_CUES}


def compute_palette(video_BTPW: Tensor) -> Tensor:
    """Return mean and deviation of Y, U and V over a clip's pictures, and a histogram of each in 8 bins.

    Args:
        video_BTPW: Planar YUV 4:2:0 pictures, uint8.

    Returns:
        For each plane the mean, the deviation and the shares of the bins, `[B, E]`, float32.
    """
    luma, chroma = split_planes(video_BTPW)
    planes = (luma.flatten(1), chroma[:, :, 0].flatten(1), chroma[:, :, 1].flatten(1))
    return torch.cat([_describe_plane(plane_BN) for plane_BN in planes], dim=1)


def compute_loudness(audio_BS: Tensor, frame_samples: int) -> Tensor:
    """Return the mean level of a clip's audio over short frames, and its standard deviation.

    Args:
        audio_BS: Samples, int16.
        frame_samples: The length of a frame in samples.

    Returns:
        Mean and deviation `[B, 2]`, in dB relative to full scale, float32.
    """
    length = min(frame_samples, audio_BS.shape[1])
    frames = audio_BS[:, : audio_BS.shape[1] // length * length].float().reshape(len(audio_BS), -1, length)
    level = 20 * torch.log10((frames / _FULL_SCALE).square().mean(2).sqrt() + _QUIETEST)
    return torch.stack([level.mean(1), level.std(1, correction=0)], dim=1)


def _describe_plane(plane_BN: Tensor) -> Tensor:
    level_BN = plane_BN.float()
    moments = torch.stack([level_BN.mean(1), level_BN.std(1)], dim=1)
    bins_BN = (plane_BN.long() * _BINS) // 256
    counts = torch.stack([torch.bincount(bins_N, minlength=_BINS) for bins_N in bins_BN])
    return torch.cat([moments, counts / plane_BN.shape[1]], dim=1)
