"""The plan of batches: M films × k clips at each step.

Source of within-film sampling: *On Negative Sampling for Audio-Visual Contrastive Learning from Movies*
(arXiv:2205.00073).

A `FilmOrder` selects the films of a batch, and a `ClipSampler` the clips of each film. Both use random streams that
depend only on (seed, step), so any rank can draw any batch at any time.
"""

from collections.abc import Sequence
from hashlib import blake2b
from math import ceil

import numpy as np

from talkies.core import Int64s, PlanError, escape_controls, format_count
from talkies.sampling.config import SamplingConfig
from talkies.sampling.draw import ClipSampler, ClipsAnywhere, OneClipPerShot
from talkies.sampling.films import FilmSpans
from talkies.sampling.grid import StartGrid
from talkies.sampling.order import FilmOrder, UniformFilmOrder, WeightedFilmOrder
from talkies.sampling.requests import BatchRequests
from talkies.sampling.schedule import Schedule
from talkies.sampling.starts import Starts
from talkies.sampling.streams import Stream, make_generator

_MOST_NAMED = 5


def within_film_share(films_per_batch: int, clips_per_film: int) -> float:
    """Return the share of a clip's negatives that comes from its own film: (k−1)/(Mk−1)."""
    return (clips_per_film - 1) / (films_per_batch * clips_per_film - 1)


