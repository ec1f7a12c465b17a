"""The features of frozen towers, computed before the first step, kept in the library, and read as batches."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from talkies.clips import TrainingClips
from talkies.core import MODALITIES, ClipRequest, ClipStarts, Modality, format_count, quote_path
from talkies.core.memory import explain_lack_of_memory
from talkies.models import Encoder
from talkies.runtime import count_cores
from talkies.training.config import RunConfig
from talkies.training.features.compute import FeatureComputer
from talkies.training.features.feature_store import FeatureStore
from talkies.training.features.spaces import (
    describe_space,
    find_feature_shape,
    is_frozen,
    name_film,
    name_space,
)
from talkies.training.features.values import FeatureBatch, ViewFeatures
from talkies.training.features.views import FeatureKey, find_key
from talkies.training.features.wanted import ViewPlan, assign_modalities, list_wanted
from talkies.training.system import ContrastiveSystem

_FOLDER = "features"

OnClips = Callable[[int, int], None]
"""Takes the number of clips whose features were computed, and the number of all that were missing."""


class FeatureCache:
    """The features of both towers for all planned steps of a run."""

    def __init__(
        self, system: ContrastiveSystem, config: RunConfig, clips: TrainingClips, folder: Path | None = None
    ) -> None:
        """Open the stores, in the library unless there is another folder; `fill` computes what they lack."""
        assert config.adaptation.views is not None
        self._system, self._config, self._clips = system, config, clips
        self._plan = ViewPlan(config.training.seed, config.adaptation.views, config.objective.views)
        self._names = {film: name_film(clips.source.library, film) for film in clips.plan.films.film_ids}
        self.folder = clips.source.library.root / _FOLDER if folder is None else folder
        self.stores = {
            modality: _open_store(self.folder, encoder, modality, config, clips)
            for modality, encoder in _list_encoders(system)
        }

    def describe_missing(self) -> str | None:
        """Return a sentence about the features that have to be computed, with their size; None if all are there."""
        missing = self._list_missing()
        if not missing:
            return None
        counts = {m: sum(len(needed[m]) for needed in missing.values()) for m in MODALITIES}
        size = sum(counts[modality] * self.stores[modality].row_bytes for modality in MODALITIES)
        return (
            f"features of {format_count(len(missing), 'clip')} ({counts['video']} views of pictures, {counts['audio']} "
            f"of sound) are computed once, {size / 1e6:.1f} MB in {self.folder}; to free that space later: "
            f"rm -r {quote_path(str(self.folder))}"
        )

    def fill(self, fabric: Fabric, on_clips: OnClips = lambda _done, _all: None) -> None:
        """Compute what is missing, each rank its share of the clips; all ranks must call it.

        Raises:
            MediaError: if a film cannot be read.
            WorkError: if there is not enough memory, or the features cannot be stored.
        """
        missing = list(self._list_missing().items())
        fabric.barrier()  # every rank looks before the first one writes
        rank, ranks = fabric.global_rank, fabric.world_size
        self._compute(
            dict(missing[rank * len(missing) // ranks : (rank + 1) * len(missing) // ranks]), fabric, on_clips
        )
        fabric.barrier()

        # A rank on a machine with a disk of its own computes the others' shares too.
        for store in self.stores.values():
            store.refresh()
        self._compute(self._list_missing(), fabric, on_clips)
        fabric.barrier()

    def count_missing(self) -> int:
        """Return the number of clips of which features are missing."""
        return len(self._list_missing())

    def fill_part(self, fabric: Fabric, clips: int) -> int:
        """Compute the features of at most so many clips on this rank alone, and return of how many it did."""
        part = dict(list(self._list_missing().items())[:clips])
        self._compute(part, fabric, lambda _done, _all: None)
        return len(part)

    def fill_with_noise(self) -> None:
        """Write random numbers for all features that are missing, to measure what steps on features take."""
        rows: dict[tuple[Modality, str], list[FeatureKey]] = {}
        for request, needed in self._list_missing().items():
            for modality, numbers in needed.items():
                keys = [find_key(request, number, modality) for number in numbers]
                rows.setdefault((modality, self._names[request.film_id]), []).extend(keys)
        for (modality, film), keys in rows.items():
            store = self.stores[modality]
            store.write(film, keys, torch.randn(len(keys), *store.shape).numpy())

    def read_batch(self, step: int, *, rank: int = 0, world_size: int = 1) -> FeatureBatch:
        """Return a rank's share of the batch of a step, as features."""
        batch = self._clips.plan.draw_batch(step)
        requests = batch.select_rank(rank, world_size)
        clips = tuple(requests)
        views = []
        for numbers in self._plan.choose(clips, step):
            parts = {
                modality: self.stores[modality].read(
                    [
                        (self._names[request.film_id], find_key(request, number, modality))
                        for request, number in zip(clips, numbers, strict=True)
                    ]
                )
                for modality in MODALITIES
            }
            views.append(ViewFeatures(parts["video"], parts["audio"]))
        film_B, start_B = torch.from_numpy(requests.film_N), torch.from_numpy(requests.start_N)
        return FeatureBatch(clips, film_B, tuple(views), start_B, ClipStarts(batch.film_N, batch.start_N))

    def read_batches(self, steps: range, *, rank: int = 0, world_size: int = 1) -> Iterator[FeatureBatch]:
        """Yield a rank's share of the batches of `steps`, in order."""
        return (self.read_batch(step, rank=rank, world_size=world_size) for step in steps)

    def _list_missing(self) -> dict[ClipRequest, dict[Modality, tuple[int, ...]]]:
        """Return the clips of the planned steps of which features are missing, with their views for each tower."""
        training = self._config.training
        steps = range(training.steps + training.recalibration_batches)
        missing = {}
        for request, needed in assign_modalities(list_wanted(self._clips.plan, steps, self._plan)).items():
            film = self._names[request.film_id]
            left = {
                modality: tuple(
                    number
                    for number in numbers
                    if not self.stores[modality].has(film, find_key(request, number, modality))
                )
                for modality, numbers in needed.items()
            }
            if any(left.values()):
                missing[request] = left
        return missing

    def _compute(
        self, missing: dict[ClipRequest, dict[Modality, tuple[int, ...]]], fabric: Fabric, on_clips: OnClips
    ) -> None:
        if not missing:
            return
        done = 0

        def count(clips: int) -> None:
            nonlocal done
            done += clips
            on_clips(done, len(missing))

        for _, encoder in _list_encoders(self._system):
            encoder.to(fabric.device)
        self._system.transform.to(fabric.device)
        computer = FeatureComputer(
            self._system, self._clips, self.stores, self._names, is_augmented=bool(self._config.adaptation.views)
        )
        remedy = (
            "set a smaller clip.frames or a smaller encoder, or close other programs; what was computed so far is kept"
        )
        with explain_lack_of_memory("compute the features of clips", remedy):
            computer.compute(missing, self._count_workers(fabric), count)

    def _count_workers(self, fabric: Fabric) -> int:
        """Return how many processes read clips: none where the encoders take all cores, unless the config says so."""
        loader = self._config.loader
        if loader.workers != "auto":
            return loader.workers
        return 0 if fabric.device.type == "cpu" else loader.count_workers(count_cores(), fabric.world_size)


