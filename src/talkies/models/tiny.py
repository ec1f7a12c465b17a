"""Small convolutional encoders that train on a two-core CPU.

Shapes: `B` clips, `C T H W` video, `F` mel bins, `L` spectrogram frames.
"""

from torch import Tensor, nn

from talkies.models.convolution import Conv3d
from talkies.models.tower import BlockEncoder, Layers

_Triple = tuple[int, int, int]


def _make_conv3d(channels_in: int, channels_out: int, kernel: _Triple, stride: _Triple, padding: _Triple) -> nn.Module:
    """Return a 3D convolution with batch norm and ReLU."""
    conv = Conv3d(channels_in, channels_out, kernel, stride, padding, bias=False)
    return Layers(conv, nn.BatchNorm3d(channels_out), nn.ReLU(inplace=True))


def _make_conv2d(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    """Return a 3×3 convolution with batch norm and ReLU."""
    conv = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
    return Layers(conv, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))


class TinyVideo(BlockEncoder):
    """Four blocks for video `[B, 3, T, H, W]`: patches of 4 × 4 pixels, then three 3D convolutions."""

    modality = "video"
    out_dim = 128

    def __init__(self) -> None:
        super().__init__()
        self.stem = _make_conv3d(3, 24, (1, 4, 4), (1, 4, 4), (0, 0, 0))
        self.block1 = _make_conv3d(24, 48, (3, 3, 3), (2, 2, 2), (1, 1, 1))
        self.block2 = _make_conv3d(48, 96, (3, 3, 3), (1, 2, 2), (1, 1, 1))
        self.block3 = _make_conv3d(96, self.out_dim, (3, 3, 3), (2, 1, 1), (1, 1, 1))

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the four blocks, each a stage of its own."""
        return ("stem", self.stem), ("layer1", self.block1), ("layer2", self.block2), ("layer3", self.block3)

    def pool(self, x: Tensor) -> Tensor:
        """Return features `[B, 128]` of `[B, 128, T, H, W]`."""
        return x.mean((2, 3, 4))


class TinyAudio(BlockEncoder):
    """Four blocks for log-mel spectrograms `[B, 1, F, L]`."""

    modality = "audio"
    out_dim = 128

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            _make_conv2d(1, 16, 2), _make_conv2d(16, 32, 2), _make_conv2d(32, 64, 2), _make_conv2d(64, self.out_dim, 2)
        )

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the four blocks, each a stage of its own."""
        return tuple(zip(("stem", "layer1", "layer2", "layer3"), self.blocks, strict=True))

    def pool(self, x: Tensor) -> Tensor:
        """Return features `[B, 128]` of `[B, 128, F, L]`."""
        return x.mean((2, 3))
