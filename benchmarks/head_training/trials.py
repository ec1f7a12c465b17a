"""Every arm, fold and seed: heads are trained, and what they find in held-out minutes is kept clip by clip.

Shapes: `A` seeds, `Q` queries.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from head_training.arms import Arm, Heads, train_heads
from head_training.features import FilmFeatures, SoundFeatures
from head_training.held_out import FOLDS, Split, find_right_films, rank_clips, split_film
from head_training.intervals import BLOCK_CLIPS, Interval, resample
from head_training.searches import find_moments, share_same_class, share_same_scene
from talkies.core import Float64s, Int64s

READS = ("recall_at_1", "recall_at_5", "recall_at_10", "reciprocal_rank", "rank")
Query = tuple[str, int]
"""A held-out clip: its film, and its row among the film's clips."""


@dataclass
class Measured:
    """What one arm, fold, seed and number of steps found: a value of each query by the name of the measure."""

    values: dict[str, dict[Query, float]] = field(default_factory=lambda: defaultdict(dict))
    chosen_by: float = 0.0


@dataclass(frozen=True, slots=True)
class Excerpt:
    """An excerpt of a film: its clips' features, and the frames of the film at which they start."""

    of: str
    clips: FilmFeatures
    film_frame_Q: Int64s


@dataclass(frozen=True, slots=True)
class Data:
    """What heads are trained and measured on."""

    films: Mapping[str, FilmFeatures]
    sounds: SoundFeatures
    excerpt: Excerpt


