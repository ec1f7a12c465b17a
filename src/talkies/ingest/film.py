"""Take one film into a library: the function that every worker runs, on this machine or on many."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import av
from pydantic import JsonValue, ValidationError

from talkies.core import FilmId, SourceError, WorkError, parse_film_id, describe_os_error, format_path  # fmt: skip
from talkies.ingest.config import IngestConfig
from talkies.ingest.convert import Converted, ConvertTask, convert
from talkies.ingest.judge import sort_reasons, judge_film, make_rejection, decide_verdict
from talkies.ingest.source import Source
from talkies.library import FilmRecord, Library, Reason, Verdict, write_json
from talkies.media import MediaInfo
from talkies.runtime import Isolated, IsolationError, hash_file  # fmt: skip

_TRIES = 3
"""A worker that somebody else killed says nothing of its film: it is tried again this often."""
_MACHINES_FAULT = frozenset({"timed_out", "out_of_memory", "crashed"})
"""Verdicts that another day, or another machine, may not come to: such a film is tried again by the next ingest."""


@dataclass(frozen=True, slots=True)
class FilmTask:
    """One film to take: its file, the library, how, and the threads that it may keep busy."""

    source: Source
    library: str
    config: IngestConfig
    threads: int


@dataclass(frozen=True, slots=True)
class IngestedFilm:
    """What became of one source: its film's record, whether the library had it already, and what it took."""

    source: Source
    record: FilmRecord
    reused: bool
    duplicate_of: Source | None = None
    peak_memory_bytes: int = 0

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The film's reasons, and that the source is a duplicate if it is one."""
        if self.duplicate_of is None:
            return self.record.reasons
        text = f"it has the same bytes as {self.duplicate_of.name}"
        return sort_reasons((*self.record.reasons, Reason(code="duplicate", text=text)))

    @property
    def verdict(self) -> Verdict:
        """The verdict on this source."""
        return decide_verdict(self.reasons)


@dataclass(frozen=True, slots=True)
class FailedFilm:
    """A source that got no verdict, for the work itself failed, and why."""

    source: Source
    sentence: str


def ingest_film(task: FilmTask, isolated: Isolated, on_progress: Callable[[float], None] | None = None) -> IngestedFilm:
    """Hash, judge and convert one film, and commit it (or the record of its rejection) to the library.

    `on_progress` is told the seconds of film done so far.

    Raises:
        SourceError: if the source cannot be read, vanishes, or changes meanwhile; another film may do better.
        WorkError: if the library cannot be written.
    """
    library = Library.open(task.library)
    with task.source.local() as path:
        before = _stamp(path)
        film_id = _hash(path)
        known = library.record_of(film_id) if library.is_complete(film_id) else None
        if known and (record := _still_true(known, task.config, library)):
            return IngestedFilm(task.source, record, reused=True)
        try:
            with library.commit_film(film_id) as folder:
                converted = _converted(task, path, library, folder, isolated, on_progress)
                if _stamp(path) != before:
                    raise SourceError(
                        f"{task.source.name} changed while it was read; ingest it again when it is complete"
                    )
                if converted.rejected:
                    _clear(folder)
                record = _record(task, film_id, before[0], library, converted, folder)
                write_json(folder / "film.json", record)
        except OSError as error:
            raise WorkError(f"{task.source.name} could not be ingested: {describe_os_error(error)}") from error
    return IngestedFilm(task.source, record, reused=False, peak_memory_bytes=converted.peak_memory_bytes)


