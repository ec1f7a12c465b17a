"""Read what an encoder takes from the description of its preprocessing."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from talkies.core import ConfigError, VideoInput
from talkies.core.inputs import Filter
from talkies.models.public.checkpoint import HubCheckpoint

_FILTERS: Final[Mapping[int, Filter]] = {2: "bilinear", 3: "bicubic"}  # by PIL's numbers
_BICUBIC_BY_DEFAULT = ("CLIP", "SiglipImage", "Bit", "ConvNext")  # processors; the others are bilinear
_NO_CONVNEXT_CROP = 384  # ConvNeXt's processor uses the whole of pictures of this size and above


def read_video_input(
    checkpoint: HubCheckpoint,
    network_size: int | Sequence[int],
    *,
    any_size: bool = False,
    frames: int | None = None,
    multiple: int = 1,
    usual_frames: int = 4,
    usual_fps: float = 2.0,
) -> VideoInput:
    """Return the pictures that a checkpoint's image or video processor makes.

    Args:
        checkpoint: the checkpoint.
        network_size: the side, or height and width, of the pictures for which the network was built.
        any_size: whether the network takes pictures of other sizes too.
        frames: as in `VideoInput`.
        multiple: as in `VideoInput`.
        usual_frames: as in `VideoInput`; not used if `frames` is given.
        usual_fps: as in `VideoInput`.

    Raises:
        ConfigError: if the checkpoint has no such description, one that is not understood, or one of pictures that the
            network does not take.
    """
    address, values = checkpoint.address, read_processor(checkpoint)
    if "image_mean" not in values:
        raise ConfigError(
            f"{address} does not describe its preprocessing (a preprocessor_config.json with image_mean); "
            "copy that file into its folder"
        )
    built_for = _read_square(network_size, address)
    resize, size = _read_sides(values, built_for, address)
    if resize < size or (size != built_for and not any_size):
        raise ConfigError(
            f"{address} describes pictures of {size} pixels, the middle of {resize}, and its network takes "
            f"{built_for}; mend its preprocessor_config.json, or name a checkpoint whose files belong together"
        )
    mean, sd = _read_colours(values)
    return VideoInput(
        size=size,
        resize=resize,
        filter=_read_filter(values, address),
        mean=mean,
        sd=sd,
        frames=frames,
        multiple=multiple,
        usual_frames=frames or usual_frames,
        usual_fps=usual_fps,
    )


def read_processor(checkpoint: HubCheckpoint) -> Mapping[str, Any]:
    """Return the description of a checkpoint's image or video processor, which newer files keep in a section."""
    values = dict(checkpoint.preprocessor)
    for section in ("image_processor", "video_processor"):
        part = values.get(section)
        values |= part if isinstance(part, Mapping) else {}
    return values


def _read_sides(values: Mapping[str, Any], built_for: int, address: str) -> tuple[int, int]:
    """Return the side that pictures are resized to, and that of the middle that is used."""
    edge = _read_square(values.get("size"), address) if values.get("size") else built_for
    if values.get("crop_pct") is not None:
        return (int(edge / values["crop_pct"]) if edge < _NO_CONVNEXT_CROP else edge), edge
    crop = values.get("crop_size")
    if not crop or not values.get("do_center_crop", True):
        return edge, edge
    return edge, _read_square(crop, address)


def _read_square(size: Any, address: str) -> int:
    """Return the side of a square of pixels that a config names in one of several ways."""
    if isinstance(size, Mapping):
        height = size.get("shortest_edge") or size.get("height")
        width = size.get("shortest_edge") or size.get("width")
    else:
        height, width = size if isinstance(size, Sequence) else (size, size)
    if not isinstance(height, int) or height != width:
        raise ConfigError(f"{address} takes pictures of size {size}, and clips are squares; name another model")
    return height


def _read_filter(values: Mapping[str, Any], address: str) -> Filter:
    number = values.get("resample")
    if number is None:
        number = 3 if _read_type(values).startswith(_BICUBIC_BY_DEFAULT) else 2
    if number not in _FILTERS:
        raise ConfigError(
            f"{address} resizes its pictures with filter {number}, which talkies does not have; it has "
            "bilinear (2) and bicubic (3)"
        )
    return _FILTERS[number]


def _read_colours(
    values: Mapping[str, Any],
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return mean and standard deviation of colours in 0–1.

    A processor multiplies bytes by a factor, subtracts an offset (ViViT's subtracts 1), and then normalises.
    """
    is_vivit = _read_type(values).startswith("Vivit")
    factor = float(values.get("rescale_factor") or (1 / 127.5 if is_vivit else 1 / 255))
    scale, offset = 255 * factor, 1.0 if values.get("offset", is_vivit) else 0.0
    if values.get("do_rescale") is False:
        scale, offset = 255.0, 0.0
    mean, sd = [float(value) for value in values["image_mean"]], [float(value) for value in values["image_std"]]
    if values.get("do_normalize") is False:
        mean, sd = [0.0] * 3, [1.0] * 3
    return (
        ((mean[0] + offset) / scale, (mean[1] + offset) / scale, (mean[2] + offset) / scale),
        (sd[0] / scale, sd[1] / scale, sd[2] / scale),
    )


def _read_type(values: Mapping[str, Any]) -> str:
    names = ("image_processor_type", "video_processor_type", "feature_extractor_type")
    return next((str(values[name]) for name in names if values.get(name)), "")
