"""Image encoders of timm, frame by frame: `timm:NAME`, where timm is installed.

Shapes: `B` clips, `C H W` pictures, `E` features.
"""

from typing import Any

from torch import Tensor, nn

from talkies.core import ConfigError, VideoInput, suggest_nearest
from talkies.core.inputs import Filter
from talkies.models.address import EncoderAddress
from talkies.models.public.base import PublicTower
from talkies.models.public.frames import FrameEncoder

_FILTERS: dict[str, Filter] = {"bilinear": "bilinear", "bicubic": "bicubic"}


class TimmFrames(FrameEncoder):
    """An image model of timm without its classifier: features are what its classifier takes."""

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the stem and the blocks of a model that has `blocks` or `stages`, or else its children."""
        for name in ("blocks", "stages"):
            blocks = getattr(self.network, name, None)
            if isinstance(blocks, nn.Sequential | nn.ModuleList):
                break
        else:
            children = list(self.network.children())
            return tuple((f"layer{index}" if index else "stem", child) for index, child in enumerate(children))
        before: list[nn.Module] = []
        for child in self.network.children():
            if child is blocks:
                break
            before.append(child)
        return (*(("stem", child) for child in before), *((f"layer{1 + i}", block) for i, block in enumerate(blocks)))

    def extract_pictures(self, pictures: Tensor) -> Tensor:
        """Return features `[B, E]` of pictures `[B, 3, H, W]`."""
        features_BE: Tensor = self.network(pictures)
        return features_BE


def open_timm(address: EncoderAddress) -> PublicTower:
    """Return an image model of timm with its pre-trained weights.

    Raises:
        ConfigError: if timm is not installed, has no such model, or its weights are not available.
    """
    try:
        import timm
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{address} needs timm, and {error.name} is not installed; install it with: pip install timm"
        ) from error

    name = address.name
    if ":" not in name and not timm.is_model(name):
        raise ConfigError(f"timm has no model '{name}'{suggest_nearest(name.partition('.')[0], timm.list_models())}")
    try:
        network = timm.create_model(name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"the weights of {address} are not available ({str(error).splitlines()[0]}); download them elsewhere and "
            "name their folder: timm:local-dir:FOLDER"
        ) from error
    input_ = _read_input(timm.data.resolve_model_data_config(network), address)
    encoder = TimmFrames(network, "video", input_, int(network.num_features), str(address))
    license_ = str((getattr(network, "pretrained_cfg", None) or {}).get("license") or "")
    return PublicTower(encoder, nn.Identity(), encoder.out_dim, space=f"{address} video", license=license_)


def _read_input(values: dict[str, Any], address: EncoderAddress) -> VideoInput:
    """Return the pictures that timm's evaluation transform makes."""
    _, height, width = values["input_size"]
    if height != width:
        raise ConfigError(f"{address} takes pictures of {height} × {width}, and clips are squares; name another model")
    filter_ = _FILTERS.get(str(values["interpolation"]))
    if filter_ is None:
        raise ConfigError(f"{address} resizes with '{values['interpolation']}'; talkies has bilinear and bicubic")
    resize = int(height / values["crop_pct"]) if values.get("crop_mode", "center") == "center" else height
    mean, sd = values["mean"], values["std"]
    offset = round((resize - height) / 2)  # as torchvision's middle crop rounds
    return VideoInput(height, resize, filter_, (mean[0], mean[1], mean[2]), (sd[0], sd[1], sd[2]), offset=offset)
