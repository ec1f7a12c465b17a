"""The plan of batches: M films × k clips, within-film sampling after *On Negative Sampling for Audio-Visual Contrastive
Learning from Movies* (arXiv:2205.00073).

Which films a batch takes is the matter of a `FilmOrder`, which of a film's clips that of a `ClipSampler`. Both draw from
streams that are found by (seed, step) alone, so any batch can be had at any time, by any rank.
"""

from collections.abc import Sequence
from hashlib import blake2b
from math import ceil

import numpy as np

from talkies.core import Int64s, PlanError, format_count
from talkies.sampling.config import SamplingConfig
from talkies.sampling.draw import ClipSampler, ClipsAnywhere, OneClipPerShot
from talkies.sampling.films import FilmSpans
from talkies.sampling.order import WeightedFilmOrder, FilmOrder, UniformFilmOrder
from talkies.sampling.requests import BatchRequests
from talkies.sampling.schedule import Schedule
from talkies.sampling.starts import Starts
from talkies.sampling.streams import Stream, generator

_MOST_NAMED = 5


def within_film_share(films_per_batch: int, clips_per_film: int) -> float:
    """Return which share of a clip's negatives comes from its own film: (k−1)/(Mk−1)."""
    return (clips_per_film - 1) / (films_per_batch * clips_per_film - 1)


