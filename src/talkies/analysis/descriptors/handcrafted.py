"""What a clip looks and sounds like, described without a model: colour layout, motion, and spectrum levels.

Shapes: `B` clips, `T` frames, `P` rows of a planar YUV 4:2:0 picture, `W` columns, `S` samples, `F` mel bins,
`L` frames of the spectrogram, `E` numbers.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from talkies.core import ClipBatch, Float32s, Modality, split_planes
from talkies.transforms import AudioTransformConfig, LogMel

_CELLS = 4  # a side
_MELS = 64
_COUNTED_AT_HZ = 16_000  # the same bands at any rate of the library

Blocks = tuple[Float32s, ...]
"""Groups of numbers `[N, E]` of the same clips, each group on a scale of its own."""


class HandcraftedReader:
    """Describes clips whose audio has `rate_hz` samples a second."""

    def __init__(self, rate_hz: int) -> None:
        self._log_mel = LogMel(AudioTransformConfig(mels=_MELS, rate_hz=_COUNTED_AT_HZ), rate_hz)

    @torch.inference_mode()
    def read(self, batch: ClipBatch) -> dict[Modality, Blocks]:
        """Return the blocks of each clip's video (layout and motion) and audio (power and level)."""
        video = (compute_layout(batch.video_BTPW), compute_motion(batch.video_BTPW))

        # The mean power hardly depends on where in the clip an event is; the mean level describes the time between.
        mel_BFL = self._log_mel(batch.audio_BS)[:, 0]
        power_BF = torch.logsumexp(mel_BFL, 2) - float(np.log(mel_BFL.shape[2]))
        audio = (power_BF, mel_BFL.mean(2))
        return {"video": _to_blocks(video), "audio": _to_blocks(audio)}


def compute_layout(video_BTPW: Tensor) -> Tensor:
    """Return the mean Y, U and V of a clip's pictures in each of 4 × 4 cells.

    Args:
        video_BTPW: Planar YUV 4:2:0 pictures, uint8.

    Returns:
        Levels `[B, E]` from 0 to 255, float32.
    """
    luma, chroma = split_planes(video_BTPW.float().mean(1))
    planes = functional.adaptive_avg_pool2d(luma[:, None], _CELLS), functional.adaptive_avg_pool2d(chroma, _CELLS)
    return torch.cat(planes, 1).flatten(1)


def compute_motion(video_BTPW: Tensor) -> Tensor:
    """Return how much Y changes from picture to picture: mean and deviation over time, and the mean of each cell.

    Args:
        video_BTPW: Planar YUV 4:2:0 pictures, uint8.

    Returns:
        log(1 + levels), `[B, E]`, float32.
    """
    luma = split_planes(video_BTPW)[0].float()
    if luma.shape[1] < 2:
        return luma.new_zeros(len(luma), 2 + _CELLS**2)
    cells_BTCC = functional.adaptive_avg_pool2d((luma[:, 1:] - luma[:, :-1]).abs(), _CELLS)
    energy_BT = cells_BTCC.mean((2, 3))
    moments = torch.stack([energy_BT.mean(1), energy_BT.std(1, correction=0)], 1)
    return torch.log1p(torch.cat([moments, cells_BTCC.mean(1).flatten(1)], 1))


def _to_blocks(parts: tuple[Tensor, ...]) -> Blocks:
    return tuple(part.float().numpy() for part in parts)
