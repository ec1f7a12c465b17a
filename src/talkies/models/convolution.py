"""A 3D convolution whose gradients are right in mixed precision on a CPU, too.

Shapes: `B` clips, `C T H W` video.
"""

import torch
from torch import Tensor, nn


class Conv3d(nn.Conv3d):
    """PyTorch's 3D convolution `[B, C, T, H, W]`, with the same weights and names.

    On CPUs, the gradient of bfloat16 weights whose kernel is longer in time than its input of two or more frames is
    computed from memory that was never written: it is random, infinite or not a number (found in PyTorch 2.13 and
    2.14; float32, other lengths and GPUs are right). Under autocast on a CPU these convolutions run in float32.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of `x`."""
        if torch.is_autocast_enabled("cpu") and x.device.type == "cpu" and 1 < x.shape[2] < self.kernel_size[0]:
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float())
        return super().forward(x)
