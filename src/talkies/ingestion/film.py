"""Ingest one film: the function that every worker runs, on this machine or on a cluster."""

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import av
from pydantic import JsonValue, ValidationError

from talkies.core import (
    FilmId,
    Grid,
    LibraryError,
    SourceError,
    WorkError,
    describe_os_error,
    format_path,
    parse_film_id,
    text_to_path,
)
from talkies.ingestion.config import IngestConfig
from talkies.ingestion.convert import ConvertedFilm, ConvertTask, convert
from talkies.ingestion.judge import decide_verdict, judge_film, make_rejection, sort_reasons
from talkies.ingestion.source import Source
from talkies.library import FilmRecord, Library, Reason, Verdict, write_json
from talkies.media import MediaInfo
from talkies.runtime import IsolatedProcess, IsolationError, hash_file, is_remote

_MAX_ATTEMPTS = 3
"""How often a film is tried whose worker process was killed from outside: that says nothing about the film."""
_MACHINE_VERDICTS = frozenset({"timed_out", "out_of_memory", "crashed"})
"""Rejections that may depend on the machine or its load: the next ingest tries such a film again."""


@dataclass(frozen=True, slots=True)
class FilmTask:
    """One film to ingest: its file, the library, the settings, and how many threads the work may use."""

    source: Source
    library: str
    config: IngestConfig
    threads: int


@dataclass(frozen=True, slots=True)
class IngestedFilm:
    """The verdict on one source: its film's record, and whether the library held the film already."""

    source: Source
    record: FilmRecord
    reused: bool
    duplicate_of: Source | None = None
    peak_memory_bytes: int = 0

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The film's reasons, and `duplicate` if the source is one."""
        if self.duplicate_of is None:
            return self.record.reasons
        text = f"it has the same bytes as {self.duplicate_of.printable_name}"
        return sort_reasons((*self.record.reasons, Reason(code="duplicate", text=text)))

    @property
    def verdict(self) -> Verdict:
        """The verdict on this source."""
        return decide_verdict(self.reasons)


@dataclass(frozen=True, slots=True)
class FailedFilm:
    """A source without a verdict, because the work itself failed, and the error's message."""

    source: Source
    message: str


def ingest_film(
    task: FilmTask, isolated: IsolatedProcess, on_progress: Callable[[float], None] | None = None
) -> IngestedFilm:
    """Hash, judge and convert one film, and commit it (or the record of its rejection) to the library.

    Args:
        task: The film, the library and the settings.
        isolated: The process that converts; it may be restarted.
        on_progress: Called with the seconds of film done so far.

    Raises:
        SourceError: if the source cannot be read, vanishes, or changes meanwhile; other films are not affected.
        WorkError: if the library cannot be written.
    """
    library = Library.open(task.library)
    with task.source.open_local() as path:
        stamp = _read_stamp(path)
        film_id = _hash_source(path)

        # A film that the library holds, judged by the same settings, is done.
        former = _read_former_record(library, film_id)
        known = former if library.is_complete(film_id) else None
        if known and (record := _reuse_record(known, task.config, library)):
            return IngestedFilm(task.source, record, reused=True)

        try:
            with library.commit_film(film_id) as folder:
                work = ConvertTask(path, folder, library.profile, task.config, task.threads)
                converted = _convert_isolated(work, task.source.printable_name, isolated, on_progress)
                if _read_stamp(path) != stamp:
                    raise SourceError(
                        f"{task.source.printable_name} changed while it was read; ingest it again when it is complete"
                    )
                if converted.rejected:
                    _clear_folder(folder)
                record = _build_record(
                    task,
                    converted,
                    film_id=film_id,
                    source_bytes=stamp[0],
                    stored_bytes=sum(file.stat().st_size for file in folder.iterdir()),
                    grid=library.profile.grid,
                )
                if former:
                    record = name_sources(record, former.sources)
                write_json(folder / "film.json", record)
        except OSError as error:
            raise WorkError(
                f"{task.source.printable_name} could not be ingested: {describe_os_error(error)}"
            ) from error
    return IngestedFilm(task.source, record, reused=False, peak_memory_bytes=converted.peak_memory_bytes)


def name_sources(record: FilmRecord, others: Iterable[str]) -> FilmRecord:
    """Return a record that also holds `others`, the texts of paths and URLs at which the film was found.

    The record's `source` stays while its file exists; then the first other path that exists takes its place.
    """
    known = dict.fromkeys((*record.sources, *others))
    source = record.source
    if not _exists(source, record.source_bytes):
        source = next((text for text in known if _exists(text, record.source_bytes)), source)
    return record.model_copy(
        update={"source": source, "other_sources": tuple(text for text in known if text != source)}
    )


def _exists(text: str, size: int) -> bool:
    """Return whether a source is a URL, or a file of this size on this machine."""
    if is_remote(text):
        return True
    path = text_to_path(text)
    try:
        return path.is_file() and path.stat().st_size == size
    except OSError:
        return False


def _read_former_record(library: Library, film_id: FilmId) -> FilmRecord | None:
    """Return the record that the library holds of a film, None if there is none or it is damaged."""
    try:
        return library.record_of(film_id)
    except LibraryError:
        return None


