"""What an audit comes to, as values: estimates with their intervals, and all that a model was measured by."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from talkies.config import Config
from talkies.evaluation.results.result import Metric

Verdict = Literal["leans_on_film", "tells_moments_apart", "cannot_tell"]


class Estimate(Config):
    """A mean over films and its 95 % interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def over_films(cls, shares: Sequence[float], clips: int) -> "Estimate":
        """Return the mean of the films' shares (0 to 1) with its interval; at least two films."""
        metric = Metric.of_shares(shares, clips)
        return cls.model_validate(metric.model_dump(include={"mean", "low", "high"}))

    def scaled(self, zero: float, one: float) -> "Estimate":
        """Return the estimate on the scale that has 0 at `zero` and 1 at `one`."""
        low, mean, high = ((value - zero) / (one - zero) for value in (self.low, self.mean, self.high))
        return Estimate(mean=mean, low=low, high=high)


class Recalls(Config):
    """Shares of the queries whose counterpart is first, among the best five, among the best ten."""

    recall_at_1: Estimate
    recall_at_5: Estimate
    recall_at_10: Estimate

    def at(self, k: int) -> Estimate:
        """Return the recall at 1, 5 or 10."""
        found: Estimate = getattr(self, f"recall_at_{k}")
        return found


class Directions(Config):
    """The same in both directions, and their mean for each film."""

    video_to_audio: Recalls
    audio_to_video: Recalls
    both: Recalls


class FilmProbe(Config):
    """How well a linear probe tells the film, from each tower's features and embeddings."""

    video_features: Estimate
    audio_features: Estimate
    video_embeddings: Estimate
    audio_embeddings: Estimate


class Retrieval(Config):
    """Retrieval among all clips, among the film's own, and both after each film's mean is removed.

    `shuffled` is the control: among all clips, where the counterpart is any other clip of the same film.
    """

    across_films: Directions
    within_film: Directions
    across_films_means_removed: Directions
    within_film_means_removed: Directions
    shuffled: Directions


class Lifts(Config):
    """Recalls at 1 (both directions) as multiples of chance, and the chain rule of the one across films.

    `film_nats` + `moment_nats` = log(`across_films`) exactly; both are missing where nothing is found. `film_share` is
    the film's part of that sum, within [0, 1]; it is missing where it may be that no more is found than by chance.
    """

    across_films: Estimate
    within_film: Estimate
    within_over_across: Estimate | None
    film_nats: float | None
    moment_nats: float | None
    film_share: Estimate | None


class AuditedModel(Config):
    """One checkpoint's numbers; `film_reliance` is 0 for no recognition of films in the control, 1 for nothing else."""

    step: int
    model_stamp: str
    film_probe: FilmProbe
    retrieval: Retrieval
    lifts: Lifts
    film_reliance: Estimate
    verdict: Verdict


class Marks(Config):
    """How well a linear probe tells the film from its marks alone."""

    palette: Estimate
    loudness: Estimate
    spectrum: Estimate


class ChanceRecalls(Config):
    """What a recall is expected to be at 1, 5 and 10."""

    recall_at_1: Annotated[float, Field(ge=0, le=1)]
    recall_at_5: Annotated[float, Field(ge=0, le=1)]
    recall_at_10: Annotated[float, Field(ge=0, le=1)]

    def at(self, k: int) -> float:
        """Return the recall at 1, 5 or 10."""
        found: float = getattr(self, f"recall_at_{k}")
        return found


class Yardsticks(Config):
    """What a guess comes to, and what a pure recogniser of films does among all clips (the guess within the film)."""

    film_probe: float
    across_films: ChanceRecalls
    within_film: ChanceRecalls
    pure_film_recogniser: ChanceRecalls


class FilmCount(Config):
    """A film that was audited, and how many of its clips."""

    film_id: str
    name: str
    clips: int


class Audit(Config):
    """All that an audit comes to."""

    schema_version: int = 1
    library: str
    run: str
    verdict: Verdict
    words: str
    trained: AuditedModel
    untrained: AuditedModel
    marks: Marks
    chance: Yardsticks
    films: tuple[FilmCount, ...]
    left_out: tuple[str, ...]
    protocol: dict[str, Any]
