"""The settings of an ingest: which audio track to take, when a film is rejected, and what a film may cost."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from talkies.config import Config, apply_overrides, check
from talkies.library import ProfileChoice
from talkies.media import AudioChoice
from talkies.runtime import ProcessLimits

Seconds = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Thresholds(Config):
    """The limits from which a film is rejected or gets a warning.

    Rejected are a picture shorter than `shortest_seconds`, a film of whose video or audio packets more than the share
    `most_damaged` cannot be decoded, and a picture one of whose sides is more than `most_aspect` times the other.
    Warnings are for sound that starts or ends more than `late_sound_seconds` or `short_sound_seconds` after or before
    the picture, more than `left_out_seconds` of sound without picture or of a start that cannot be decoded, a track
    that ends more than `missing_seconds` before it claims, and sound whose peak is not above `silent_dbfs`.
    """

    shortest_seconds: Seconds = 1.0
    most_damaged: Share = 0.1
    most_aspect: Annotated[float, Field(ge=1)] = 8.0
    late_sound_seconds: Seconds = 1.0
    short_sound_seconds: Seconds = 1.0
    left_out_seconds: Seconds = 1.0
    missing_seconds: Seconds = 2.0
    silent_dbfs: Annotated[float, Field(le=0)] = -60.0


class AnnotationConfig(Config):
    """The shortest spans that are annotated: black or still picture, silence, titles and credits.

    Silence is sound that is not above the thresholds' `silent_dbfs`.
    """

    black_seconds: Seconds = 0.5
    still_seconds: Seconds = 2.0
    silent_seconds: Seconds = 1.0
    credits_seconds: Seconds = 8.0


class ShotConfig(Config):
    """How shots are found: by PySceneDetect's adaptive detector, or by TransNet V2, which needs `talkies[shots]`."""

    detector: Literal["adaptive", "transnetv2"] = "adaptive"


class WorkerConfig(Config):
    """What one film may cost: threads, seconds without progress, seconds in all, megabytes of memory.

    Without `threads` the workers share the machine's cores.
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
    """All settings of an ingest except its sources and its library; `profile` is the one that the library must have."""

    profile: ProfileChoice = ProfileChoice()
    audio: AudioChoice = AudioChoice()
    judge: Thresholds = Thresholds()
    mark: AnnotationConfig = AnnotationConfig()
    shots: ShotConfig = ShotConfig()
    worker: WorkerConfig = WorkerConfig()


def build_config(
    overrides: Iterable[str] = (),
    language: str | None = None,
    track: int | None = None,
    profile: str | None = None,
) -> IngestConfig:
    """Return the config with `key=value` overrides, the audio track by its language or number, and a profile's name.

    Raises:
        ConfigError: naming the key, if one is unknown or its value is not accepted.
    """
    values = apply_overrides({}, overrides, IngestConfig)
    # The language is not an override: their values are YAML, in which `no` (Norwegian) is false.
    choice = {name: value for name, value in (("language", language), ("track", track)) if value is not None}
    values["audio"] = {**values.get("audio", {}), **choice}
    if profile is not None:
        values["profile"] = {**values.get("profile", {}), "name": profile}
    return check(IngestConfig, values, "ingest")
