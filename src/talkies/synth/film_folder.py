"""A folder of films and their `truth.json`: find the films that exist, write the truth, render what is missing."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from talkies.config import Config
from talkies.core import Int16s, UInt8s, UsageError, describe_os_error
from talkies.media import FilmWriter, X264Settings
from talkies.runtime import map_in_processes, write_atomically
from talkies.synth.script import Shot, SynthConfig

TRUTH_VERSION = 1
_SETTINGS = X264Settings(gop=48, crf=22, preset="superfast", b_frames=2, tune=None)
"""Like an ordinary film: a long GOP, B-frames and, with them, an edit list."""

AnyShot = TypeVar("AnyShot", bound=Shot)
OnFilm = Callable[[Path], None]


class _Script(Protocol):
    """What the scripts of all kinds of films have."""

    @property
    def name(self) -> str:
        """The name of the film."""
        ...


Script = TypeVar("Script", bound=_Script)


@dataclass(frozen=True, slots=True)
class RenderReport:
    """The result of rendering: the folder, the film files in order, and how many of them existed before.

    `without_theme` are the composed films rendered now whose stretch of background has no sound to be their theme.
    """

    folder: Path
    films: tuple[Path, ...]
    reused: int
    without_theme: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class FilmFolder(Generic[Script]):
    """A folder, all films that it should have, the scripts of those that are missing, and all scripts it will hold."""

    path: Path
    films: tuple[Path, ...]
    missing: tuple[Script, ...]
    scripts: Mapping[str, Script]

    @property
    def report(self) -> RenderReport:
        """What is reported once all films are there."""
        return RenderReport(self.path, self.films, reused=len(self.films) - len(self.missing))


def check_counts(films: int, workers: int) -> None:
    """Check that there is at least one film to render and one worker.

    Raises:
        UsageError: if not.
    """
    if films < 1:
        raise UsageError(f"there must be at least one film to render, got {films}")
    if workers < 1:
        raise UsageError(f"there must be at least one worker, got {workers}")


def number_films(films: int, seed: int) -> Iterator[tuple[str, int]]:
    """Yield the name and the seed of each of a folder's films."""
    for number in range(films):
        yield f"film-{number:03d}", seed * 100_003 + number


def open_folder(
    path: Path, scripts: Sequence[Script], parse: Callable[[str], Script], on_film: OnFilm | None
) -> FilmFolder[Script]:
    """Return a folder, made if it is not there; `on_film` is called with each film that it holds already.

    Args:
        path: the folder.
        scripts: the scripts of the films that it should hold.
        parse: returns a script from its JSON text, or raises a ValueError.
        on_film: called with the path of each film that exists.

    Raises:
        UsageError: if a film of another script has the name of one, `truth.json` cannot be read, or the folder cannot
            be made.
    """
    paths = {script.name: path / f"{script.name}.mp4" for script in scripts}
    known = _read_known_scripts(path, parse)
    _create_folder(path)
    existing = [script for script in scripts if paths[script.name].exists()]
    for script in existing:
        if known.get(script.name) != script:
            raise UsageError(f"{paths[script.name]} exists and is not of this script; name an empty folder")
    names = {script.name for script in existing}
    for name in paths:
        if on_film and name in names:
            on_film(paths[name])
    missing = tuple(script for script in scripts if script.name not in names)
    return FilmFolder(path, tuple(paths.values()), missing, known | {script.name: script for script in missing})


def write_truth(
    folder: FilmFolder[Script],
    concepts: Sequence[str],
    describe: Callable[[Script], dict[str, Any]],
) -> None:
    """Write `truth.json` if films are missing.

    It is written before the films: if rendering is killed, the next call recognises the films that were finished.

    Args:
        folder: the folder.
        concepts: the names of the concepts, or classes.
        describe: returns what is true of a film, besides its name, its file and its script.
    """
    if not folder.missing:
        return
    films = []
    for name in sorted(folder.scripts):
        script: Any = folder.scripts[name]
        assert isinstance(script, Config), "scripts are configs"
        truth = describe(folder.scripts[name])
        films.append({"name": name, "file": f"{name}.mp4", **truth, "script": script.model_dump(mode="json")})
    document = {"schema_version": TRUTH_VERSION, "concepts": list(concepts), "films": films}
    write_atomically(folder.path / "truth.json", json.dumps(document, indent=1))


def describe_shot(shot: Shot, fps: int, concept_name: str) -> dict[str, Any]:
    """Return what is true of a shot of any film."""
    return {
        "start_seconds": shot.start_frame / fps,
        "end_seconds": shot.end_frame / fps,
        "concept": shot.concept,
        "concept_name": concept_name,
        "place": shot.place,
        "character": shot.character,
        "event_seconds": list(shot.event_seconds),
    }


def render_missing(
    folder: FilmFolder[Script], render: Callable[[Path, Script], Any], workers: int, on_film: OnFilm | None
) -> Iterator[tuple[Path, Any]]:
    """Render the missing films, each under a temporary name that is then replaced; yield what `render` returned.

    Args:
        folder: the folder.
        render: writes one film; importable in another process.
        workers: how many processes render.
        on_film: called after each film with its path.
    """
    task = partial(_render_into_folder, folder.path, render)
    for script, result in map_in_processes(task, folder.missing, workers):
        path = folder.path / f"{script.name}.mp4"
        if on_film:
            on_film(path)
        yield path, result


def encode_film(path: Path, config: SynthConfig, pictures: Iterable[UInt8s], samples_N: Int16s) -> None:
    """Write a film: H.264 pictures and AAC sound in an MP4 file.

    Args:
        path: the file.
        config: the size and the rates.
        pictures: RGB, `[H, W, 3]` each.
        samples_N: the sound, as long as the pictures.
    """
    written = 0
    with FilmWriter(path, (config.width, config.height), config.fps, config.audio_rate_hz, _SETTINGS) as writer:
        for frame, picture_HWC in enumerate(pictures):
            writer.write_rgb(picture_HWC)
            end = round((frame + 1) * config.audio_rate_hz / config.fps)
            writer.write_audio(samples_N[written:end])
            written = end


def iterate_frames(shots: Sequence[AnyShot]) -> Iterator[tuple[int, AnyShot]]:
    """Yield each frame number of a film with its shot."""
    for shot in shots:
        for frame in range(shot.start_frame, shot.end_frame):
            yield frame, shot


def _render_into_folder(folder: Path, render: Callable[[Path, Script], Any], script: Script) -> Any:
    """Render a film under a temporary name, then rename it."""
    partial_path = folder / f".{script.name}.part.mp4"
    try:
        result = render(partial_path, script)
        partial_path.replace(folder / f"{script.name}.mp4")
    finally:
        partial_path.unlink(missing_ok=True)
    return result


def _create_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be created ({describe_os_error(error)}); name another folder") from error


def _read_known_scripts(folder: Path, parse: Callable[[str], Script]) -> dict[str, Script]:
    """Return the scripts in the folder's `truth.json` by film name; none if there is no such file."""
    path = folder / "truth.json"
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {film["name"]: parse(json.dumps(film["script"])) for film in document["films"]}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not a truth file of this version; name an empty folder") from error
