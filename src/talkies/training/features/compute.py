"""Compute the features of clips with frozen towers: each clip is decoded once for all its views.

Shapes: `B` clips, `E` features.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing

import torch
from torch import Tensor

from talkies.clips import TrainingClips, read_batches
from talkies.core import MODALITIES, ClipBatch, ClipRequest, FilmId, Modality
from talkies.training.features.feature_store import FeatureStore
from talkies.training.features.views import FeatureKey, draw_fixed_views, find_key
from talkies.training.features.wanted import Views
from talkies.training.system import ContrastiveSystem
from talkies.transforms import Augmentation

_PIXELS = 16 * 224 * 224  # of the pictures that are encoded at once on a CPU: a few hundred MB in a large encoder
_SECONDS = 20.0  # of sound
_GPU_FACTOR = 16
_MOST_CLIPS = 64
_PART_ROWS = 128  # features that are written at once: what a killed process loses at most

Needed = Mapping[ClipRequest, Mapping[Modality, Views]]


class FeatureComputer:
    """Encodes clips with both towers, in batches that fit into memory, and adds their features to the stores."""

    def __init__(
        self,
        system: ContrastiveSystem,
        clips: TrainingClips,
        stores: Mapping[Modality, FeatureStore],
        film_names: Mapping[FilmId, str],
        *,
        is_augmented: bool,
    ) -> None:
        """Prepare to encode.

        Args:
            system: the towers and their transforms, on the device that encodes.
            clips: reads the clips.
            stores: keep the features of each tower.
            film_names: the name of each film in the stores.
            is_augmented: whether views are augmented.
        """
        self._system, self._clips, self._stores, self._names = system, clips, stores, film_names
        self._is_augmented = is_augmented
        self._device = next(system.parameters()).device
        self._batch_clips = {modality: self._choose_batch_clips(modality) for modality in MODALITIES}

    def compute(self, needed: Needed, workers: int, on_clips: Callable[[int], None]) -> None:
        """Compute features and store them.

        Args:
            needed: the views of each clip that each tower has to encode.
            workers: how many processes read clips; 0: this one.
            on_clips: takes the number of clips that were encoded since it was last called.

        Raises:
            MediaError: if a film cannot be read.
            WorkError: if the features cannot be stored.
        """
        parts = {modality: _Part(self._stores[modality], self._names) for modality in MODALITIES}
        library, shape = self._clips.source.library, self._clips.source.shape
        batches = read_batches(
            library, shape, list(needed), batch_clips=max(self._batch_clips.values()), workers=workers
        )
        with closing(batches), torch.no_grad():
            for batch in batches:
                for modality, part in parts.items():
                    for rows, numbers, features in self._encode(batch, modality, needed):
                        part.add([batch.requests[row] for row in rows], numbers, features, modality)
                on_clips(len(batch))
        for part in parts.values():
            part.flush()

    def _encode(
        self, batch: ClipBatch, modality: Modality, needed: Needed
    ) -> Iterator[tuple[Sequence[int], Sequence[int], Tensor]]:
        """Yield rows of the batch, the numbers of their views, and the features of these, a few at a time."""
        pairs = [(row, number) for row, request in enumerate(batch.requests) for number in needed[request][modality]]
        size = self._batch_clips[modality]
        for first in range(0, len(pairs), size):
            chosen = pairs[first : first + size]
            rows, numbers = [row for row, _ in chosen], [number for _, number in chosen]
            clips = (batch.video_BTPW if modality == "video" else batch.audio_BS)[rows]
            augmentation = self._draw([batch.requests[row] for row in rows], numbers, batch.audio_BS.shape[1])
            features = self._system.extract(modality, clips.to(self._device), augmentation)
            yield rows, numbers, features.float().cpu()

    def _draw(self, requests: Sequence[ClipRequest], numbers: Sequence[int], samples: int) -> Augmentation | None:
        if not self._is_augmented:
            return None
        return draw_fixed_views(self._system.transform, requests, numbers, samples)

    def _choose_batch_clips(self, modality: Modality) -> int:
        """Return how many clips are encoded at once, by the size of one."""
        shape, config = self._clips.source.shape, self._system.transform.config
        if modality == "video":
            input_ = self._system.model.video_input
            side = input_.size if input_ else config.video.size
            clips = _PIXELS / (shape.frames * side * side)
        else:
            clips = _SECONDS / (shape.audio_frames / self._clips.profile.fps)
        factor = _GPU_FACTOR if self._device.type == "cuda" else 1
        return max(1, min(_MOST_CLIPS, int(clips * factor)))


class _Part:
    """The features of one film that wait to be written."""

    def __init__(self, store: FeatureStore, names: Mapping[FilmId, str]) -> None:
        self._store, self._names = store, names
        self._film: str | None = None
        self._keys: list[FeatureKey] = []
        self._features: list[Tensor] = []

    def add(
        self, requests: Sequence[ClipRequest], numbers: Sequence[int], features: Tensor, modality: Modality
    ) -> None:
        """Add features of one film, and write them when there are enough, or the film is another."""
        film = self._names[requests[0].film_id]
        if film != self._film or len(self._keys) >= _PART_ROWS:
            self.flush()
        self._film = film
        self._keys += [find_key(request, number, modality) for request, number in zip(requests, numbers, strict=True)]
        self._features.append(features)

    def flush(self) -> None:
        """Write what waits."""
        if self._film is not None and self._keys:
            self._store.write(self._film, self._keys, torch.cat(self._features).numpy())
        self._keys, self._features = [], []
