"""aiSFX, trained on libraries of sound effects, as an audio encoder: features of 512 dimensions.

    pip install --no-deps aisfx==0.1.2

Network and weights: A. B. Ma and A. Lerch, *Representation Learning for the Automatic Indexing of Sound Effects
Libraries*, ISMIR 2022; CC BY 4.0 (the package's metadata also says MIT). Its mel spectrogram is that of Essentia in the
paper's code, computed here with PyTorch:

- mono at 44.1 kHz, no change of level; frames of 2048 samples every 1024, the first centred on sample 0;
- a symmetric Hann window, power spectrum, 96 mel bands (HTK scale) from 0 to 22,050 Hz whose triangles are straight in
  mel, each with weights that sum to 1;
- log10(10,000 x + 1) / 9.4578, the largest value of the paper's data sets;
- blocks of 100 frames (2.3 s) every 50, a last incomplete one left out, and what is shorter filled with zeros.

The features of a clip are the mean of those of its blocks.

Shapes: `B` clips, `S` samples, `L` frames of the spectrogram, `F` mel bands, `K` blocks, `E` features.
"""

from importlib.resources import as_file, files

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from talkies.core.inputs import WaveformInput

RATE_HZ = 44_100
FFT, HOP, BANDS = 2048, 1024, 96
BLOCK, BLOCK_HOP = 100, 50
LARGEST = 9.457798957824707


class AiSfx(nn.Module):
    """The mel spectrogram and the network; the features of a clip are the mean of those of its blocks."""

    modality = "audio"
    input = WaveformInput(rate_hz=RATE_HZ, usual_seconds=2.32)  # a block
    out_dim = 512

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("window_S", torch.hann_window(FFT, periodic=False), persistent=False)
        self.register_buffer("bands_FW", torch.from_numpy(compute_mel_bands()), persistent=False)

    def forward(self, audio_BS: Tensor) -> Tensor:
        """Return the features `[B, 512]` of samples in −1–1 at 44.1 kHz, `[B, S]`."""
        blocks_BKLF = split_blocks(self.compute_spectrogram(audio_BS))
        clips, blocks = blocks_BKLF.shape[:2]
        features_BKE = self.network(blocks_BKLF.flatten(0, 1)).unflatten(0, (clips, blocks))
        return features_BKE.mean(1)

    def compute_spectrogram(self, audio_BS: Tensor) -> Tensor:
        """Return the log-mel spectrogram that the network takes, `[B, L, F]`."""
        frames_BLS = functional.pad(audio_BS, (FFT // 2, FFT // 2)).unfold(1, FFT, HOP)
        power_BLW = torch.fft.rfft(frames_BLS * self.window_S).abs().square()
        return (1e4 * power_BLW @ self.bands_FW.T + 1).log10() / LARGEST


def split_blocks(spectrogram_BLF: Tensor) -> Tensor:
    """Return the blocks of 100 frames, `[B, K, 100, F]`; what is shorter is filled with zeros."""
    missing = max(0, BLOCK - spectrogram_BLF.shape[1])
    return functional.pad(spectrogram_BLF, (0, 0, 0, missing)).unfold(1, BLOCK, BLOCK_HOP).transpose(2, 3)


def compute_mel_bands() -> np.ndarray:
    """Return the weights of the mel bands, float32 `[F, FFT / 2 + 1]`: triangles straight in mel that sum to 1."""
    mel_W = _convert_to_mel(np.arange(FFT // 2 + 1) * RATE_HZ / FFT)
    edges = np.linspace(0, _convert_to_mel(np.array(RATE_HZ / 2)), BANDS + 2)
    low_F1, middle_F1, high_F1 = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising_FW = (mel_W - low_F1) / (middle_F1 - low_F1)
    falling_FW = (high_F1 - mel_W) / (high_F1 - middle_F1)
    weights_FW = np.minimum(rising_FW, falling_FW).clip(0)
    return (weights_FW / weights_FW.sum(1, keepdims=True)).astype(np.float32)


def _convert_to_mel(hz: np.ndarray) -> np.ndarray:
    return 1127.01048 * np.log1p(hz / 700)


def build() -> AiSfx:
    """Return the encoder with its weights, in evaluation mode.

    Raises:
        ModuleNotFoundError: if the package is not installed.
    """
    from aisfx.models.cnn2d import EmbeddingNet  # here, because it is no dependency of the benchmarks' tests

    network = EmbeddingNet("max", 3, 1, 64)
    # Beside the weights the file holds the numbers of classes, as numpy scalars: data, and no code.
    scalar = (np._core.multiarray.scalar, "numpy.core.multiarray.scalar")
    with (
        as_file(files("aisfx") / "models" / "checkpoint.pth") as path,
        torch.serialization.safe_globals([scalar, np.dtype, type(np.dtype(np.int64))]),
    ):
        weights, _ = torch.load(path, map_location="cpu", weights_only=True)
    prefix = "embedding_net."
    network.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})
    return AiSfx(network).eval()