class BatchPlan:
    """The sequence of global batches, a pure function of (seed, step), on a grid of `fps` frames a second.

    `films` are those that batches are drawn from, `left_out` the names of those that are too short and were left out.

    Raises:
        PlanError: if there are fewer films than a batch takes, a film is too short for its clips (they are named), or
            the clips of one film cannot lie in the widest window.
    """

    def __init__(self, films: FilmSpans, config: SamplingConfig, window_frames: int, fps: int, seed: int) -> None:
        self.config, self.seed, self.window_frames = config, seed, window_frames
        self._fps, self._schedule = fps, Schedule(config)
        self._apart = window_frames + ceil(config.least_gap_seconds * fps - 1e-9)
        self._reach = self._reach_of(config)
        self.films = films
        self.left_out: tuple[str, ...] = ()
        self._refuse_too_few()
        self._prepare()
        most_clips_F = self._draw.most_clips_F
        if (short_F := most_clips_F < self._schedule.most_clips).any():
            if config.short_films == "refuse":
                raise PlanError(self._too_short(np.flatnonzero(short_F), most_clips_F))
            self.left_out = tuple(films.names[film] for film in np.flatnonzero(short_F))
            self.films = films.take(np.flatnonzero(~short_F))
            self._refuse_too_few()
            self._prepare()
        self._order = self._order_of(config)

    def __repr__(self) -> str:
        return f"BatchPlan({len(self.films)} films, {self.config.batch_clips} clips a batch, seed {self.seed})"

    @property
    def digest(self) -> str:
        """What the batches are drawn from, as sixteen hexadecimal digits."""
        digest = blake2b(" ".join(self.films.film_ids).encode(), digest_size=8)
        for table in (self.films.spans, self.films.shots):
            for part in (table.offset_F1, table.start_R, table.end_R) if table else ():
                digest.update(part.tobytes())
        return digest.hexdigest()

    def draw_batch(self, step: int) -> BatchRequests:
        """Return the M × k requests of one step: film by film, each film's clips in the order of time."""
        clips, film_M = self.count_clips_per_film(step), self.select_films(step)
        random = generator(self.seed, Stream.CLIPS, step)
        number_MK = self._draw.draw(random, film_M, clips)
        film_N, number_N = np.repeat(film_M, clips), number_MK.reshape(-1)
        start_N = self._starts.find_frames(number_N, film_N)
        shift_N = np.zeros_like(start_N)
        if self._within:
            shift_N = self._starts.find_frames(self._sounds(random, film_N, number_N, start_N), film_N) - start_N
        return BatchRequests(self.films.film_ids, film_N, start_N, shift_N, self.window_frames)

    def select_films(self, step: int) -> Int64s:
        """Return the numbers `[M]` of the films of one step."""
        return self._order.select_films(step)

    @property
    def most_clips_per_film(self) -> int:
        """The most clips that a film gives at any step."""
        return self._schedule.most_clips

    def count_clips_per_film(self, step: int) -> int:
        """Return how many clips each film gives at one step."""
        return self._schedule.at(step).clips

    def _prepare(self) -> None:
        self._starts = Starts(self.films.spans, self.window_frames)
        self._draw = self._draw_of(self.config)

    def _draw_of(self, config: SamplingConfig) -> ClipSampler:
        if not config.one_clip_per_shot:
            return ClipsAnywhere(self._starts, self._apart, self._reach)
        if self.films.shots is None:
            raise ValueError("one clip a shot needs the shots of the films")
        return OneClipPerShot(self._starts, self._apart, self._reach, self.films.shots)

    def _order_of(self, config: SamplingConfig) -> FilmOrder:
        if config.film_weights == "duration":
            return WeightedFilmOrder(self._starts.count_F, self._schedule, self.seed)
        return UniformFilmOrder(len(self.films), self._schedule, self.seed)

    def _reach_of(self, config: SamplingConfig) -> int | None:
        """Return how far the last start of a film's clips may lie behind the first."""
        if config.widest_window_seconds is None:
            return None
        reach = int(config.widest_window_seconds * self._fps + 1e-9) - self.window_frames
        need = (self._schedule.most_clips - 1) * self._apart
        if reach < need:
            raise PlanError(
                f"{format_count(self._schedule.most_clips, 'clip')} with their gaps take "
                f"{(need + self.window_frames) / self._fps:g} s, and sampling.widest_window_seconds is "
                f"{config.widest_window_seconds:g}; make it longer, or the clips fewer or their gap smaller"
            )
        return reach

    @property
    def _within(self) -> int:
        """How far a clip's sound may lie from its pictures, in frames; 0 if it is that of the same moment."""
        return int(self.config.positives_within_seconds * self._fps + 1e-9)

    def _sounds(self, random: np.random.Generator, film_N: Int64s, number_N: Int64s, frame_N: Int64s) -> Int64s:
        """Return for each clip another start, whose sound it gets: of those within reach each equally often."""
        low_N = self._starts.find_first_at(film_N, np.maximum(frame_N - self._within, 0))
        high_N = self._starts.find_first_at(film_N, frame_N + self._within + 1)
        other_N = low_N + (random.random(len(film_N)) * (high_N - low_N - 1)).astype(np.int64)
        other_N += (other_N >= number_N) & (high_N - low_N > 1)  # any but its own, where there is another
        return other_N

    def _refuse_too_few(self) -> None:
        if len(self.films) >= self._schedule.most_films:
            return
        left = f" ({format_count(len(self.left_out), 'film')} too short for its clips left out)" if self.left_out else ""
        remedy = f", or set sampling.films_per_batch to at most {len(self.films)}" if len(self.films) else ""
        raise PlanError(
            f"a batch takes {format_count(self._schedule.most_films, 'film')} and the library has {len(self.films)}{left}; "
            f"ingest more films{remedy}"
        )

    def _too_short(self, short: Sequence[int] | Int64s, most_clips_F: Int64s) -> str:
        clips, least = self._schedule.most_clips, int(most_clips_F.min())
        named = ", ".join(f"{self.films.names[film]} (at most {most_clips_F[film]})" for film in short[:_MOST_NAMED])
        more = f" and {len(short) - _MOST_NAMED} more" if len(short) > _MOST_NAMED else ""
        remedy = f"set sampling.clips_per_film to at most {least}, or " if least > 1 else ""
        return (
            f"{format_count(len(short), 'film')} cannot give {format_count(clips, 'clip')} a batch: {named}{more}; {remedy}"
            f"shorten the clips or the gap, or leave such films out with sampling.short_films=leave_out"
        )
