"""Extract the features of a data set's clips: read ahead, encode in batches, and cache by the bytes of each file.

Shapes: `V` windows, `R` crops, `T` frames, `P` rows of planar YUV 4:2:0, `Z` side, `S` samples, `E` features, `X` rows
of several clips.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from talkies.clips.clip_files import ClipFiles, ClipReading, ClipWindows, ViewSampling
from talkies.core import Modality
from talkies.core.precision import FLOAT32
from talkies.evaluation.datasets import DataSet
from talkies.evaluation.transfer.feature_cache import FeatureCache
from talkies.evaluation.transfer.features import Features
from talkies.evaluation.transfer.protocol import Protocol

OnClip = Callable[[str, int], None]
"""Called after each clip with its path and the number of clips."""

_BATCH_WINDOWS = 64
_BATCH_PIXELS = 32_000_000
_VERSION = 1  # increase when clips are read or cut differently: cached features are then computed again


@dataclass(slots=True)
class ExtractedFeatures:
    """The features of a data set's examples, by their numbers.

    `features` holds `[V, E]` of each modality; `unusable` says why an example has none; `keys` identifies each clip by
    its bytes and span.
    """

    features: dict[int, dict[Modality, Tensor]] = field(default_factory=dict)
    unusable: dict[int, str] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)


def extract_features(
    data: DataSet, features: Features, protocol: Protocol, cache_folder: Path | None, on_clip: OnClip | None = None
) -> ExtractedFeatures:
    """Return the features of all examples whose files exist; the crops of a window are averaged.

    Args:
        data: the data set.
        features: what encodes the windows.
        protocol: gives the number of windows and crops.
        cache_folder: where features are cached; without it they are always computed.
        on_clip: called after each clip.

    Raises:
        UsageError: if `features` cannot encode the modalities of the data set.
        SourceError: if the system refuses to read a file.
    """
    return extract_all_features(data, [features], protocol, cache_folder, on_clip)[0]


def extract_all_features(
    data: DataSet,
    arms: Sequence[Features],
    protocol: Protocol,
    cache_folder: Path | None,
    on_clip: OnClip | None = None,
) -> list[ExtractedFeatures]:
    """Return the result of `extract_features` for each of several `arms`; those with equal input read each clip once.

    Args:
        data: the data set.
        arms: what encodes the windows.
        protocol: gives the number of windows and crops.
        cache_folder: where features are cached; without it they are always computed.
        on_clip: called after each clip.

    Raises:
        UsageError: as `extract_features`.
        SourceError: as `extract_features`.
    """
    extractors = [_Extractor(arm, data.modalities, protocol, cache_folder) for arm in arms]
    for clip_spec in dict.fromkeys(arm.clip_spec for arm in arms):
        sharing = [extractor for extractor in extractors if extractor.sampling.clip_spec == clip_spec]
        _read_once(data, sharing, on_clip)
    return [extractor.extracted for extractor in extractors]


def _read_once(data: DataSet, extractors: Sequence["_Extractor"], on_clip: OnClip | None) -> None:
    """Read each clip once and give it to all extractors, which have the same input."""
    numbers = data.present
    cached = frozenset.intersection(*(extractor.cached_keys for extractor in extractors))
    files = [data.get_clip(number) for number in numbers]
    clips = ClipFiles(files, data.modalities, extractors[0].sampling, cached)
    for number, reading in zip(numbers, clips.read_in_order(), strict=True):
        for extractor in extractors:
            extractor.add(number, reading)
        if on_clip:
            on_clip(data.examples[number].path, len(numbers))
    for extractor in extractors:
        extractor.finish()


class _Extractor:
    """Collects clips, encodes the windows of several at once, and puts their features into the cache."""

    def __init__(
        self, features: Features, modalities: Sequence[Modality], protocol: Protocol, cache_folder: Path | None
    ) -> None:
        features.check(modalities)
        self.sampling = ViewSampling(features.clip_spec, protocol.clips, protocol.crops)
        self.extracted = ExtractedFeatures()
        self._features, self._modalities = features, modalities
        key = compute_cache_key(features, self.sampling, modalities)
        self._cache = FeatureCache(cache_folder, key) if cache_folder else None
        self._pending: list[tuple[int, str, ClipWindows]] = []
        self._pending_windows = 0

    @property
    def cached_keys(self) -> frozenset[str]:
        """The keys of the clips that need not be read because the cache has all their features."""
        if self._cache is None:
            return frozenset()
        names = self._cache.clips
        by_modality = (
            frozenset(name.removesuffix(f"-{modality}") for name in names if name.endswith(f"-{modality}"))
            for modality in self._modalities
        )
        return frozenset.intersection(*by_modality)

    def add(self, number: int, reading: ClipReading) -> None:
        """Add a clip, or the reason why it cannot be used; it is encoded when there are enough for a batch."""
        key, windows = reading.key, reading.windows
        self.extracted.keys[number] = key
        if reading.error:
            self.extracted.unusable[number] = reading.error
        elif self._cache is not None and all(f"{key}-{modality}" in self._cache for modality in self._modalities):
            self.extracted.features[number] = {
                modality: self._cache.get(f"{key}-{modality}") for modality in self._modalities
            }
        elif windows is not None:
            self._pending.append((number, key, windows))
            views = [windows.get_input(modality).shape[:2] for modality in self._modalities]
            self._pending_windows += max(window_count * crop_count for window_count, crop_count in views)
            if self._pending_windows >= _BATCH_WINDOWS:
                self._encode_pending()

    def finish(self) -> None:
        """Encode the clips that are still pending, and write the cache."""
        self._encode_pending()
        if self._cache:
            self._cache.flush()

    def _encode_pending(self) -> None:
        if not self._pending:
            return
        for modality in self._modalities:
            inputs = [windows.get_input(modality) for _, _, windows in self._pending]
            for (number, key, _), features_VE in zip(self._pending, self._encode(inputs, modality), strict=True):
                self.extracted.features.setdefault(number, {})[modality] = features_VE
                if self._cache:
                    self._cache.put(f"{key}-{modality}", features_VE)
        self._pending, self._pending_windows = [], 0

    def _encode(self, inputs: Sequence[npt.NDArray[np.generic]], modality: Modality) -> list[Tensor]:
        """Return the features `[V, E]` of each clip of inputs `[V, R, …]`, averaged over crops."""
        encode = self._features.encode_video if modality == "video" else self._features.encode_audio
        joined = torch.from_numpy(np.concatenate([clip.reshape(-1, *clip.shape[2:]) for clip in inputs]))
        features_XE = torch.cat([encode(batch) for batch in torch.split(joined, self._count_windows(modality))])
        per_clip = torch.split(features_XE, [clip.shape[0] * clip.shape[1] for clip in inputs])
        return [clip_XE.view(*clip.shape[:2], -1).mean(1) for clip_XE, clip in zip(per_clip, inputs, strict=True)]

    def _count_windows(self, modality: Modality) -> int:
        """Return how many windows are encoded at once: fewer of large pictures."""
        spec = self.sampling.clip_spec
        pixels = spec.frames * spec.size**2 if modality == "video" else 1
        return max(1, min(_BATCH_WINDOWS, _BATCH_PIXELS // pixels))


def compute_cache_key(features: Features, sampling: ViewSampling, modalities: Sequence[Modality]) -> str:
    """Return a hash of all that the cached features depend on.

    The text is that of the first release, so that features that were cached by it are still found; features of another
    precision than float32 have a key of their own.
    """
    spec = sampling.clip_spec
    look = (
        f"Look(frames={spec.frames!r}, fps={spec.fps!r}, short_side={spec.short_side!r}, size={spec.size!r}, "
        f"audio_seconds={spec.audio_seconds!r}, audio_rate_hz={spec.audio_rate_hz!r})"
    )
    view = f"View(look={look}, clips={sampling.windows!r}, crops={sampling.crops!r})"
    tools = [version(tool) for tool in ("av", "torch")]
    text = f"{features.stamp} {view} {sorted(modalities)} {tools} {_VERSION}"
    if features.precision != FLOAT32:
        text += f" {features.precision.name}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
