"""ResNet-18, the convolutional audio encoder over log-mel spectrograms.

The source is He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016. Parameters have torchvision's names
(`resnet18` without its `fc`); the first convolution takes one channel.

Shapes: `B` clips, `F` mel bins, `L` spectrogram frames.
"""

from torch import Tensor, nn

from talkies.models.tower import BlockEncoder


class _Block(nn.Module):
    """A residual block of two 3×3 convolutions."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)

        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            shortcut = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        z: Tensor = self.relu(y + self.downsample(x))
        return z


class ResNet18(BlockEncoder):
    """An 18-layer residual network for log-mel spectrograms `[B, 1, F, L]`."""

    modality = "audio"
    out_dim = 512

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()  # not in place: a block must not change its input, so that it can be recomputed
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(_Block(64, 64, 1), _Block(64, 64, 1))
        self.layer2 = nn.Sequential(_Block(64, 128, 2), _Block(128, 128, 1))
        self.layer3 = nn.Sequential(_Block(128, 256, 2), _Block(256, 256, 1))
        self.layer4 = nn.Sequential(_Block(256, 512, 2), _Block(512, 512, 1))

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the four modules of the stem, and the two blocks of each layer."""
        stem = (self.conv1, self.bn1, self.relu, self.maxpool)
        layers = (("layer1", self.layer1), ("layer2", self.layer2), ("layer3", self.layer3), ("layer4", self.layer4))
        return (*(("stem", module) for module in stem), *((name, block) for name, layer in layers for block in layer))

    def pool(self, x: Tensor) -> Tensor:
        """Return features `[B, 512]` of `[B, 512, F, L]`."""
        return x.mean((2, 3))
