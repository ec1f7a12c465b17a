"""Write `processor_reference.safetensors`: what processors that need torchvision make of a clip that a formula gives.

    python tests/models/public/make_processor_reference.py

It needs transformers and torchvision, and nothing of talkies. Each tensor is the output for one picture, named
`FAMILY/exact` (of the picture as floats, at the size that the processor resizes to) or `FAMILY/resized` (of the picture
as bytes, twice as large).
"""

import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from small_checkpoints import SAVERS
from torch import Tensor
from torch.nn.functional import interpolate

REFERENCE = Path(__file__).with_name("processor_reference.safetensors")
EDGES = {  # the side that the processor of the small checkpoint resizes to
    "videomae": 32,
    "timesformer": 32,
    "vivit": 38,
    "vjepa2": 36,
    "clip": 32,
    "siglip": 32,
    "siglip2": 32,
    "dinov2": 32,
    "dinov2_with_registers": 32,
    "dinov3_vit": 32,
    "dinov3_convnext": 32,
    "vit": 32,
    "convnext": 36,
}
RECORDED = ("vjepa2", "dinov3_vit", "dinov3_convnext", "siglip", "siglip2")


def make_clip(side: int, frames: int = 2) -> Tensor:
    """A clip in planar YUV 4:2:0, uint8 `[1, T, 3/2·side, side]`: waves, a bright square with sharp edges.

    Its colours are far enough from the ends of the range that none is clipped.
    """
    time_T11 = torch.arange(frames)[:, None, None]
    place = (torch.arange(side) + 0.5) / side
    down_1H1, across_11W = place[None, :, None], place[None, None, :]
    luma = 126 + 35 * torch.sin(17 * across_11W * (1 + down_1H1) + time_T11) + 15 * torch.cos(29 * down_1H1 - time_T11)
    inside = (down_1H1 - 0.4).abs().maximum((across_11W - 0.5 - 0.1 * time_T11).abs()) < 0.2
    luma = torch.where(inside, 190, luma)
    half_1H1, half_11W = down_1H1[:, ::2], across_11W[:, :, ::2]
    blue = 128 + 20 * torch.sin(6 * half_11W + time_T11) * torch.cos(4 * half_1H1)
    red = 128 + 20 * torch.cos(5 * half_11W * half_1H1 + time_T11)
    chroma = torch.stack((blue, red), dim=1).reshape(frames, side // 2, side)
    return torch.cat([luma, chroma], dim=1).round().clamp(16, 235).to(torch.uint8)[None]


def convert(video_1TPW: Tensor) -> Tensor:
    """Red, green and blue in 0–255, float `[T, 3, H, W]`, of a clip: BT.601 of limited range, chroma interpolated."""
    side = video_1TPW.shape[-1]
    luma = video_1TPW[0, :, :side].float()
    chroma = video_1TPW[0, :, side:].reshape(-1, 2, side // 2, side // 2).float()
    blue, red = ((interpolate(chroma, (side, side), mode="bilinear") - 128) / 224).unbind(1)
    y = (luma - 16) / 219
    rgb = torch.stack((y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue), dim=1)
    return rgb.clamp(0, 1) * 255


def load_processor(folder: Path) -> Any:
    """The processor that a checkpoint describes; without torchvision, the one that uses PIL."""
    if (folder / "video_preprocessor_config.json").is_file():
        return transformers.AutoVideoProcessor.from_pretrained(folder)
    return transformers.AutoImageProcessor.from_pretrained(folder)


def process(processor: Any, pictures_T3HW: Tensor, **options: Any) -> Tensor:
    """What a processor makes of pictures: `[T, 3, Z, Z]`, or `[T, patches, values]`."""
    if "Video" in type(processor).__name__ and "Image" not in type(processor).__name__:
        output = processor(pictures_T3HW, return_tensors="pt", **options)
    else:
        frames = [picture.permute(1, 2, 0).numpy() for picture in pictures_T3HW]
        output = processor(frames, return_tensors="pt", input_data_format="channels_last", **options)
    values: Tensor = output["pixel_values"] if "pixel_values" in output else output["pixel_values_videos"]
    return values.reshape(len(pictures_T3HW), *values.shape[-3:]) if values.ndim > 3 else values


def exact_options(name: str) -> dict[str, Any]:
    """Options by which a processor resizes nothing; ConvNeXt's crops only where it resizes."""
    crop = {"do_center_crop": True, "crop_size": {"height": 32, "width": 32}} if name == "convnext" else {}
    return {"do_resize": False, **crop}


def main() -> None:
    tensors = {}
    for name in RECORDED:
        with tempfile.TemporaryDirectory() as folder:
            processor = load_processor(SAVERS[name](Path(folder)))
        exact, large = (convert(make_clip(side))[:1] for side in (EDGES[name], 2 * EDGES[name]))
        tensors[f"{name}/exact"] = process(processor, exact, **exact_options(name)).contiguous()
        tensors[f"{name}/resized"] = process(processor, large.round().to(torch.uint8)).contiguous()
    save_file(tensors, REFERENCE, {"transformers": transformers.__version__})


if __name__ == "__main__":
    main()
