"""R(2+1)D-18, the convolutional video encoder.

The source is Tran et al., *A Closer Look at Spatiotemporal Convolutions for Action Recognition*, CVPR 2018. Parameters
have torchvision's names (`r2plus1d_18` without its `fc`), so its weights load unchanged.

Shapes: `B` clips, `C T H W` video.
"""

from torch import Tensor, nn

from talkies.models.convolution import Conv3d
from talkies.models.tower import BlockEncoder, Layers


def _make_factorised_conv(channels_in: int, channels_out: int, channels_between: int, stride: int) -> nn.Sequential:
    """Return a 3×3×3 convolution factorised into 1×3×3 over space and 3×1×1 over time."""
    return nn.Sequential(
        Conv3d(channels_in, channels_between, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
        nn.BatchNorm3d(channels_between),
        nn.ReLU(inplace=True),
        Conv3d(channels_between, channels_out, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
    )


class _Block(nn.Module):
    """A residual block of two factorised convolutions."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        # Both convolutions of the block have as many parameters as a full 3×3×3 kernel (section 3.5 of the paper).
        channels_between = (channels_in * channels_out * 27) // (channels_in * 9 + 3 * channels_out)
        self.conv1 = nn.Sequential(
            _make_factorised_conv(channels_in, channels_out, channels_between, stride),
            nn.BatchNorm3d(channels_out),
            nn.ReLU(inplace=True),
        )
        self.conv2 = nn.Sequential(
            _make_factorised_conv(channels_out, channels_out, channels_between, 1), nn.BatchNorm3d(channels_out)
        )
        self.relu = nn.ReLU(inplace=True)

        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            shortcut = Conv3d(channels_in, channels_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm3d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.conv2(self.conv1(x)) + self.downsample(x))
        return y


class R2Plus1D18(BlockEncoder):
    """An 18-layer R(2+1)D network for video `[B, 3, T, H, W]`."""

    modality = "video"
    out_dim = 512

    def __init__(self) -> None:
        super().__init__()
        self.stem = Layers(
            Conv3d(3, 45, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
            nn.BatchNorm3d(45),
            nn.ReLU(inplace=True),
            Conv3d(45, 64, (3, 1, 1), (1, 1, 1), (1, 0, 0), bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
        )
        self.layer1 = nn.Sequential(_Block(64, 64, 1), _Block(64, 64, 1))
        self.layer2 = nn.Sequential(_Block(64, 128, 2), _Block(128, 128, 1))
        self.layer3 = nn.Sequential(_Block(128, 256, 2), _Block(256, 256, 1))
        self.layer4 = nn.Sequential(_Block(256, 512, 2), _Block(512, 512, 1))

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the stem, and the two blocks of each layer."""
        layers = (("layer1", self.layer1), ("layer2", self.layer2), ("layer3", self.layer3), ("layer4", self.layer4))
        return (("stem", self.stem), *((name, block) for name, layer in layers for block in layer))

    def pool(self, x: Tensor) -> Tensor:
        """Return features `[B, 512]` of `[B, 512, T, H, W]`."""
        return x.mean((2, 3, 4))
