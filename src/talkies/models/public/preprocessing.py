"""Read what an encoder takes from the description of its preprocessing."""

from collections.abc import Mapping
from typing import Any, Final

from talkies.core import ConfigError, VideoInput
from talkies.core.inputs import Filter
from talkies.models.public.checkpoint import HubCheckpoint

_FILTERS: Final[Mapping[int, Filter]] = {2: "bilinear", 3: "bicubic"}  # by PIL's numbers


def read_video_input(
    checkpoint: HubCheckpoint,
    network_size: int,
    *,
    frames: int | None = None,
    multiple: int = 1,
    usual_frames: int = 4,
    usual_fps: float = 2.0,
) -> VideoInput:
    """Return the pictures that a checkpoint's image or video processor makes.

    Args:
        checkpoint: the checkpoint.
        network_size: the side of the pictures for which the network was built.
        frames: as in `VideoInput`.
        multiple: as in `VideoInput`.
        usual_frames: as in `VideoInput`; not used if `frames` is given.
        usual_fps: as in `VideoInput`.

    Raises:
        ConfigError: if the checkpoint has no such description, or one that is not understood.
    """
    values = checkpoint.preprocessor
    if "image_mean" not in values:
        raise ConfigError(
            f"{checkpoint.address} does not describe its preprocessing (a preprocessor_config.json with image_mean); "
            "copy that file into its folder"
        )
    resize = _read_side(values.get("size")) or network_size
    size = _read_side(values.get("crop_size")) if values.get("do_center_crop") else resize
    number = int(values.get("resample", 2))
    if number not in _FILTERS:
        raise ConfigError(
            f"{checkpoint.address} resizes its pictures with filter {number}, which talkies does not have; it has "
            "bilinear (2) and bicubic (3)"
        )
    mean, sd = ([float(value) for value in values[name]] for name in ("image_mean", "image_std"))
    scale, offset = float(values.get("rescale_factor", 1 / 255)) * 255, 1.0 if values.get("offset") else 0.0
    return VideoInput(
        size=size or resize,
        resize=resize,
        filter=_FILTERS[number],
        mean=((mean[0] + offset) / scale, (mean[1] + offset) / scale, (mean[2] + offset) / scale),
        sd=(sd[0] / scale, sd[1] / scale, sd[2] / scale),
        frames=frames,
        multiple=multiple,
        usual_frames=frames or usual_frames,
        usual_fps=usual_fps,
    )


def _read_side(size: Any) -> int | None:
    """Return the side of a square of pixels that a processor's config names in one of several ways."""
    if isinstance(size, Mapping):
        return int(size.get("shortest_edge") or size["height"])
    return int(size) if size else None