def _converted(
    task: FilmTask, path: Path, library: Library, folder: Path, isolated: Isolated,
    on_progress: Callable[[float], None] | None,
) -> Converted:  # fmt: skip
    """Convert in the isolated process; what ends that process ends up as a reason, unless somebody else killed it."""
    work = ConvertTask(path, folder, library.profile, task.config, task.threads)
    for attempt in range(_TRIES):
        _clear(folder)
        try:
            return isolated.call(convert, work, on_progress)
        except IsolationError as error:
            if error.code in {"timed_out", "out_of_memory"} or (error.code == "crashed" and attempt > 0):
                return Converted((make_rejection(error.code, str(error)),))
            fault = error
        except MemoryError:
            return Converted((make_rejection("out_of_memory", "decoding asked for more memory than there is"),))
        except (WorkError, OSError):
            raise
        except Exception as error:  # noqa: BLE001  # whatever a decoder makes of a broken file is the file's own
            return Converted((make_rejection("crashed", f"decoding failed ({type(error).__name__}: {error})"),))
    raise SourceError(f"{task.source.name} could not be ingested: {fault}, {_TRIES} times; is there enough memory?")


def _still_true(known: FilmRecord, config: IngestConfig, library: Library) -> FilmRecord | None:
    """Return the record of a film that need not be converted again, judged anew if the thresholds have changed."""
    settings = _settings(config)
    if known.settings == settings:
        retried = not known.usable and (known.tools != _tools() or known.reasons[0].code in _MACHINES_FAULT)
        return None if retried else known
    if not known.usable or known.measures is None or known.probe is None:
        return None
    if not _decoded_alike(known, config):
        return None
    info = MediaInfo.model_validate_json(json.dumps(known.probe))
    reasons = judge_film(info, config.judge, known.measures, known.frames, library.profile.fps)
    update = {"reasons": reasons, "verdict": decide_verdict(reasons), "settings": settings}
    record = known.model_copy(update=update)
    if not record.usable:  # its proxy has to go: ingested as a new one
        return None
    library.replace_record(record)
    return record


def _decoded_alike(known: FilmRecord, config: IngestConfig) -> bool:
    """Return whether a film would be decoded to the same files and measures; thresholds of verdicts change neither."""
    try:
        before = IngestConfig.model_validate(known.settings)
    except ValidationError:  # of another version
        return False
    marks_before, marks = (before.mark, before.judge.silent_dbfs), (config.mark, config.judge.silent_dbfs)
    return (before.audio, marks_before) == (config.audio, marks)


def _record(
    task: FilmTask, film_id: FilmId, source_bytes: int, library: Library, converted: Converted, folder: Path
) -> FilmRecord:
    usable = not converted.rejected
    return FilmRecord(
        film_id=film_id,
        source=task.source.text,
        source_bytes=source_bytes,
        verdict=decide_verdict(converted.reasons),
        reasons=converted.reasons,
        duration_seconds=library.profile.grid.frame_to_seconds(converted.frames) if usable else 0.0,
        frames=converted.frames if usable else 0,
        width=converted.size[0] if usable else 0,
        height=converted.size[1] if usable else 0,
        shots=converted.shots if usable else 0,
        stored_bytes=sum(file.stat().st_size for file in folder.iterdir()),
        probe=converted.info.model_dump(mode="json") if converted.info else None,
        measures=converted.measures,
        settings=_settings(task.config),
        tools=_tools(),
    )


def _clear(folder: Path) -> None:
    """Remove what was made of a film, but for its thumbnails."""
    for file in folder.iterdir():
        if file.name != "strip.jpg":
            shutil.rmtree(file) if file.is_dir() else file.unlink()


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise SourceError(f"{format_path(path.name)} cannot be read any more ({describe_os_error(error)})") from error
    return status.st_size, status.st_mtime_ns, status.st_ino


def _hash(path: Path) -> FilmId:
    try:
        return parse_film_id(hash_file(path))
    except OSError as error:
        raise SourceError(f"{format_path(path.name)} cannot be read ({describe_os_error(error)})") from error


def _settings(config: IngestConfig) -> dict[str, JsonValue]:
    """Return what of the config a verdict depends on."""
    return config.model_dump(mode="json", exclude={"worker"})


def _tools() -> dict[str, str]:
    return {
        "talkies": version("talkies"),
        "av": av.__version__,
        "ffmpeg": ".".join(map(str, av.library_versions["libavcodec"])),
        "scenedetect": version("scenedetect-headless"),
    }
