"""Encoders as ONNX, with what makes clips ready for them: the very bytes of a `ClipBatch` go in.

Shapes: `B` clips, `T` frames, `P` = 3/2·W rows of planar YUV 4:2:0 pictures, `W` columns, `S` samples, `D` embedding,
`E` features, `K` frequencies of the transform, `L` frames of the spectrogram, `N` samples of a window.
"""

import importlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkies.core import Modality, UsageError, WorkError
from talkies.models import TwoTower
from talkies.transforms import AudioTransformConfig, LogMel, TransformConfig, VideoTransform, VideoTransformConfig
from talkies.transforms.video import resize_matrix

INPUTS: dict[Modality, str] = {"video": "video_BTPW", "audio": "audio_BS"}
OUTPUTS = ("embedding_BD", "features_BE")
TOLERANCE = 1e-4
"""A file whose outputs differ by more from PyTorch's is not kept: of embeddings so much, of features so much of the
largest."""

_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
_LONGEST_FFT = 4096  # the transform stands in the file as a matrix, here of 67 MB
_CHECKED_CLIPS = (1, 3)


class _Transformed(nn.Module):
    """From the bytes of clips to embeddings `[B, D]` and features `[B, E]`."""

    def __init__(self, transform: nn.Module, encoder: nn.Module, embed: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.transform, self.encoder, self.embed = transform, encoder, embed

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        features_BE = self.encoder(self.transform(clips))
        return self.embed(features_BE), features_BE


class MatrixPictures(nn.Module):
    """What `VideoTransform` makes of whole pictures of `side` × `side` pixels, all resized by the same two matrices."""

    luma_ZH: Tensor
    chroma_ZH: Tensor

    def __init__(self, config: VideoTransformConfig, side: int) -> None:
        super().__init__()
        self.colours = VideoTransform(config)
        none_B, all_B = torch.zeros(1), torch.ones(1)
        self.register_buffer("luma_ZH", resize_matrix(none_B, all_B, side, config.size)[0], persistent=False)
        self.register_buffer("chroma_ZH", resize_matrix(none_B, all_B, side // 2, config.size)[0], persistent=False)

    def forward(self, video_BTPW: Tensor) -> Tensor:
        """Return the model's input."""
        batch, frames, _, side = video_BTPW.shape
        chroma = video_BTPW[:, :, side:].reshape(batch, frames, 2, side // 2, side // 2).float()
        y_BTZZ = self.luma_ZH @ (video_BTPW[:, :, :side].float() @ self.luma_ZH.T)
        uv_BT2ZZ = self.chroma_ZH @ (chroma @ self.chroma_ZH.T)
        yuv = torch.stack((y_BTZZ, uv_BT2ZZ[:, :, 0], uv_BT2ZZ[:, :, 1]), dim=1)
        return self.colours.normalise_colours(yuv)


class MatrixLogMel(LogMel):
    """The log-mel with its Fourier transform as a product of matrices, for ONNX has no complex numbers."""

    dft: Tensor

    def __init__(self, config: AudioTransformConfig, rate_hz: int) -> None:
        super().__init__(config, rate_hz)
        n_fft, length = config.n_fft, len(self.window)
        self._n_fft, self._hop, self._first = n_fft, config.hop, (n_fft - length) // 2
        n_N1 = torch.arange(self._first, self._first + length)[:, None]
        turns_NK = (n_N1 * torch.arange(n_fft // 2 + 1) % n_fft).double() / n_fft  # exact before it is rounded
        angle_NK = 2 * torch.pi * turns_NK
        both = torch.cat([angle_NK.cos(), angle_NK.sin()], dim=1) * self.window[:, None]
        self.register_buffer("dft", both, persistent=False)

    def power(self, audio_BS: Tensor) -> Tensor:
        """Return the power spectrogram `[B, K, L]`, in float64."""
        padded_BS = functional.pad(audio_BS.to(self.dft.dtype) / 32768.0, (self._n_fft // 2, self._n_fft // 2))
        frames = audio_BS.shape[1] // self._hop + 1
        place_LN = torch.arange(frames)[:, None] * self._hop + torch.arange(len(self.dft)) + self._first
        parts_BLK = padded_BS[:, place_LN] @ self.dft
        frequencies = self._n_fft // 2 + 1
        power_BLK: Tensor = parts_BLK[:, :, :frequencies].square() + parts_BLK[:, :, frequencies:].square()
        return power_BLK.mT


def check_onnx(config: TransformConfig) -> None:
    """Do nothing if ONNX files can be written here.

    Raises:
        UsageError: if a package is missing, or the sound's transform is too long.
    """
    for name in _PACKAGES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UsageError(f"ONNX files need {name}, which is not installed; pip install 'talkies[onnx]'") from error
    if config.audio.n_fft > _LONGEST_FFT:
        raise UsageError(
            f"ONNX files take transforms.audio.n_fft up to {_LONGEST_FFT}, and the run has {config.audio.n_fft}; "
            "take another format"
        )


def write_onnx(
    folder: Path,
    model: TwoTower,
    transforms: TransformConfig,
    inputs: Mapping[Modality, tuple[int, ...]],
    rate_hz: int,
    *,
    facts: Mapping[str, str],
) -> float:
    """Write `video.onnx` and `audio.onnx`, and return by how much their embeddings differ from PyTorch's at most.

    `inputs` are the shapes of one clip's bytes, without B, which may be any number. The model is on the CPU, in
    evaluation. `facts` go into the files.

    Raises:
        WorkError: if they do not give what the model gives.
    """
    pictures, sound = VideoTransform(transforms.video), LogMel(transforms.audio, rate_hz)
    in_matrices = MatrixPictures(transforms.video, inputs["video"][-1]), MatrixLogMel(transforms.audio, rate_hz)
    towers: tuple[tuple[Modality, nn.Module, nn.Module, nn.Module, Callable[[Tensor], Tensor]], ...] = (
        ("video", pictures, in_matrices[0], model.video, model.embed_video),
        ("audio", sound, in_matrices[1], model.audio, model.embed_audio),
    )
    worst = 0.0
    for tower, transform, written, encoder, embed in towers:
        path = folder / f"{tower}.onnx"
        module = _Transformed(written, encoder, embed).eval()
        path.write_bytes(_exported(module, tower, inputs[tower], {"tower": tower, **facts}))
        worst = max(worst, _difference(path, _Transformed(transform, encoder, embed), tower, inputs[tower]))
    return worst


def _exported(module: nn.Module, tower: Modality, shape: tuple[int, ...], facts: Mapping[str, str]) -> bytes:
    """Return a module as ONNX."""
    with _quiet():
        program = torch.onnx.export(
            module,
            (_clips(tower, 2, shape),),
            dynamo=True,
            input_names=[INPUTS[tower]],
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: torch.export.Dim("B")},),
            verbose=False,
        )
    if program is None:
        raise WorkError(f"PyTorch {torch.__version__} gave no ONNX of the {tower} encoder; take another format")
    proto: Any = program.model_proto
    _strip(proto)
    for name, value in sorted(facts.items()):
        proto.metadata_props.add(key=name, value=value)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _strip(proto: Any) -> None:
    """Take out of a model what tells of the machine that it was made on: where each step stands in which file."""
    graph = proto.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info, graph):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    for function in proto.functions:
        for part in (function, *function.node, *function.value_info):
            del part.metadata_props[:]
            part.ClearField("doc_string")


def _difference(path: Path, module: nn.Module, tower: Modality, shape: tuple[int, ...]) -> float:
    """Return by how much the embeddings of a file differ from a module's at most, on clips of noise.

    Raises:
        WorkError: if they, or the features, differ by more than `TOLERANCE`.
    """
    runtime: Any = importlib.import_module("onnxruntime")
    session, worst = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"]), 0.0
    for count in _CHECKED_CLIPS:
        clips = _clips(tower, count, shape)
        with torch.inference_mode():
            expected = module(clips)
        given = session.run(list(OUTPUTS), {INPUTS[tower]: clips.numpy()})
        embeddings, features = (
            float((torch.from_numpy(got) - wanted).abs().max()) for got, wanted in zip(given, expected, strict=True)
        )
        largest = max(1.0, float(expected[1].abs().max()))
        if not (embeddings <= TOLERANCE and features <= TOLERANCE * largest):
            raise WorkError(
                f"the {tower} encoder as ONNX gives embeddings that differ by {embeddings:.2g} from PyTorch's (at most "
                f"{TOLERANCE:g} is accepted); take another format, or other versions of onnx and onnxscript"
            )
        worst = max(worst, embeddings)
    return worst


def _clips(tower: Modality, count: int, shape: tuple[int, ...]) -> Tensor:
    """Return the bytes of so many clips of noise; sound grows from silence to its loudest."""
    generator = torch.Generator().manual_seed(count)
    if tower == "video":
        return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)
    loudness_S = torch.linspace(0, 1, shape[0]) ** 4 * 32_767
    return (torch.empty(count, *shape).uniform_(-1, 1, generator=generator) * loudness_S).to(torch.int16)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's warnings and its log to itself; its errors are raised."""
    before = logging.root.manager.disable
    try:
        logging.disable(logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
