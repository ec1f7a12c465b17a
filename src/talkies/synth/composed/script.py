"""The script of a composed film: its shots, the stretch of its background and its grade, from a seed and files."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from talkies.config import Config
from talkies.core import MediaError, format_path, path_to_text
from talkies.media import MediaInfo, probe
from talkies.synth.composed.materials import Materials, hash_material
from talkies.synth.concepts import CONCEPTS
from talkies.synth.script import Shot, SynthConfig, deal_shots, generate_shot

MIN_BACKGROUND_SECONDS = 2.0
_UNUSED_SECONDS = 1.0  # of the end of a background, because its last pictures may be missing


class ComposedConfig(SynthConfig):
    """How composed films are made.

    Beyond `SynthConfig`: `concepts_per_film` is the most classes that a film shows. `mark_strength` scales all marks:
    at 0 the background is plain grey, and there is no theme, grade, grain, vignette or letterbox.
    `stretch_seconds` is how long a stretch of its background a film shows; a longer film shows it forwards and
    backwards in turn, picture and sound. `theme_db` is the level of the theme relative to the foreground, by root mean
    square over the film. `clip_share` is the share of each side of the picture that action clips fill. `audio_rate_hz`
    must be a multiple of `fps`.
    """

    concepts_per_film: Annotated[int, Field(ge=1)] = len(CONCEPTS)
    audio_rate_hz: Annotated[int, Field(ge=8_000, le=48_000)] = 48_000
    mark_strength: Annotated[float, Field(ge=0, le=1)] = 1.0
    stretch_seconds: Annotated[float, Field(ge=MIN_BACKGROUND_SECONDS, le=600)] = 30.0
    theme_db: Annotated[float, Field(ge=-60, le=20)] = -12.0
    clip_share: Annotated[float, Field(ge=0.3, le=1)] = 0.7

    @model_validator(mode="after")
    def _check_rates(self) -> Self:
        if self.audio_rate_hz % self.fps:
            raise ValueError(f"audio_rate_hz must be a multiple of fps, got {self.audio_rate_hz} and {self.fps}")
        return self


class ComposedShot(Shot):
    """A shot of a composed film; `recording` and `clip` are paths as text.

    Its clip, if it has one, is shown from `clip_at` on, a share of its length, and repeated; it then has no events.
    Without a recording, it sounds like its clip, in sync.
    """

    recording_sha256: str | None = None
    clip: str | None = None
    clip_sha256: str | None = None
    clip_at: float = 0.0


class Stretch(Config):
    """A stretch of a background film: frames `[start_frame, end_frame)` at the composed film's rate."""

    path: str
    title: str
    sha256: str
    start_frame: int
    end_frame: int


class Grade(Config):
    """What a film's pictures go through, at full strength.

    `lut_seed` seeds its 3D lookup table; `grain` is its deviation in levels of 255, `vignette` how much darker the
    corners are, 0 to 1, and `letterbox` the height of each bar as a share of the picture's.
    """

    lut_seed: int
    grain: float
    vignette: float
    letterbox: float


class ComposedScript(Config):
    """All that is needed to render a composed film, and so its ground truth."""

    name: str
    seed: int
    config: ComposedConfig
    classes: tuple[str, ...]
    background: Stretch | None
    grade: Grade
    shots: tuple[ComposedShot, ...]

    @property
    def frames(self) -> int:
        """The number of frames in the film."""
        return self.shots[-1].end_frame


