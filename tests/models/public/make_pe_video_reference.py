"""Write `pe_video_reference.safetensors`: what PE-AV's video processor makes of the clip that a formula gives.

    python tests/models/public/make_pe_video_reference.py

It needs transformers and torchvision, and nothing of talkies. `exact` is of the pictures as floats, at the size that
the processor resizes to, and `resized` of bytes, twice as large.
"""

from pathlib import Path
from typing import Any

import torch
import transformers
from make_processor_reference import convert, make_clip
from safetensors.torch import save_file
from torch import Tensor

REFERENCE = Path(__file__).with_name("pe_video_reference.safetensors")
SIDE = 32


def process(pictures_T3HW: Tensor, **options: Any) -> Tensor:
    """What the processor makes of a clip's pictures, `[T, 3, Z, Z]`."""
    processor = transformers.PeVideoVideoProcessor(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3, do_sample_frames=False
    )
    output = processor(
        pictures_T3HW, do_resize=True, do_rescale=True, do_normalize=True, return_tensors="pt", **options
    )
    pictures: Tensor = output["pixel_values_videos"][0]
    return pictures


def main() -> None:
    exact, large = (convert(make_clip(side)) for side in (SIDE, 2 * SIDE))
    tensors = {"exact": process(exact).contiguous(), "resized": process(large.round().to(torch.uint8)).contiguous()}
    save_file(tensors, REFERENCE, {"transformers": transformers.__version__})


if __name__ == "__main__":
    main()
