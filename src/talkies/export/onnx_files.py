"""Export encoders as ONNX together with the preparation of clips: their input is the bytes of a `ClipBatch`.

Shapes: `B` clips, `T` frames, `P` = 3/2·W rows of planar YUV 4:2:0 pictures, `W` columns, `S` samples, `D` embedding,
`E` features, `K` frequencies of the transform, `L` frames of the spectrogram, `N` samples of a window, `H` input rows,
`Z` output rows.
"""

import importlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkies.core import Modality, UsageError, WorkError, split_planes
from talkies.models import TwoTower
from talkies.transforms import AudioTransformConfig, LogMel, TransformConfig, VideoTransform, VideoTransformConfig
from talkies.transforms.video import resize_matrix

INPUTS: dict[Modality, str] = {"video": "video_BTPW", "audio": "audio_BS"}
OUTPUTS = ("embedding_BD", "features_BE")
TOLERANCE = 1e-4
"""The largest accepted difference from PyTorch: absolute for embeddings, relative to the largest one for features."""

_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
_LONGEST_FFT = 4096  # the file holds the transform as a matrix, of 67 MB at this length
_CHECKED_BATCHES = (1, 3)  # clips


class _ClipModel(nn.Module):
    """Maps the bytes of clips to embeddings `[B, D]` and features `[B, E]`."""

    def __init__(self, transform: nn.Module, encoder: nn.Module, embed: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.transform, self.encoder, self.embed = transform, encoder, embed

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        features_BE = self.encoder(self.transform(clips))
        return self.embed(features_BE), features_BE


@dataclass(frozen=True, slots=True)
class _Tower:
    """One tower of the model: its transform, and the same as matrix products, which ONNX can hold."""

    modality: Modality
    transform: nn.Module
    matrix_transform: nn.Module
    encoder: nn.Module
    embed: Callable[[Tensor], Tensor]


class MatrixVideoTransform(nn.Module):
    """`VideoTransform` without augmentation for pictures of `side` × `side` pixels; constant matrices resize them."""

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
        luma_BTHH, chroma_BT2HH = split_planes(video_BTPW)
        y_BTZZ = self.luma_ZH @ (luma_BTHH.float() @ self.luma_ZH.T)
        uv_BT2ZZ = self.chroma_ZH @ (chroma_BT2HH.float() @ self.chroma_ZH.T)
        yuv = torch.stack((y_BTZZ, uv_BT2ZZ[:, :, 0], uv_BT2ZZ[:, :, 1]), dim=1)
        return self.colours.normalise_colours(yuv)


class MatrixLogMel(LogMel):
    """The log-mel with its Fourier transform as a matrix product, because ONNX has no complex numbers."""

    dft: Tensor

    def __init__(self, config: AudioTransformConfig, rate_hz: int) -> None:
        super().__init__(config, rate_hz)
        n_fft, length = self._config.n_fft, len(self.window)
        self._n_fft, self._hop, self._first = n_fft, self._config.hop, (n_fft - length) // 2
        sample_N1 = torch.arange(self._first, self._first + length)[:, None]
        cycles_NK = (sample_N1 * torch.arange(n_fft // 2 + 1) % n_fft).double() / n_fft  # exact before it is rounded
        angle_NK = 2 * torch.pi * cycles_NK
        dft = torch.cat([angle_NK.cos(), angle_NK.sin()], dim=1) * self.window[:, None]  # [N, 2·K]
        self.register_buffer("dft", dft, persistent=False)

    def compute_power(self, audio_BS: Tensor) -> Tensor:
        """Return the power spectrogram `[B, K, L]`, in float64."""
        padded_BS = functional.pad(audio_BS.to(self.dft.dtype) / 32768.0, (self._n_fft // 2, self._n_fft // 2))
        frames = audio_BS.shape[1] // self._hop + 1
        sample_LN = torch.arange(frames)[:, None] * self._hop + torch.arange(len(self.dft)) + self._first
        parts_BLK = padded_BS[:, sample_LN] @ self.dft
        frequencies = self._n_fft // 2 + 1
        power_BLK: Tensor = parts_BLK[:, :, :frequencies].square() + parts_BLK[:, :, frequencies:].square()
        return power_BLK.mT


def check_onnx(config: TransformConfig, rate_hz: int) -> None:
    """Check that ONNX files can be written here, for a model of sound of `rate_hz`.

    Raises:
        UsageError: if a package is missing, or the Fourier transform of the audio is too long.
    """
    for name in _PACKAGES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UsageError(f"ONNX files need {name}, which is not installed; pip install 'talkies[onnx]'") from error
    n_fft = config.audio.scale_to(rate_hz).n_fft
    if n_fft > _LONGEST_FFT:
        raise UsageError(
            f"ONNX files take transforms.audio.n_fft up to {_LONGEST_FFT}, and the run has {n_fft}; take another format"
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
    """Write `video.onnx` and `audio.onnx`, and return the largest difference of their embeddings from PyTorch's.

    Args:
        folder: Where the files are written.
        model: The model, on the CPU and in evaluation mode.
        transforms: The config of the transforms that prepare clips for it.
        inputs: The shapes of one clip's pictures and samples, without B; the files take any number of clips.
        rate_hz: The sample rate of the clips.
        facts: Metadata of the files.

    Raises:
        WorkError: if the files' outputs differ from the model's.
    """
    towers: tuple[_Tower, ...] = (
        _Tower(
            "video",
            VideoTransform(transforms.video),
            MatrixVideoTransform(transforms.video, inputs["video"][-1]),
            model.video,
            model.embed_video,
        ),
        _Tower(
            "audio",
            LogMel(transforms.audio, rate_hz),
            MatrixLogMel(transforms.audio, rate_hz),
            model.audio,
            model.embed_audio,
        ),
    )
    largest_difference = 0.0
    for tower in towers:
        path, shape = folder / f"{tower.modality}.onnx", inputs[tower.modality]
        exportable = _ClipModel(tower.matrix_transform, tower.encoder, tower.embed).eval()
        path.write_bytes(_export_module(exportable, tower.modality, shape, {"tower": tower.modality, **facts}))
        reference = _ClipModel(tower.transform, tower.encoder, tower.embed)
        largest_difference = max(largest_difference, _measure_difference(path, reference, tower.modality, shape))
    return largest_difference


def _export_module(module: nn.Module, modality: Modality, shape: tuple[int, ...], facts: Mapping[str, str]) -> bytes:
    """Return a module as the bytes of an ONNX file.

    Raises:
        WorkError: if PyTorch cannot export it.
    """
    with _silence_exporter():
        program = torch.onnx.export(
            module,
            (_make_clips(modality, 2, shape),),
            dynamo=True,
            input_names=[INPUTS[modality]],
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: torch.export.Dim("B")},),
            verbose=False,
        )
    if program is None:
        raise WorkError(
            f"PyTorch {torch.__version__} cannot export the {modality} encoder as ONNX; take another format"
        )
    proto: Any = program.model_proto
    _remove_source_locations(proto)
    for name, value in sorted(facts.items()):
        proto.metadata_props.add(key=name, value=value)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _remove_source_locations(proto: Any) -> None:
    """Remove what a model says about the machine that it was made on: the source file and line of each operation."""
    graph = proto.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info, graph):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    for function in proto.functions:
        for part in (function, *function.node, *function.value_info):
            del part.metadata_props[:]
            part.ClearField("doc_string")


def _measure_difference(path: Path, module: nn.Module, modality: Modality, shape: tuple[int, ...]) -> float:
    """Return the largest difference between the embeddings of a file and of a module, on clips of noise.

    Raises:
        WorkError: if they, or the features, differ by more than `TOLERANCE`.
    """
    runtime: Any = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    largest_difference = 0.0
    for count in _CHECKED_BATCHES:
        clips = _make_clips(modality, count, shape)
        with torch.inference_mode():
            expected = module(clips)
        outputs = session.run(list(OUTPUTS), {INPUTS[modality]: clips.numpy()})
        embeddings, features = (
            float((torch.from_numpy(got) - wanted).abs().max()) for got, wanted in zip(outputs, expected, strict=True)
        )
        largest_feature = max(1.0, float(expected[1].abs().max()))
        if not (embeddings <= TOLERANCE and features <= TOLERANCE * largest_feature):
            raise WorkError(
                f"the {modality} encoder as ONNX gives embeddings that differ by {embeddings:.2g} from PyTorch's "
                f"(at most {TOLERANCE:g} is accepted); take another format, or other versions of onnx and onnxscript"
            )
        largest_difference = max(largest_difference, embeddings)
    return largest_difference


def _make_clips(modality: Modality, count: int, shape: tuple[int, ...]) -> Tensor:
    """Return `count` clips of noise; the audio grows from silence to full scale."""
    generator = torch.Generator().manual_seed(count)
    if modality == "video":
        return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)
    loudness_S = torch.linspace(0, 1, shape[0]) ** 4 * 32_767
    return (torch.empty(count, *shape).uniform_(-1, 1, generator=generator) * loudness_S).to(torch.int16)


@contextmanager
def _silence_exporter() -> Iterator[None]:
    """Suppress the warnings and the log of PyTorch's exporter; its errors are raised."""
    before = logging.root.manager.disable
    try:
        logging.disable(logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