def generate_composed_script(name: str, seed: int, config: ComposedConfig, materials: Materials) -> ComposedScript:
    """Return the script of a composed film: the same for the same seed, config and files.

    Args:
        name: the name of the film.
        seed: the seed of everything random in it.
        config: how the film is made.
        materials: its files.

    Raises:
        UsageError: if `materials` are incomplete.
        MediaError: if a background is no film, or too short.
        SourceError: if a file cannot be read.
    """
    materials.check(config.mark_strength)
    random = np.random.default_rng([seed, 11])
    concepts = random.permutation(len(materials.classes))[: config.concepts_per_film].tolist()
    shots: list[ComposedShot] = []
    for start, end, concept in deal_shots(concepts, config, random):
        shot = _generate_shot((start, end), concept, config, materials, random)
        shots.append(_choose_other_place(shot, shots[-1].place, config.places, random) if shots else shot)

    grade = Grade(
        lut_seed=int(random.integers(2**31)),
        grain=round(float(random.uniform(2, 9)), 3),
        vignette=round(float(random.uniform(0.15, 0.5)), 3),
        letterbox=round(float(random.uniform(0, 0.12)), 3),
    )
    stretch = _choose_stretch(config, shots[-1].end_frame, materials, random) if materials.backgrounds else None
    return ComposedScript(
        name=name,
        seed=seed,
        config=config,
        classes=materials.classes,
        background=stretch,
        grade=grade,
        shots=tuple(shots),
    )


def _generate_shot(
    frames: tuple[int, int],
    concept: int,
    config: ComposedConfig,
    materials: Materials,
    random: np.random.Generator,
) -> ComposedShot:
    """Return a shot of a class with one of its recordings and one of its clips, where it has any."""
    start, end = frames
    drawn = generate_shot(start, end, concept % len(CONCEPTS), config, random)
    shot = ComposedShot(**(drawn.model_dump() | {"concept": concept}))
    changes: dict[str, object] = {}
    for kind, files in (("recording", materials.list_sounds(concept)), ("clip", materials.list_clips(concept))):
        if files:
            path = files[int(random.integers(len(files)))]
            changes |= {
                kind: path_to_text(path),
                f"{kind}_sha256": hash_material(path),
                f"{kind}_at": round(float(random.uniform()), 6),
            }
            if kind == "clip":
                changes["event_seconds"] = ()
    return shot.model_copy(update=changes)


def _choose_other_place(shot: ComposedShot, last: int, places: int, random: np.random.Generator) -> ComposedShot:
    """Return the shot at a place that is not the last shot's, if there are several: a cut must be seen."""
    if shot.place != last or places == 1:
        return shot
    return shot.model_copy(update={"place": int((last + random.integers(1, places)) % places)})


def _choose_stretch(
    config: ComposedConfig, film_frames: int, materials: Materials, random: np.random.Generator
) -> Stretch:
    """Return a random stretch of a random background: as long as the config asks, as needed and as there is."""
    path = materials.backgrounds[int(random.integers(len(materials.backgrounds)))]
    sha256 = hash_material(path)
    info = probe_background(path, sha256)
    assert info.video is not None, "a background has pictures"
    available = int((info.video.times.duration_seconds - _UNUSED_SECONDS) * config.fps)
    frames = min(round(config.stretch_seconds * config.fps), film_frames, available)
    start = int(random.integers(available - frames + 1))
    return Stretch(
        path=path_to_text(path),
        title=path_to_text(path.stem),
        sha256=sha256,
        start_frame=start,
        end_frame=start + frames,
    )


@lru_cache(maxsize=4096)
def probe_background(path: Path, _sha256: str) -> MediaInfo:
    """Return the probe of a background film, once for each content.

    Raises:
        MediaError: if it has no pictures or lasts less than `MIN_BACKGROUND_SECONDS`.
    """
    info = probe(path)
    name = format_path(path.name)
    if info.video is None or not info.video.decodes:
        raise MediaError("no_video", f"{name} has no pictures to be a background; name a film")
    seconds = info.video.times.duration_seconds
    if seconds < MIN_BACKGROUND_SECONDS:
        raise MediaError(
            "too_short",
            f"{name} lasts {seconds:.1f} s, and a background at least {MIN_BACKGROUND_SECONDS:g} s; name a longer film",
        )
    return info