class BatchPlan:
    """The sequence of global batches, a pure function of (seed, step).

    Attributes:
        films: the films that batches are drawn from.
        left_out: the names of the films that are too short for their clips and were left out.
    """

    def __init__(self, films: FilmSpans, config: SamplingConfig, window_frames: int, fps: int, seed: int) -> None:
        """Plan the batches of some films.

        Args:
            films: films and their eligible spans, on the library's grid of frames.
            config: how batches are sampled.
            window_frames: the length of a clip, in frames.
            fps: frames a second of the grid.
            seed: the seed of all random choices.

        Raises:
            PlanError: if there are fewer films than a batch takes, a film is too short for its clips (the films are
                named), or the clips of one film cannot fit into the widest window.
        """
        self.config, self.seed, self.window_frames = config, seed, window_frames
        self._fps, self._schedule = fps, Schedule(config)
        self._grid = StartGrid.of(config.start_grid_seconds, fps, window_frames)
        self._min_distance = self._grid.convert_least(window_frames + ceil(config.least_gap_seconds * fps - 1e-9))
        self._max_distance = self._compute_max_distance()

        self.films = films
        self.left_out: tuple[str, ...] = ()
        self._check_film_count()
        self._prepare_sampler()

        most_clips_F = self._sampler.count_most_clips(self._schedule.most_clips)
        if (is_short_F := most_clips_F < self._schedule.most_clips).any():
            if config.short_films == "refuse":
                raise PlanError(self._describe_short_films(np.flatnonzero(is_short_F), most_clips_F))
            self.left_out = tuple(films.names[film] for film in np.flatnonzero(is_short_F))
            self.films = films.take(np.flatnonzero(~is_short_F))
            self._check_film_count()
            self._prepare_sampler()

        self._order = self._make_order()

    def __repr__(self) -> str:
        return f"BatchPlan({len(self.films)} films, {self.config.batch_clips} clips a batch, seed {self.seed})"

    @property
    def digest(self) -> str:
        """The digest of the films, spans and shots that batches are drawn from: sixteen hexadecimal digits."""
        digest = blake2b(" ".join(self.films.film_ids).encode(), digest_size=8)
        for table in (self.films.spans, self.films.shots):
            for part in (table.offset_F1, table.start_R, table.end_R) if table else ():
                digest.update(part.tobytes())
        return digest.hexdigest()

    @property
    def most_clips_per_film(self) -> int:
        """The largest number of clips that a film gives at any step."""
        return self._schedule.most_clips

    def count_clips_per_film(self, step: int) -> int:
        """Return how many clips each film gives at one step."""
        return self._schedule.find_shape(step).clips

    def select_films(self, step: int) -> Int64s:
        """Return the numbers `[M]` of the films of one step."""
        return self._order.select_films(step)

    def draw_batch(self, step: int) -> BatchRequests:
        """Return the M × k requests of one step: film by film, each film's clips in the order of time."""
        clips, film_M = self.count_clips_per_film(step), self.select_films(step)
        random = make_generator(self.seed, Stream.CLIPS, step)
        number_MK = self._sampler.draw(random, film_M, clips)

        film_N, number_N = np.repeat(film_M, clips), number_MK.reshape(-1)
        unit_N = self._starts.find_frames(number_N, film_N)
        shift_N = np.zeros_like(unit_N)
        if self._most_shift_frames:
            audio_number_N = self._draw_audio_starts(random, film_N, number_N, unit_N)
            shift_N = self._starts.find_frames(audio_number_N, film_N) - unit_N
        place_N = random.random(len(film_N)) if self.config.crop_position == "random" else None  # the last to be drawn
        step = self._grid.step
        return BatchRequests(self.films.film_ids, film_N, unit_N * step, shift_N * step, self.window_frames, place_N)

    @property
    def _most_shift_frames(self) -> int:
        """The largest distance between the audio and the video of a clip, in frames; 0 for the same moment."""
        return int(self.config.positives_within_seconds * self._fps + 1e-9)

    def _draw_audio_starts(
        self, random: np.random.Generator, film_N: Int64s, number_N: Int64s, unit_N: Int64s
    ) -> Int64s:
        """Return for each clip the number of another start, where its audio is from: each within reach equally likely.

        Args:
            random: the generator of this batch.
            film_N: the film number of each clip.
            number_N: the number of each clip's start.
            unit_N: the unit of each clip's start.
        """
        reach = self._grid.convert_most(self._most_shift_frames)
        low_N = self._starts.find_first_at(film_N, np.maximum(unit_N - reach, 0))
        high_N = self._starts.find_first_at(film_N, unit_N + reach + 1)
        other_N = low_N + (random.random(len(film_N)) * (high_N - low_N - 1)).astype(np.int64)
        other_N += (other_N >= number_N) & (high_N - low_N > 1)  # skip the clip's own start, if there is another
        return other_N

    def _prepare_sampler(self) -> None:
        """Number the starts of the films, and prepare to draw clips from them."""
        self._starts = Starts(self._grid.convert_films(self.films), self._grid.window_units)
        self._sampler = self._make_sampler()

    def _make_sampler(self) -> ClipSampler:
        if not self.config.one_clip_per_shot:
            return ClipsAnywhere(self._starts, self._min_distance, self._max_distance)
        if self.films.shots is None:
            raise ValueError("one clip a shot needs the shots of the films")
        shots = self._grid.convert_shots(self.films.shots)
        return OneClipPerShot(self._starts, self._min_distance, self._max_distance, shots)

    def _make_order(self) -> FilmOrder:
        if self.config.film_weights == "duration":
            return WeightedFilmOrder(self._starts.count_F, self._schedule, self.seed)
        return UniformFilmOrder(len(self.films), self._schedule, self.seed)

    def _compute_max_distance(self) -> int | None:
        """Return the largest distance from the first start of a film's clips to the last, in units; None for any.

        Raises:
            PlanError: if the clips with their gaps do not fit into the widest window.
        """
        widest_seconds = self.config.widest_window_seconds
        if widest_seconds is None:
            return None

        distance = self._grid.convert_most(int(widest_seconds * self._fps + 1e-9) - self.window_frames)
        needed = (self._schedule.most_clips - 1) * self._min_distance
        if distance < needed:
            frames = needed * self._grid.step + self.window_frames
            raise PlanError(
                f"{format_count(self._schedule.most_clips, 'clip')} with their gaps take "
                f"{frames / self._fps:g} s, and sampling.widest_window_seconds is "
                f"{widest_seconds:g}; raise it, or take fewer clips or a smaller gap"
            )
        return distance

    def _check_film_count(self) -> None:
        """Check that there are enough films for a batch.

        Raises:
            PlanError: if there are not.
        """
        needed, films = self._schedule.most_films, len(self.films)
        if films >= needed:
            return
        left_out = ""
        if self.left_out:
            left_out = f" ({format_count(len(self.left_out), 'film')} too short for its clips left out)"
        remedy = f", or set sampling.films_per_batch to at most {films}" if films else ""
        raise PlanError(
            f"a batch takes {format_count(needed, 'film')} and the library has {films}{left_out}; "
            f"ingest more films{remedy}"
        )

    def _describe_short_films(self, short: Sequence[int] | Int64s, most_clips_F: Int64s) -> str:
        """Return the sentence that names the films that are too short for their clips, and says what to do."""
        clips, least = self._schedule.most_clips, int(most_clips_F.min())
        names = [escape_controls(self.films.names[film]) for film in short[:_MOST_NAMED]]
        counts = most_clips_F[list(short[:_MOST_NAMED])]
        named = ", ".join(f"{name} (at most {most})" for name, most in zip(names, counts, strict=True))
        more = f" and {len(short) - _MOST_NAMED} more" if len(short) > _MOST_NAMED else ""
        remedy = f"set sampling.clips_per_film to at most {least}, or " if least > 1 else ""
        return (
            f"{format_count(len(short), 'film')} cannot give {format_count(clips, 'clip')} a batch: {named}{more}; "
            f"{remedy}shorten the clips or the gap, or leave such films out with sampling.short_films=leave_out"
        )
