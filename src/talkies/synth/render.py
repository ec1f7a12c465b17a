"""Render synthetic films to MP4 files, with their ground truth in `truth.json` next to them."""

import json
from collections.abc import Callable, Iterator, Sequence
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
_SETTINGS = X264Settings(gop=48, crf=22, preset="superfast", b_frames=2, tune=None)
"""Like an ordinary film: a long GOP, B-frames and, with them, an edit list."""


@dataclass(frozen=True, slots=True)
class RenderReport:
    """The result of rendering: the folder, the film files in order, and how many of them existed before."""

    folder: Path
    films: tuple[Path, ...]
    reused: int


def render_films(
    folder: Path,
    films: int,
    config: SynthConfig,
    seed: int = 0,
    workers: int = 1,
    *,
    on_film: Callable[[Path], None] | None = None,
    recordings: Recordings = (),
) -> RenderReport:
    """Write `truth.json` into a folder, then render films there; existing ones of the same scripts are kept.

    Film number *n* depends only on (seed, n, config, recordings).

    Args:
        folder: where to write; it is created.
        films: how many films to render.
        config: how the films are made.
        seed: the seed of everything random in them.
        workers: how many processes render.
        on_film: called after each film with its path.
        recordings: audio files by class; the concepts sound like them.

    Raises:
        UsageError: if `films` is not positive, the folder holds films of another script, or as `generate_script`.
        MediaError: if a recording cannot be read.
    """
    if films < 1:
        raise UsageError(f"there must be at least one film to render, got {films}")
    if workers < 1:
        raise UsageError(f"there must be at least one worker, got {workers}")
    scripts = [
        generate_script(f"film-{number:03d}", seed * 100_003 + number, config, recordings) for number in range(films)
    ]
    paths = {script.name: folder / f"{script.name}.mp4" for script in scripts}

    # Find the films that exist.
    known = _read_known_scripts(folder)
    _create_folder(folder)
    existing = _find_existing(scripts, paths, known)
    for name in existing:
        if on_film:
            on_film(paths[name])

    # Write the truth first: if rendering is killed, the next call recognises the films that were finished as its own.
    missing = [(script, folder) for script in scripts if script.name not in existing]
    if missing:
        write_atomically(folder / "truth.json", _format_truth(known | {script.name: script for script, _ in missing}))
    for (script, _), _ in map_in_processes(_render_into_folder, missing, workers):
        if on_film:
            on_film(paths[script.name])
    return RenderReport(folder, tuple(paths.values()), reused=len(existing))


def render_film(path: Path, script: FilmScript) -> None:
    """Render one film: H.264 pictures and AAC sound in an MP4 file."""
    config = script.config
    samples = compose_soundtrack(script)
    painter = Painter(script)
    written = 0
    with FilmWriter(path, (config.width, config.height), config.fps, config.audio_rate_hz, _SETTINGS) as writer:
        for frame, shot in _iterate_frames(script):
            writer.write_rgb(painter.paint(frame, shot))
            end = round((frame + 1) * config.audio_rate_hz / config.fps)
            writer.write_audio(samples[written:end])
            written = end


def _create_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be created ({describe_os_error(error)}); name another folder") from error


def _find_existing(scripts: Sequence[FilmScript], paths: dict[str, Path], known: dict[str, FilmScript]) -> list[str]:
    """Return the names of the films that exist, after checking that they were rendered from these scripts."""
    existing = [script for script in scripts if paths[script.name].exists()]
    for script in existing:
        if known.get(script.name) != script:
            raise UsageError(f"{paths[script.name]} exists and is not of this script; name an empty folder")
    return [script.name for script in existing]


def _render_into_folder(task: tuple[FilmScript, Path]) -> None:
    """Render a film under a temporary name, then rename it."""
    script, folder = task
    partial = folder / f".{script.name}.part.mp4"
    try:
        render_film(partial, script)
        partial.replace(folder / f"{script.name}.mp4")
    finally:
        partial.unlink(missing_ok=True)


def _iterate_frames(script: FilmScript) -> Iterator[tuple[int, Shot]]:
    """Yield each frame number of a film with its shot."""
    for shot in script.shots:
        for frame in range(shot.start_frame, shot.end_frame):
            yield frame, shot


def _read_known_scripts(folder: Path) -> dict[str, FilmScript]:
    """Return the scripts in the folder's `truth.json` by film name; none if there is no such file."""
    path = folder / "truth.json"
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {film["name"]: FilmScript.model_validate_json(json.dumps(film["script"])) for film in document["films"]}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not a truth file of this version; name an empty folder") from error


def _format_truth(scripts: dict[str, FilmScript]) -> str:
    """Return the text of `truth.json`."""
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
