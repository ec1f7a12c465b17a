"""What an ingest may be told: which sound to take, what makes a film unfit or doubtful, what a film may cost."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from talkies.config import Config, apply_overrides, check
from talkies.media import AudioChoice
from talkies.runtime import ProcessLimits

Seconds = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Thresholds(Config):
    """Where verdicts change. Rejected: pictures that last less than `shortest_seconds`, more than the share
    `most_damaged` of the packets of picture or sound not decodable, one side more than `most_aspect` times the other.
    Warned of: sound that begins or ends more than so many seconds after or before the pictures, pictures that end more
    than `missing_seconds` before the container claims, a sound whose peak is at or below `silent_dbfs`.
    """

    shortest_seconds: Seconds = 1.0
    most_damaged: Share = 0.1
    most_aspect: Annotated[float, Field(ge=1)] = 8.0
    late_sound_seconds: Seconds = 1.0
    short_sound_seconds: Seconds = 1.0
    missing_seconds: Seconds = 2.0
    silent_dbfs: Annotated[float, Field(le=0)] = -60.0


class AnnotationConfig(Config):
    """The least length of a marked span: all but black picture, a picture that stands still, sound below `silent_dbfs`
    of the thresholds, titles and credits.
    """

    black_seconds: Seconds = 0.5
    still_seconds: Seconds = 2.0
    silent_seconds: Seconds = 1.0
    credits_seconds: Seconds = 8.0


class WorkerConfig(Config):
    """What one film may cost: threads that it keeps busy (without: the cores, shared among the workers), seconds
    without progress, seconds in all, megabytes of memory.
    """

    threads: Annotated[int, Field(ge=1, le=64)] | None = None
    stall_seconds: Annotated[float, Field(gt=0)] = 120.0
    film_seconds: Annotated[float, Field(gt=0)] = 12 * 3600.0
    memory_mb: Annotated[int, Field(ge=256)] = 4096

    @property
    def limits(self) -> ProcessLimits:
        """The limits of a film's process."""
        return ProcessLimits(self.stall_seconds, self.film_seconds, self.memory_mb * 1_000_000)


class IngestConfig(Config):
    """All that an ingest may be told beside its sources and its library."""

    audio: AudioChoice = AudioChoice()
    judge: Thresholds = Thresholds()
    mark: AnnotationConfig = AnnotationConfig()
    worker: WorkerConfig = WorkerConfig()


def build_config(overrides: Iterable[str] = (), language: str | None = None, track: int | None = None) -> IngestConfig:
    """Return the config with `key=value` overrides, and the sound to take by its language or its number.

    Raises:
        ConfigError: naming the key, if one is unknown or its value does not fit.
    """
    values = apply_overrides({}, overrides, IngestConfig)
    # Not as overrides, whose values are YAML: `no` is Norwegian here.
    chosen = {name: value for name, value in (("language", language), ("track", track)) if value is not None}
    values["audio"] = {**values.get("audio", {}), **chosen}
    return check(IngestConfig, values, "ingest")
