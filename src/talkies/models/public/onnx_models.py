"""Frozen encoders in the ONNX format: `onnx:FILE`, with the description of their preprocessing beside the file.

Shapes: `B` clips, `T` frames, `C H W` pictures, `S` samples, `N` tokens, `E` features.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from talkies.core import AudioInput, ConfigError, Modality, VideoInput, WaveformInput, describe_os_error
from talkies.models.address import EncoderAddress
from talkies.models.public.base import PublicEncoder, PublicTower
from talkies.models.public.checkpoint import PREPROCESSOR, HubCheckpoint
from talkies.models.public.frames import FrameEncoder
from talkies.models.public.preprocessing import read_video_input

_BATCH_AXES = {2: "samples [B, S]", 4: "pictures [B, 3, H, W]", 5: "video [B, T, 3, H, W]"}


class _Session(nn.Module):
    """Runs an ONNX file; its only state is the hash of the file, which identifies the weights.

    The file stays closed to training: it has no parameters.
    """

    digest: Tensor

    def __init__(self, path: Path, address: EncoderAddress) -> None:
        super().__init__()
        import onnxruntime

        try:
            digest = _hash_files(path)
            self._run: Any = onnxruntime.InferenceSession(path, providers=onnxruntime.get_available_providers())
        except OSError as error:
            raise ConfigError(f"{address} cannot be read ({describe_os_error(error)}); name an ONNX file") from error
        except Exception as error:  # onnxruntime's errors have no common base
            raise ConfigError(f"{address} is no ONNX file that can be run; name another") from error
        self.inputs, self.outputs = self._run.get_inputs(), self._run.get_outputs()
        self.register_buffer("digest", torch.tensor(list(digest), dtype=torch.uint8))

    def forward(self, x: Tensor) -> Tensor:
        """Return features `[B, E]`; of tokens `[B, N, E]` their mean."""
        name = self.inputs[0].name
        output = torch.from_numpy(self._run.run([self.outputs[0].name], {name: x.detach().cpu().float().numpy()})[0])
        return (output.mean(1) if output.ndim == 3 else output).to(x.device)

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Session":
        return self  # nothing in it ever changes


def _hash_files(path: Path) -> bytes:
    """Return a hash of an ONNX file and of the files beside it that hold its weights."""
    import onnx

    digest = hashlib.blake2b(digest_size=16)
    model = onnx.load(path, load_external_data=False)
    places = {
        entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }
    for name in (path.name, *sorted(places)):
        with (path.parent / name).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.digest()


class OnnxVideo(PublicEncoder):
    """An ONNX file that takes whole clips."""

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return no blocks: the file is one."""
        return ()

    def extract(self, x: Tensor) -> Tensor:
        """Return features `[B, E]` of video `[B, 3, T, H, W]`."""
        features_BE: Tensor = self.network(x.transpose(1, 2).contiguous())
        return features_BE


class OnnxFrames(FrameEncoder):
    """An ONNX file that takes pictures."""

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return no blocks: the file is one."""
        return ()

    def extract_pictures(self, pictures: Tensor) -> Tensor:
        """Return features `[B, E]` of pictures `[B, 3, H, W]`."""
        features_BE: Tensor = self.network(pictures)
        return features_BE


class OnnxAudio(PublicEncoder):
    """An ONNX file that takes sound."""

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return no blocks: the file is one."""
        return ()

    def extract(self, x: Tensor) -> Tensor:
        """Return features `[B, E]` of what its input describes."""
        features_BE: Tensor = self.network(x)
        return features_BE


def open_onnx(address: EncoderAddress) -> PublicTower:
    """Return the frozen encoder in an ONNX file.

    Its first input decides what it encodes: samples, pictures or video. A `preprocessor_config.json` beside it, as
    transformers writes one, describes the preprocessing.

    Raises:
        ConfigError: if the file cannot be run, takes something else, or lacks that description.
    """
    path = Path(address.name).expanduser()
    session = _Session(path, address)
    shape = session.inputs[0].shape
    if len(shape) not in _BATCH_AXES:
        raise ConfigError(
            f"{address} takes an input of {len(shape)} dimensions; an encoder takes {', '.join(_BATCH_AXES.values())}"
        )
    description = HubCheckpoint(str(address), path.parent, {}, _read_description(path.parent / PREPROCESSOR, address))
    encoder = _build_encoder(session, shape, description, address)
    with torch.no_grad():
        encoder.out_dim = encoder.extract(_make_example(encoder)).shape[-1]
    return PublicTower(encoder, nn.Identity(), encoder.out_dim, space=f"{address} {encoder.modality}")


def find_onnx_modality(address: EncoderAddress) -> Modality:
    """Return what an ONNX file encodes."""
    return "audio" if len(_Session(Path(address.name).expanduser(), address).inputs[0].shape) == 2 else "video"


def _build_encoder(
    session: _Session, shape: list[Any], description: HubCheckpoint, address: EncoderAddress
) -> PublicEncoder:
    if len(shape) == 2:
        values = description.preprocessor
        if "sampling_rate" not in values:
            raise ConfigError(f"{address} needs a {PREPROCESSOR} beside it that says its sampling_rate")
        rate_hz = int(values["sampling_rate"])
        samples: AudioInput = WaveformInput(rate_hz, normalise=bool(values.get("do_normalize", False)))
        return OnnxAudio(session, "audio", samples, 0, str(address))
    side = shape[-1] if isinstance(shape[-1], int) else 224
    frames = shape[1] if len(shape) == 5 and isinstance(shape[1], int) else None
    pictures = read_video_input(description, side, frames=frames, usual_fps=(frames or 4) / 2)
    kind = OnnxVideo if len(shape) == 5 else OnnxFrames
    return kind(session, "video", pictures, 0, str(address))


def _make_example(encoder: PublicEncoder) -> Tensor:
    if isinstance(encoder.input, VideoInput):
        return torch.zeros(1, 3, encoder.input.usual_frames, encoder.input.size, encoder.input.size)
    return torch.zeros(1, round(encoder.input.usual_seconds * encoder.input.rate_hz))


def _read_description(path: Path, address: EncoderAddress) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{address} needs a description of its preprocessing beside it: a {PREPROCESSOR} as transformers writes one"
        ) from error
    return document if isinstance(document, dict) else {}
