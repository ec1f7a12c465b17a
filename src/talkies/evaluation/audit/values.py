"""The numbers of an audit, as they are stored in its JSON and shown on its page: estimates with intervals."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from talkies.analysis.advice import SamplingAdvice
from talkies.config import Config
from talkies.core import Modality
from talkies.evaluation.results.result import Metric

Comparison = Literal["untrained", "shuffled weights", "nothing"]
Verdict = Literal["leans_on_film", "tells_moments_apart", "cannot_tell"]


class Estimate(Config):
    """A mean over films and its 95 % interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def over_films(cls, shares: Sequence[float], clips: int) -> "Estimate":
        """Return the mean of the films' shares with its interval.

        Args:
            shares: The share of each film, 0 to 1, of at least two films.
            clips: The number of clips of all films.
        """
        metric = Metric.of_shares(shares, clips)
        return cls.model_validate(metric.model_dump(include={"mean", "low", "high"}))

    def rescale(self, zero: float, one: float) -> "Estimate":
        """Return the estimate on the scale that has 0 at `zero` and 1 at `one`."""
        low, mean, high = ((value - zero) / (one - zero) for value in (self.low, self.mean, self.high))
        return Estimate(mean=mean, low=low, high=high)


class Recalls(Config):
    """The shares of the queries whose counterpart is first, among the best five, and among the best ten."""

    recall_at_1: Estimate
    recall_at_5: Estimate
    recall_at_10: Estimate

    def at(self, k: int) -> Estimate:
        """Return the recall at 1, 5 or 10."""
        recall: Estimate = getattr(self, f"recall_at_{k}")
        return recall


class Directions(Config):
    """Recalls in both directions, and of the mean of both for each film."""

    video_to_audio: Recalls
    audio_to_video: Recalls
    both: Recalls


class FilmProbe(Config):
    """How well a linear probe identifies the film from each tower's features and embeddings; None without a tower."""

    video_features: Estimate | None = None
    audio_features: Estimate | None = None
    video_embeddings: Estimate | None = None
    audio_embeddings: Estimate | None = None


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
    """Recalls at 1 (both directions) as multiples of chance, and the one across films split by the chain rule.

    `film_nats` + `moment_nats` = log(`across_films`) exactly; both are None where nothing is found. `film_share` is the
    film's part of that sum, within [0, 1]; it is None where the interval of `across_films` includes chance.
    """

    across_films: Estimate
    within_film: Estimate
    within_over_across: Estimate | None
    film_nats: float | None
    moment_nats: float | None
    film_share: Estimate | None


class ChanceRecalls(Config):
    """The expected recalls at 1, 5 and 10."""

    recall_at_1: Annotated[float, Field(ge=0, le=1)]
    recall_at_5: Annotated[float, Field(ge=0, le=1)]
    recall_at_10: Annotated[float, Field(ge=0, le=1)]

    def at(self, k: int) -> float:
        """Return the recall at 1, 5 or 10."""
        recall: float = getattr(self, f"recall_at_{k}")
        return recall


class Neighbours(Config):
    """How well clips find the clip next to them, by one modality alone.

    `film_reliance` is that of the control, as for retrieval between modalities. `gain` is the recall at 1 within films
    less that of the shortcut cue: the palette, or the mean spectrum. `chance` is a guess's recall within films.
    """

    within_film: Recalls
    across_films: Recalls
    across_films_means_removed: Recalls
    shuffled: Recalls
    film_reliance: Estimate
    gain: Estimate | None = None
    chance: ChanceRecalls
    verdict: Verdict


class AuditedModel(Config):
    """The numbers of one checkpoint, or of public encoders (of step 0).

    `film_reliance` is 0 if the control shows no recognition of films, and 1 if there is nothing but recognition. It,
    `retrieval` and `lifts` are None where pictures and sounds cannot be compared. `neighbours` has what each modality
    finds by itself.
    """

    step: int
    model_stamp: str
    film_probe: FilmProbe
    retrieval: Retrieval | None = None
    lifts: Lifts | None = None
    film_reliance: Estimate | None = None
    neighbours: dict[Modality, Neighbours] = Field(default_factory=dict)
    verdict: Verdict


class CueEstimates(Config):
    """How well a linear probe identifies the film from each shortcut cue, without a model."""

    palette: Estimate
    loudness: Estimate
    spectrum: Estimate


class ReferenceLevels(Config):
    """The results of guessing, and of a pure film recogniser: it finds the film and guesses within it."""

    film_probe: float
    across_films: ChanceRecalls
    within_film: ChanceRecalls
    pure_film_recogniser: ChanceRecalls


class FilmCount(Config):
    """A film that was audited, and the number of its clips."""

    film_id: str
    name: str
    clips: int


class Audit(Config):
    """A whole audit; `words` explains the verdict, and `marks` are the probes of shortcut cues.

    `run` is a folder or the address of public encoders, `license` the licence of their weights, None for a run.
    `trained` is the model, and `untrained` what it is compared with, as `compared_with` says; None for nothing.
    `cue_neighbours` is what the palette (video) and the mean spectrum (audio) find of neighbouring clips. `sampling` is
    how such a run should draw its clips, None for public encoders and exported models.
    """

    schema_version: int = 1
    library: str
    run: str
    verdict: Verdict
    words: str
    trained: AuditedModel
    untrained: AuditedModel | None
    license: str | None = None
    compared_with: Comparison = "untrained"
    cue_neighbours: dict[Modality, Neighbours] = Field(default_factory=dict)
    marks: CueEstimates
    chance: ReferenceLevels
    sampling: SamplingAdvice | None = None
    films: tuple[FilmCount, ...]
    left_out: tuple[str, ...]
    protocol: dict[str, Any]
