"""The numbers of an analysis, as they are stored in `analysis.json` and shown on its pages."""

from typing import Annotated, Any

from pydantic import Field

from talkies.analysis.advice import SamplingAdvice
from talkies.config import Config
from talkies.core import Modality

Share = Annotated[float, Field(ge=0, le=1)]


class ProbeAccuracy(Config):
    """The share of the clips whose film a probe identifies, and its 95 % interval."""

    mean: Share
    low: Share
    high: Share


class CueProbe(Config):
    """How well a probe identifies the film from shortcut cues, one by one and all together, and the chance level."""

    palette: ProbeAccuracy
    brightness: ProbeAccuracy
    loudness: ProbeAccuracy
    spectrum: ProbeAccuracy
    together: ProbeAccuracy
    chance: Share


class PairShare(Config):
    """Pairs of clips that start `[from_seconds, to_seconds)` apart, and the share of them that are of one cluster."""

    from_seconds: float
    to_seconds: float
    pairs: int
    share: Share | None


class WindowShare(Config):
    """The share of pairs of one cluster among those that fit into a window; `seconds` None: anywhere in the film."""

    seconds: float | None
    share: Share | None


class Diversity(Config):
    """How many kinds of clips there are, and the silhouette of the clusters with the mean that chance gave."""

    clips: int
    clusters: int
    effective_clusters: float
    vendi: float
    silhouette: float
    silhouette_by_chance: float


class Recurrence(Config):
    """How often clusters come back, and after how much time."""

    visits: int
    returning_share: Share
    median_return_seconds: float | None
    same_share: Share
    same_share_by_distance: tuple[PairShare, ...]
    same_share_within: tuple[WindowShare, ...]


class ModalityAnalysis(Config):
    """The numbers of a film's video or audio.

    `spread` is the distance of its clips from their mean (1: as in the other films), `labels` the cluster of each clip,
    and `plot` the recurrence plot, None where there is no clip.
    """

    diversity: Diversity
    recurrence: Recurrence
    spread: float
    labels: tuple[int, ...]
    plot: tuple[tuple[float | None, ...], ...]


class FilmAnalysis(Config):
    """A film: where its clips start, and the numbers of its video (`picture`) and its audio (`sound`)."""

    film_id: str
    name: str
    page: str
    seconds: float
    clips: int
    across_cuts: bool
    start_seconds: tuple[float, ...]
    picture: ModalityAnalysis
    sound: ModalityAnalysis

    def of(self, modality: Modality) -> ModalityAnalysis:
        """Return the numbers of one modality."""
        return self.picture if modality == "video" else self.sound


class Together(Config):
    """The diversity of all films' clips, after each film's mean is removed."""

    picture: Diversity
    sound: Diversity

    def of(self, modality: Modality) -> Diversity:
        """Return the diversity in one modality."""
        return self.picture if modality == "video" else self.sound


class Advice(Config):
    """Settings to try in training, the command that sets them, and the reasons.

    `sampling` is what the studies' evidence says of clips per film and the weight of other films; None in an analysis
    that was made before there was such advice.
    """

    films_per_batch: int
    clips_per_film: int
    widest_window_seconds: float | None
    cross_film_weight: Share | None
    command: str
    reasons: tuple[str, ...]
    sampling: SamplingAdvice | None = None


class Analysis(Config):
    """A whole analysis; `marks` is the probe of shortcut cues, None for a single film.

    `run` is the folder of a run or the address of public encoders, None without a model; `license` is the licence of
    public weights, None for others.
    """

    schema_version: int = 1
    library: str
    run: str | None
    step: int | None
    model_stamp: str | None = None
    license: str | None = None
    clip_seconds: float
    films: tuple[FilmAnalysis, ...]
    together: Together
    marks: CueProbe | None
    advice: Advice
    left_out: tuple[str, ...]
    protocol: dict[str, Any]
