"""Small films, plans on a grid of one frame a second, and brute-force references for them."""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import combinations, groupby, pairwise

from talkies.core import ClipRequest, Span, parse_film_id
from talkies.sampling import BatchPlan, FilmSpans, SamplingConfig

Spans = Sequence[Span]


def films(*spans: Spans, shots: Sequence[Spans] | None = None) -> FilmSpans:
    """Films called film-0, film-1, … that have these spans."""
    ids = [parse_film_id(f"{number:016x}") for number in range(len(spans))]
    names = {film: f"film-{int(film, 16)}" for film in ids}
    return FilmSpans.of(
        dict(zip(ids, spans, strict=True)), names, dict(zip(ids, shots, strict=True)) if shots is not None else None
    )


def spans_after_holes(runs: Iterable[tuple[int, int]]) -> list[Span]:
    """Spans from pairs (hole before it, frames of it)."""
    spans: list[Span] = []
    for hole, frames in runs:
        begin = hole + (spans[-1].end_frame if spans else 0)
        spans.append(Span(begin, begin + frames))
    return spans


def alike(count: int, frames: int = 9) -> FilmSpans:
    """So many films, each one span of so many frames."""
    return films(*[[Span(0, frames)]] * count)


def plan_of(
    table: FilmSpans, films_per_batch: int, clips_per_film: int, window: int = 4, seed: int = 0, **sampling: object
) -> BatchPlan:
    """A plan on a grid of one frame a second, so that seconds are frames."""
    config = SamplingConfig(films_per_batch=films_per_batch, clips_per_film=clips_per_film, **sampling)  # type: ignore[arg-type]
    return BatchPlan(table, config, window, fps=1, seed=seed)


def starts_of(requests: Iterable[ClipRequest]) -> tuple[int, ...]:
    return tuple(request.window.start_frame for request in requests)


def by_film(requests: Iterable[ClipRequest]) -> list[list[ClipRequest]]:
    """The clips of each film, film by film as they come."""
    return [list(clips) for _, clips in groupby(requests, key=lambda request: request.film_id)]


def drawn_starts(plan: BatchPlan, draws: int) -> list[tuple[int, ...]]:
    """The starts that a film gives to a batch, at least so many times over, in the first batches of a plan."""
    clips, films_per_batch = plan.config.clips_per_film, plan.config.films_per_batch
    batches = [plan.draw_batch(step).start_N.reshape(-1, clips) for step in range(-(-draws // films_per_batch))]
    return [tuple(starts) for batch in batches for starts in batch.tolist()]


def plan_of_copies(
    spans: Spans, clips: int, window: int = 4, shots: Spans | None = None, seed: int = 0, **sampling: object
) -> BatchPlan:
    """A plan whose batches are of sixteen copies of one film."""
    table = films(*[spans] * 16, shots=[shots] * 16 if shots is not None else None)
    return plan_of(table, 16, clips, window, seed, **sampling)


def every_start(spans: Spans, window: int) -> list[int]:
    """Every frame at which a whole window lies inside one span."""
    ends = max((span.end_frame for span in spans), default=0)
    windows = [Span(start, start + window) for start in range(ends)]
    return [here.start_frame for here in windows if any(span.covers(here) for span in spans)]


def shot_of(shots: Spans, start: int, window: int) -> int:
    """The number of the shot in which the middle of a window is."""
    return next(number for number, shot in enumerate(shots) if start + window // 2 in shot)


def agree(
    starts: Sequence[int],
    choice: Sequence[int],
    window: int,
    gap: int,
    widest: int | None = None,
    shots: Spans | None = None,
) -> bool:
    """Whether a batch may take these places of `starts`: the gap is kept in frames, and the other rules."""
    apart = all(starts[later] - starts[earlier] >= window + gap for earlier, later in pairwise(choice))
    near = widest is None or not choice or starts[choice[-1]] + window - starts[choice[0]] <= widest
    of_shots = [shot_of(shots, starts[place], window) for place in choice] if shots else []
    return apart and near and len(set(of_shots)) == len(of_shots)


def every_choice(
    spans: Spans, clips: int, window: int, gap: int, widest: int | None = None, shots: Spans | None = None
) -> set[tuple[int, ...]]:
    """All choices of so many starts that a batch may take."""
    starts = every_start(spans, window)
    return {
        tuple(starts[place] for place in choice)
        for choice in combinations(range(len(starts)), clips)
        if agree(starts, choice, window, gap, widest, shots)
    }


def most_clips(spans: Spans, window: int, gap: int, widest: int | None = None, shots: Spans | None = None) -> int:
    """How many clips a batch may take of a film at most: the longest way through its starts, by trying all."""
    starts = every_start(spans, window)

    def longest_from(first: int) -> int:
        @cache
        def longest(place: int) -> int:
            return 1 + max(
                (
                    longest(after)
                    for after in range(place + 1, len(starts))
                    if agree(starts, (place, after), window, gap, None, shots)
                    and agree(starts, (first, after), window, gap, widest, None)
                ),
                default=0,
            )

        return longest(first)

    return max(map(longest_from, range(len(starts))), default=0)


def chi_square(counts: Sequence[int], shares: Sequence[float] | None = None) -> float:
    """How far counts are from these shares of them all, or from equal ones."""
    total = sum(counts)
    expected = [total * share for share in shares] if shares else [total / len(counts)] * len(counts)
    return sum((count - wanted) ** 2 / wanted for count, wanted in zip(counts, expected, strict=True))


def seldom_above(cells: int, deviations: float = 3.0902) -> float:
    """What chi-square is above once in a thousand times if all cells are equally likely (Wilson and Hilferty 1931).

    With 4.7534 deviations it is once in a million times, for tests of many cases.
    """
    free = max(cells - 1, 1)
    return free * (1 - 2 / (9 * free) + deviations * (2 / (9 * free)) ** 0.5) ** 3


def shots_between(frames: int, cuts: Iterable[int]) -> list[Span]:
    """The shots of a film of so many frames that is cut there."""
    edges = [0, *sorted(cut for cut in set(cuts) if 0 < cut < frames), frames]
    return [Span(begin, end) for begin, end in pairwise(edges)]
