"""Encoders small enough for two processor cores.

Shapes: `B` clips, `C T H W` pictures, `F L` log-mel.
"""

from torch import Tensor, nn

from talkies.models.tower import Encoder, Layers

_Triple = tuple[int, int, int]


def _conv3d(channels_in: int, channels_out: int, kernel: _Triple, stride: _Triple, padding: _Triple) -> nn.Module:
    conv = nn.Conv3d(channels_in, channels_out, kernel, stride, padding, bias=False)
    return Layers(conv, nn.BatchNorm3d(channels_out), nn.ReLU(inplace=True))


def _conv2d(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    conv = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
    return Layers(conv, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))


class TinyVideo(Encoder):
    """Four blocks over `[B, 3, T, H, W]`: patches of 4 × 4 pixels, then three that see time."""

    tower = "video"
    out_dim = 128

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv3d(3, 24, (1, 4, 4), (1, 4, 4), (0, 0, 0))
        self.block1 = _conv3d(24, 48, (3, 3, 3), (2, 2, 2), (1, 1, 1))
        self.block2 = _conv3d(48, 96, (3, 3, 3), (1, 2, 2), (1, 1, 1))
        self.block3 = _conv3d(96, self.out_dim, (3, 3, 3), (2, 1, 1), (1, 1, 1))

    def parts(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the four blocks, each a stage."""
        return ("stem", self.stem), ("layer1", self.block1), ("layer2", self.block2), ("layer3", self.block3)

    def pool(self, x: Tensor) -> Tensor:
        """Return features `[B, 128]` of `[B, 128, T, H, W]`."""
        return x.mean((2, 3, 4))


class TinyAudio(Encoder):
    """Four blocks over a log-mel `[B, 1, F, L]`."""

    tower = "audio"
    out_dim = 128

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            _conv2d(1, 16, 2), _conv2d(16, 32, 2), _conv2d(32, 64, 2), _conv2d(64, self.out_dim, 2)
        )

    def parts(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the four blocks, each a stage."""
        return tuple(zip(("stem", "layer1", "layer2", "layer3"), self.blocks, strict=True))

    def pool(self, x: Tensor) -> Tensor:
        """Return features `[B, 128]` of `[B, 128, F, L]`."""
        return x.mean((2, 3))
