"""The plan of batches: M films × k clips, within-film sampling after *On Negative Sampling for Audio-Visual Contrastive
Learning from Movies* (arXiv:2205.00073).

Films are taken in turn from a seeded circle: batch *b* of a cycle takes the *M* films from place *b·M* on, and a cycle
ends after F/gcd(F, M) batches, when the circle closes; then it is shuffled anew. So the films of a batch are distinct,
and at any time every film has been visited equally often within one (F: number of films).

Clips of one film are drawn uniformly from all choices of k starts that keep the gap: choosing k of N starts at least d
apart is choosing k distinct of N − (k−1)(d−1), and spreading them by d−1 each. Where a film has several spans, its
starts are numbered on without the holes and the gap is kept in these numbers, which keeps it in frames all the more;
choices that only a hole sets apart are not drawn.
"""  # noqa: D205

from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, gcd

import numpy as np

from talkies.core import ClipRequest, PlanError, Span, plural
from talkies.sampling.config import SamplingConfig
from talkies.sampling.films import FilmSpans, Starts

_MOST_NAMED = 5
_FILMS, _CLIPS = range(2)  # each purpose draws from its own streams


def within_film_share(films_per_batch: int, clips_per_film: int) -> float:
    """Return which share of a clip's negatives comes from its own film: (k−1)/(Mk−1)."""
    return (clips_per_film - 1) / (films_per_batch * clips_per_film - 1)


@dataclass(frozen=True)
class BatchPlan:
    """The sequence of global batches, a pure function of (seed, step).

    `window_frames` is the length of a clip's window; `gap_frames` the least distance between windows of one film.

    Raises:
        PlanError: if there are fewer films than a batch takes, or a film is too short for its clips; films are named.
    """

    films: FilmSpans
    films_per_batch: int
    clips_per_film: int
    window_frames: int
    gap_frames: int
    seed: int
    _starts: list[Starts] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.films) < self.films_per_batch:
            raise PlanError(
                f"a batch takes {plural(self.films_per_batch, 'film')} and the library has {len(self.films)}; "
                f"ingest more films, or set sampling.films_per_batch to at most {len(self.films)}"
            )
        starts = [self.films.starts_of(film, self.window_frames) for film in range(len(self.films))]
        object.__setattr__(self, "_starts", starts)
        self._refuse_short_films()

    @classmethod
    def of(cls, films: FilmSpans, config: SamplingConfig, window_frames: int, fps: int, seed: int) -> "BatchPlan":
        """Return the plan that a config asks for, on a grid of `fps` frames a second."""
        gap = ceil(config.least_gap_seconds * fps - 1e-9)
        return cls(films, config.films_per_batch, config.clips_per_film, window_frames, gap, seed)

    def batch(self, step: int) -> tuple[ClipRequest, ...]:
        """Return the M × k requests of one step: film by film, each film's clips in the order of time."""
        return tuple(request for film in self.films_of(step) for request in self._clips(step, film))

    def films_of(self, step: int) -> list[int]:
        """Return the numbers of the M films of one step."""
        count = len(self.films)
        cycle, place = divmod(step, count // gcd(count, self.films_per_batch))
        circle = _circle(self.seed, cycle, count)
        return [int(circle[(place * self.films_per_batch + i) % count]) for i in range(self.films_per_batch)]

    def _clips(self, step: int, film: int) -> list[ClipRequest]:
        starts, k, spread = self._starts[film], self.clips_per_film, self._apart - 1
        random = _random(self.seed, _CLIPS, step, film)
        chosen = np.sort(random.choice(len(starts) - (k - 1) * spread, size=k, replace=False, shuffle=False))
        frames = starts.frames(chosen + spread * np.arange(k))
        film_id = self.films.film_ids[film]
        return [ClipRequest(film_id, Span(int(f), int(f) + self.window_frames)) for f in frames]

    @property
    def _apart(self) -> int:
        """The least distance between two starts of one film."""
        return self.window_frames + self.gap_frames

    def _most_clips(self, film: int) -> int:
        return (len(self._starts[film]) - 1) // self._apart + 1 if len(self._starts[film]) else 0

    def _refuse_short_films(self) -> None:
        most = [self._most_clips(film) for film in range(len(self.films))]
        short = [film for film, clips in enumerate(most) if clips < self.clips_per_film]
        if not short:
            return
        named = ", ".join(f"{self.films.names[film]} (at most {most[film]})" for film in short[:_MOST_NAMED])
        more = f" and {len(short) - _MOST_NAMED} more" if len(short) > _MOST_NAMED else ""
        remedy = f"set sampling.clips_per_film to at most {min(most)}, or " if min(most) > 1 else ""
        raise PlanError(
            f"{plural(len(short), 'film')} cannot give {plural(self.clips_per_film, 'clip')} a batch: {named}{more}; "
            f"{remedy}shorten the clips or the gap, or ingest without it"
        )


@lru_cache(maxsize=2)
def _circle(seed: int, cycle: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return _random(seed, _FILMS, cycle).permutation(count).astype(np.int64)


def _random(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
