"""Render films to MP4 files, with their truth beside them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from talkies.core import UsageError, describe_os_error
from talkies.media import FilmWriter, X264Settings
from talkies.runtime import map_in_processes, write_atomically
from talkies.synth.concepts import CONCEPTS
from talkies.synth.painter import Painter
from talkies.synth.script import FilmScript, Recordings, Shot, SynthConfig, generate_script
from talkies.synth.soundtrack import compose_soundtrack

TRUTH_VERSION = 1
_CODING = X264Settings(
    gop=48, crf=22, preset="superfast", b_frames=2, tune=None
)  # an ordinary film: long GOP, B-frames, an edit list


@dataclass(frozen=True, slots=True)
class RenderReport:
    """What a rendering made: the folder, the film files in order, and which of them were there already."""

    folder: Path
    films: tuple[Path, ...]
    reused: int


def render_films(
    folder: Path,
    films: int,
    config: SynthConfig,
    seed: int = 0,
    workers: int = 1,
    on_film: Callable[[Path], None] | None = None,
    recordings: Recordings = (),
) -> RenderReport:
    """Write `truth.json` into `folder`, then render `films` films there; those of the same scripts are kept.

    Film number *n* depends on (seed, n, config, recordings) alone; with `recordings`, files of sound class by class,
    the concepts sound like them. `workers` processes render; `on_film` is called after each film.

    Raises:
        UsageError: if `films` is not positive, the folder holds films of another script, or as `generate_script`.
        MediaError: if a recording cannot be read.
    """
    if films < 1:
        raise UsageError(f"there must be at least one film to render, got {films}")
    if workers < 1:
        raise UsageError(f"there must be at least one worker, got {workers}")
    numbers = range(films)
    scripts = [generate_script(f"film-{number:03d}", seed * 100_003 + number, config, recordings) for number in numbers]
    known = _known_scripts(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made a folder ({describe_os_error(error)}); name another") from error
    paths = {script.name: folder / f"{script.name}.mp4" for script in scripts}
    there = {script.name for script in scripts if paths[script.name].exists()}
    for script in scripts:
        if script.name in there and known.get(script.name) != script:
            raise UsageError(f"{paths[script.name]} is there already and is not of this script; name an empty folder")
        if script.name in there and on_film:
            on_film(paths[script.name])
    missing = [(script, folder) for script in scripts if script.name not in there]
    if missing:  # the truth first: a film whose rendering is killed is then known, and is not taken for somebody's own
        write_atomically(folder / "truth.json", _truth(known | {script.name: script for script, _ in missing}))
    for (script, _), _ in map_in_processes(_render_into, missing, workers):
        if on_film:
            on_film(paths[script.name])
    return RenderReport(folder, tuple(paths.values()), reused=len(there))


def _render_into(work: tuple[FilmScript, Path]) -> None:
    script, folder = work
    partial = folder / f".{script.name}.part.mp4"
    try:
        render_film(partial, script)
        partial.replace(folder / f"{script.name}.mp4")
    finally:
        partial.unlink(missing_ok=True)


def render_film(path: Path, script: FilmScript) -> None:
    """Render one film: H.264 pictures and AAC sound in an MP4 file."""
    config = script.config
    sound, painter, written = compose_soundtrack(script), Painter(script), 0
    with FilmWriter(path, (config.width, config.height), config.fps, config.audio_rate_hz, _CODING) as writer:
        for frame, shot in _frames(script):
            writer.write_rgb(painter.paint(frame, shot))
            end = round((frame + 1) * config.audio_rate_hz / config.fps)
            writer.write_audio(sound[written:end])
            written = end


def _frames(script: FilmScript) -> Iterator[tuple[int, Shot]]:
    for shot in script.shots:
        for frame in range(shot.start_frame, shot.end_frame):
            yield frame, shot


def _known_scripts(folder: Path) -> dict[str, FilmScript]:
    path = folder / "truth.json"
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {film["name"]: FilmScript.model_validate_json(json.dumps(film["script"])) for film in document["films"]}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not a truth file of this version; name an empty folder") from error


def _truth(scripts: dict[str, FilmScript]) -> str:
    films = []
    for name in sorted(scripts):
        script = scripts[name]
        fps = script.config.fps
        shots = [
            {
                "start_seconds": shot.start_frame / fps,
                "end_seconds": shot.end_frame / fps,
                "concept": shot.concept,
                "concept_name": CONCEPTS[shot.concept].name,
                "place": shot.place,
                "character": shot.character,
                "event_seconds": list(shot.event_seconds),
            }
            for shot in script.shots
        ]
        films.append({"name": name, "file": f"{name}.mp4", "shots": shots, "script": script.model_dump(mode="json")})
    document = {"schema_version": TRUTH_VERSION, "concepts": [concept.name for concept in CONCEPTS], "films": films}
    return json.dumps(document, indent=1)