def _convert_isolated(
    work: ConvertTask, name: str, isolated: IsolatedProcess, on_progress: Callable[[float], None] | None
) -> ConvertedFilm:
    """Convert a film in the isolated process; whatever ends that process becomes a reason for rejection.

    The exception is a process that was killed from outside: the film is tried again, then reported as failed.
    """
    for attempt in range(_MAX_ATTEMPTS):
        _clear_folder(work.folder)
        try:
            return isolated.call(convert, work, on_progress)
        except IsolationError as error:
            if error.code in {"timed_out", "out_of_memory"} or (error.code == "crashed" and attempt > 0):
                return ConvertedFilm((make_rejection(error.code, str(error)),))
            last_error = error
        except MemoryError:
            return ConvertedFilm((make_rejection("out_of_memory", "decoding needed more memory than is available"),))
        except (WorkError, OSError):
            raise
        except Exception as error:  # noqa: BLE001  # any exception that a broken file causes is a verdict on that file
            return ConvertedFilm((make_rejection("crashed", f"decoding failed ({type(error).__name__}: {error})"),))
    raise SourceError(f"{name} could not be ingested: {last_error}, {_MAX_ATTEMPTS} times; is there enough memory?")


def _reuse_record(known: FilmRecord, config: IngestConfig, library: Library) -> FilmRecord | None:
    """Return the record of a film that need not be converted again, with a new verdict if the thresholds changed."""
    settings = _dump_settings(config)
    if known.settings == settings:
        if known.usable:
            return known
        by_other_tools = known.tools != _read_tool_versions()
        return None if by_other_tools or known.reasons[0].code in _MACHINE_VERDICTS else known

    if not known.usable or known.measures is None or known.probe is None:
        return None
    if not _would_decode_the_same(known, config):
        return None

    # Only thresholds changed: judge again by the stored measures.
    info = MediaInfo.model_validate_json(json.dumps(known.probe))
    reasons = judge_film(info, config.judge, known.measures, known.frames, library.profile.fps)
    update = {"reasons": reasons, "verdict": decide_verdict(reasons), "settings": settings}
    record = known.model_copy(update=update)
    if not record.usable:  # its proxy has to be removed: ingest it as a new film
        return None
    library.replace_record(record)
    return record


def _would_decode_the_same(known: FilmRecord, config: IngestConfig) -> bool:
    """Return whether `config` leads to the same files and measures; thresholds of verdicts change neither."""
    try:
        before = IngestConfig.model_validate(known.settings)
    except ValidationError:  # written by another version
        return False
    same_audio = before.audio == config.audio
    same_annotations = (before.mark, before.judge.silent_dbfs) == (config.mark, config.judge.silent_dbfs)
    return same_audio and same_annotations and before.shots == config.shots


def _build_record(
    task: FilmTask, converted: ConvertedFilm, *, film_id: FilmId, source_bytes: int, stored_bytes: int, grid: Grid
) -> FilmRecord:
    usable = not converted.rejected
    return FilmRecord(
        film_id=film_id,
        source=task.source.text,
        source_bytes=source_bytes,
        verdict=decide_verdict(converted.reasons),
        reasons=converted.reasons,
        duration_seconds=grid.frame_to_seconds(converted.frames) if usable else 0.0,
        frames=converted.frames if usable else 0,
        width=converted.size[0] if usable else 0,
        height=converted.size[1] if usable else 0,
        shots=converted.shots if usable else 0,
        stored_bytes=stored_bytes,
        probe=converted.info.model_dump(mode="json") if converted.info else None,
        measures=converted.measures,
        bars=converted.bars if usable else None,
        settings=_dump_settings(task.config),
        tools=_read_tool_versions(),
    )


def _clear_folder(folder: Path) -> None:
    """Remove all files of an unfinished film except its thumbnails."""
    for file in folder.iterdir():
        if file.name != "strip.jpg":
            shutil.rmtree(file) if file.is_dir() else file.unlink()


def _read_stamp(path: Path) -> tuple[int, int, int]:
    """Return a file's size, modification time and inode, which show whether it has changed."""
    try:
        status = path.stat()
    except OSError as error:
        raise SourceError(f"{format_path(path.name)} can no longer be read ({describe_os_error(error)})") from error
    return status.st_size, status.st_mtime_ns, status.st_ino


def _hash_source(path: Path) -> FilmId:
    try:
        return parse_film_id(hash_file(path))
    except OSError as error:
        raise SourceError(f"{format_path(path.name)} cannot be read ({describe_os_error(error)})") from error


def _dump_settings(config: IngestConfig) -> dict[str, JsonValue]:
    """Return the part of the config that a verdict depends on."""
    return config.model_dump(mode="json", exclude={"worker"})


def _read_tool_versions() -> dict[str, str]:
    return {
        "talkies": version("talkies"),
        "av": av.__version__,
        "ffmpeg": ".".join(map(str, av.library_versions["libavcodec"])),
        "scenedetect": version("scenedetect-headless"),
    }
