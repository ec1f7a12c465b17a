"""What an analysis comes to, as values: every number of its pages."""

from typing import Annotated, Any

from pydantic import Field

from talkies.config import Config

Share = Annotated[float, Field(ge=0, le=1)]


class Told(Config):
    """The share of the clips whose film is told, and its 95 % interval."""

    mean: Share
    low: Share
    high: Share


class MarksTold(Config):
    """How well marks alone tell films apart, each by itself and all together, and what a guess comes to."""

    palette: Told
    brightness: Told
    loudness: Told
    spectrum: Told
    together: Told
    chance: Share


class PairShare(Config):
    """Pairs of clips that begin `[from_seconds, to_seconds)` apart, and the share of them that are of one cluster."""

    from_seconds: float
    to_seconds: float
    pairs: int
    share: Share | None


class WindowShare(Config):
    """The share of pairs of one cluster among those that fit into a window; `seconds` None: anywhere in the film."""

    seconds: float | None
    share: Share | None


class Diversity(Config):
    """How many kinds of clips there are; with the silhouette of the clusters and the highest that chance gave."""

    clips: int
    clusters: int
    effective_clusters: float
    vendi: float
    silhouette: float
    silhouette_by_chance: float


class Recurrence(Config):
    """How often clusters come back, and how far from each other."""

    visits: int
    returning_share: Share
    median_return_seconds: float | None
    same_share: Share
    same_share_by_distance: tuple[PairShare, ...]
    same_share_within: tuple[WindowShare, ...]


class FilmView(Config):
    """A film's pictures, or its sound: `spread` is how far its clips lie from their mean (1: as in other films)."""

    diversity: Diversity
    recurrence: Recurrence
    spread: float
    labels: tuple[int, ...]
    plot: tuple[tuple[float | None, ...], ...]


class FilmAnalysis(Config):
    """A film: its clips' beginnings, and what its pictures and its sound come to."""

    film_id: str
    name: str
    page: str
    seconds: float
    clips: int
    across_cuts: bool
    start_seconds: tuple[float, ...]
    picture: FilmView
    sound: FilmView


class Together(Config):
    """All films' clips, each film's mean removed."""

    picture: Diversity
    sound: Diversity


class Advice(Config):
    """What to try, and why."""

    films_per_batch: int
    clips_per_film: int
    widest_window_seconds: float | None
    cross_film_weight: Share | None
    command: str
    reasons: tuple[str, ...]


class Analysis(Config):
    """All that an analysis comes to."""

    schema_version: int = 1
    library: str
    run: str | None
    step: int | None
    clip_seconds: float
    films: tuple[FilmAnalysis, ...]
    together: Together
    marks: MarksTold | None
    advice: Advice
    left_out: tuple[str, ...]
    protocol: dict[str, Any]
