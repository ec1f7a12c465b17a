"""Decode the backgrounds and recordings of composed films once, for all films and processes that need them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from talkies.runtime import map_in_processes
from talkies.synth.composed.backgrounds import BackgroundTask, open_background, write_background
from talkies.synth.composed.foreground import write_recording
from talkies.synth.composed.script import ComposedScript


@contextmanager
def decode_materials(folder: Path, scripts: Sequence[ComposedScript], workers: int) -> Iterator[Path]:
    """Decode what films show and play; yield the folder of the decoded files, which is removed at the end.

    Action clips are not among them: they are decoded where they are shown.

    Args:
        folder: where that folder is made.
        scripts: the films' scripts.
        workers: how many processes decode.

    Raises:
        MediaError: if a background ends before a stretch of it, or a file cannot be decoded.
        SourceError: if one cannot be read.
    """
    with TemporaryDirectory(prefix=".decoded-", dir=folder) as name:
        backgrounds = [partial(write_background, Path(name), task) for task in _list_backgrounds(scripts)]
        recordings = {
            str(shot.recording_sha256): partial(
                write_recording, Path(name), shot.recording, str(shot.recording_sha256), script.config.audio_rate_hz
            )
            for script in scripts
            for shot in script.shots
            if shot.recording is not None
        }
        for _ in map_in_processes(_call, [*backgrounds, *recordings.values()], workers):
            pass
        try:
            yield Path(name)
        finally:
            open_background.cache_clear()  # a removed file takes room on the disk while it is mapped


def _list_backgrounds(scripts: Sequence[ComposedScript]) -> list[BackgroundTask]:
    """Return what to decode of each background, by content, whatever its name."""
    tasks: dict[str, BackgroundTask] = {}
    for script in scripts:
        stretch = script.background
        if stretch is None or script.config.mark_strength == 0:
            continue
        known = tasks.get(stretch.sha256)
        spans = (*(known.spans if known else ()), (stretch.start_frame, stretch.end_frame))
        tasks[stretch.sha256] = BackgroundTask(stretch.path, stretch.sha256, spans, script.config)
    return list(tasks.values())


def _call(task: Callable[[], None]) -> None:
    task()