def has_feature_cache(system: ContrastiveSystem, config: RunConfig, clips: TrainingClips) -> bool:
    """Return whether the library has features of both towers already, of whichever clips."""
    folder = clips.source.library.root / _FOLDER
    return all(
        (folder / name_space(describe_space(encoder, modality, config, clips))).is_dir()
        for modality, encoder in _list_encoders(system)
    )


def open_feature_cache(
    system: ContrastiveSystem, config: RunConfig, clips: TrainingClips, folder: Path | None = None
) -> FeatureCache:
    """Return the cache of a run whose config wants one; in the library unless there is another folder.

    Raises:
        WorkError: if it cannot be written.
    """
    with explain_lack_of_memory("open the features of clips", "close other programs"):
        return FeatureCache(system, config, clips, folder)


def explain_no_cache(system: ContrastiveSystem) -> str | None:
    """Return the sentence that says why features cannot be computed once; None if they can."""
    trained = [modality for modality, encoder in _list_encoders(system) if not is_frozen(encoder)]
    if not trained:
        return None
    keys = " and ".join(f"adaptation.{modality}.train=head" for modality in trained)
    return (
        f"the {' and '.join(trained)} tower is trained, so the towers run at every step and adaptation.cache has no "
        f"effect; with {keys} their features would be computed once"
    )


def _list_encoders(system: ContrastiveSystem) -> tuple[tuple[Modality, Encoder], ...]:
    return ("video", system.model.video), ("audio", system.model.audio)


def _open_store(
    folder: Path, encoder: Encoder, modality: Modality, config: RunConfig, clips: TrainingClips
) -> FeatureStore:
    space: dict[str, Any] = describe_space(encoder, modality, config, clips)
    return FeatureStore(folder / name_space(space), space, find_feature_shape(encoder, config))