def run_arm(arm: Arm, data: Data, seeds: Sequence[int]) -> dict[str, dict[int, dict[Query, float]]]:
    """Return the values of each measure by seed and query, at the number of steps that each fold chose."""
    found: dict[str, dict[int, dict[Query, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for fold in range(FOLDS):
        splits = {name: split_film(film, fold) for name, film in data.films.items()}
        measured = {(seed, step): each for seed in seeds for step, each in run_trial(arm, data, splits, seed)}
        steps = sorted({step for _, step in measured})
        chosen = max(steps, key=lambda step: np.mean([measured[seed, step].chosen_by for seed in seeds]))
        print(f"{arm.name}: fold {fold + 1} chose {chosen} steps", flush=True)
        for seed in seeds:
            for name, values in measured[seed, chosen].values.items():
                for query, value in values.items():
                    found[name][seed][query].append(value)
    return {
        name: {seed: {query: float(np.mean(v)) for query, v in values.items()} for seed, values in by_seed.items()}
        for name, by_seed in found.items()
    }


def run_trial(arm: Arm, data: Data, splits: Mapping[str, Split], seed: int) -> list[tuple[int, Measured]]:
    """Return what the heads of one arm, fold and seed found after each number of steps."""
    measured: list[tuple[int, Measured]] = []
    train_heads(
        arm, data.films, splits, seed, lambda step, heads: measured.append((step, measure(heads, data, splits)))
    )
    return measured


def measure(heads: Heads, data: Data, splits: Mapping[str, Split]) -> Measured:
    """Return what heads find in the held-out parts, among labelled sounds, and of an excerpt."""
    measured = Measured()
    video, audio = {}, {}
    for name, film in data.films.items():
        video[name], audio[name] = _embed(heads, film, splits[name].test_Q)
        measure_gallery(measured, film, splits[name].test_Q, video[name], audio[name])
        if len(choose_Q := splits[name].choose_Q):
            ranks = rank_clips(*_embed(heads, film, choose_Q))
            measured.chosen_by = float(ranks.both("reciprocal_rank").mean())
    for name, right_Q in find_right_films(video, audio).items():
        _store(measured, "right_film", name, splits[name].test_Q, right_Q)

    sound_rows = np.arange(len(data.sounds.label_N))
    sounds = heads.embed_audio(torch.from_numpy(data.sounds.audio_NE))
    _store(measured, "sound_search", "esc10", sound_rows, share_same_class(sounds, data.sounds))
    measure_excerpt(measured, data, splits, heads)
    return measured


def measure_gallery(measured: Measured, film: FilmFeatures, row_Q: Int64s, video_QD: Tensor, audio_QD: Tensor) -> None:
    """Store what is found within a film's held-out part: between the modalities, and within each."""
    if video_QD.shape[1] == audio_QD.shape[1]:
        ranks = rank_clips(video_QD, audio_QD)
        for read in READS:
            _store(measured, read, film.name, row_Q, ranks.both(read))
    start_Q = film.start_N[row_Q]
    for what, rows in (("picture_scene", video_QD), ("sound_scene", audio_QD)):
        if len(rows) > 12:  # a short film's part is hardly longer than a scene
            share_Q, _ = share_same_scene(rows, start_Q)
            _store(measured, what, film.name, row_Q, share_Q)


def measure_excerpt(measured: Measured, data: Data, splits: Mapping[str, Split], heads: Heads | None) -> None:
    """Store whether clips of an excerpt are found in the film, of those whose moments are held out (all if frozen)."""
    excerpt, film = data.excerpt, data.films[data.excerpt.of]
    held_out = film.start_N[splits[excerpt.of].test_Q]
    inside_Q = (excerpt.film_frame_Q >= held_out.min()) & (excerpt.film_frame_Q <= held_out.max())
    row_Q = np.flatnonzero(inside_Q)
    if not len(row_Q):
        return
    for modality in ("video", "audio"):
        rows = [torch.from_numpy(getattr(each, f"{modality}_NE")) for each in (excerpt.clips, film)]
        if heads is not None:
            embed = heads.embed_video if modality == "video" else heads.embed_audio
            rows = [embed(each) for each in rows]
        found_Q = find_moments(rows[0][row_Q], rows[1], excerpt.film_frame_Q[row_Q], film.start_N)
        _store(measured, f"{modality}_excerpt", "excerpt", row_Q, found_Q)


def summarise(by_seed: Mapping[int, Mapping[Query, float]], film: str | None = None) -> Interval:
    """Return the mean over seeds and queries of a measure, of one film or of all."""
    values_AQ, queries = _tabulate(by_seed, film)
    return resample(values_AQ, _find_blocks(queries))


def compare(
    one: Mapping[int, Mapping[Query, float]], other: Mapping[int, Mapping[Query, float]], film: str | None = None
) -> Interval:
    """Return the mean difference of two arms, paired by seed and query."""
    (one_AQ, queries), (other_AQ, others) = _tabulate(one, film), _tabulate(other, film)
    assert queries == others
    return resample(one_AQ - other_AQ, _find_blocks(queries))


def _tabulate(by_seed: Mapping[int, Mapping[Query, float]], film: str | None) -> tuple[Float64s, list[Query]]:
    queries = sorted(query for query in next(iter(by_seed.values())) if film in {None, query[0]})
    return np.array([[values[query] for query in queries] for values in by_seed.values()]), queries


def _find_blocks(queries: Sequence[Query]) -> list[tuple[str, int]]:
    """Return the block of each query: `BLOCK_CLIPS` neighbours of a film, and single sounds."""
    place: dict[str, int] = defaultdict(int)
    blocks = []
    for name, row in queries:
        blocks.append((name, row if name == "esc10" else place[name] // BLOCK_CLIPS))
        place[name] += 1
    return blocks


def _embed(heads: Heads, film: FilmFeatures, row_Q: Int64s) -> tuple[Tensor, Tensor]:
    return (
        heads.embed_video(torch.from_numpy(film.video_NE[row_Q])),
        heads.embed_audio(torch.from_numpy(film.audio_NE[row_Q])),
    )


def _store(measured: Measured, name: str, film: str, row_Q: Int64s, value_Q: Float64s) -> None:
    for row, value in zip(row_Q.tolist(), value_Q.tolist(), strict=True):
        measured.values[name][film, row] = value
