"""Take one film into a library: the function that every worker runs."""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import av

from talkies.core import FilmId, MediaError, WorkError, as_film_id, cause_of, hash_of_file
from talkies.ingest.shots import ShotFinder
from talkies.library import FilmRecord, Library, Profile, Reason, Verdict, write_json
from talkies.library.catalogue import write_shots
from talkies.media import Conformer, FilmWriter, Picture, VideoCoding, probe, write_wav

SHORTEST_FILM_SECONDS = 1.0
LATE_SOUND_TO_WARN_SECONDS = 1.0
SHORTFALL_TO_WARN_SECONDS = 2.0  # sound may go on a little after the picture


@dataclass(frozen=True, slots=True)
class FilmTask:
    """One film to take: its file, the library's folder, and how many threads may decode it."""

    source: Path
    library: Path
    threads: int


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of one source: its film's record, and whether the library had it already."""

    source: Path
    record: FilmRecord
    reused: bool


def ingest_film(task: FilmTask) -> Ingested:
    """Hash, judge and convert one film, and commit it (or the record of its rejection) to the library.

    Raises:
        WorkError: if the source vanishes, or the library cannot be written.
    """
    library = Library.open(task.library)
    try:
        film_id = as_film_id(hash_of_file(task.source))
        known = library.record_of(film_id)
        if known and library.is_whole(film_id):
            return Ingested(task.source, known, reused=True)
        with library.committing(film_id) as folder:
            try:
                record = _convert(task, film_id, library.profile, folder)
            except MediaError as error:
                for file in folder.iterdir():
                    file.unlink()
                record = _rejection(task, film_id, Reason(code=error.code, text=str(error)))
            write_json(folder / "film.json", record)
    except OSError as error:
        raise WorkError(f"{task.source.name} could not be ingested: {cause_of(error)}") from error
    return Ingested(task.source, record, reused=False)


def _convert(task: FilmTask, film_id: FilmId, profile: Profile, folder: Path) -> FilmRecord:
    """Make proxy, training audio and shots in `folder`, in one pass over the film, and return its record."""
    info = probe(task.source)
    conformer = Conformer(task.source, profile.grid, profile.short_side, task.threads)
    finder = ShotFinder(profile.fps)
    with ExitStack() as files:
        wav = files.enter_context(write_wav(folder / "audio.wav", profile.audio_rate_hz))
        writer: FilmWriter | None = None
        size = (0, 0)
        for part in conformer:
            if isinstance(part, Picture):
                if writer is None:
                    size = part.size
                    coding = VideoCoding(gop=profile.gop)
                    proxy = FilmWriter(folder / "proxy.mp4", size, profile.fps, profile.audio_rate_hz, coding)
                    writer = files.enter_context(proxy)
                writer.write_frame(part.frame)
                finder.push(part.bgr_HWC())
            else:
                wav.writeframes(part.samples_S.astype("<i2").tobytes())
                assert writer is not None, "sound comes after its picture"
                writer.write_sound(part.samples_S)
    report = conformer.report
    duration_seconds = profile.grid.seconds_of_frame(report.frames)
    if duration_seconds < SHORTEST_FILM_SECONDS:
        raise MediaError(
            "too_short",
            f"{task.source.name} lasts {duration_seconds:.2f} s; a film lasts at least {SHORTEST_FILM_SECONDS:g} s",
        )
    shots = finder.finish()
    write_shots(folder / "shots.parquet", shots)
    warnings = _warnings(conformer, duration_seconds, info.claimed_seconds)
    return FilmRecord(
        film_id=film_id,
        source=_name(task.source),
        source_bytes=task.source.stat().st_size,
        verdict=Verdict.WARNED if warnings else Verdict.ACCEPTED,
        reasons=tuple(warnings),
        duration_seconds=duration_seconds,
        frames=report.frames,
        width=size[0],
        height=size[1],
        shots=len(shots),
        stored_bytes=sum(file.stat().st_size for file in folder.iterdir()),
        container=info.container,
        video_codec=info.video.codec if info.video else None,
        audio_codec=info.audio.codec if info.audio else None,
        sound_start_seconds=report.sound_start_seconds,
        sound_end_seconds=report.sound_end_seconds,
        damaged_packets=report.damaged_packets,
        packets=report.packets,
        tools=_tools(),
    )


def _warnings(conformer: Conformer, duration_seconds: float, claimed_seconds: float | None) -> list[Reason]:
    report, warnings = conformer.report, []
    if claimed_seconds is not None and claimed_seconds - duration_seconds > SHORTFALL_TO_WARN_SECONDS:
        text = f"the container claims {claimed_seconds:.2f} s, {duration_seconds:.2f} s of picture could be read"
        warnings.append(Reason(code="shorter_than_claimed", text=text))
    if report.damaged_packets:
        text = f"{report.damaged_packets} of {report.packets} packets could not be decoded"
        warnings.append(Reason(code="damaged_packets", text=text))
    end, start = report.sound_end_seconds or 0.0, report.sound_start_seconds or 0.0
    if duration_seconds - end > LATE_SOUND_TO_WARN_SECONDS:
        text = f"the sound ends {duration_seconds - end:.2f} s before the picture"
        warnings.append(Reason(code="short_audio", text=text))
    if start > LATE_SOUND_TO_WARN_SECONDS:
        warnings.append(Reason(code="late_audio", text=f"the sound begins {start:.2f} s after the picture"))
    return warnings


def _rejection(task: FilmTask, film_id: FilmId, reason: Reason) -> FilmRecord:
    return FilmRecord(
        film_id=film_id,
        source=_name(task.source),
        source_bytes=task.source.stat().st_size,
        verdict=Verdict.REJECTED,
        reasons=(reason,),
        tools=_tools(),
    )


def _name(source: Path) -> str:
    """Return a path as text; bytes that are no UTF-8 become question marks."""
    return os.fsencode(source).decode("utf-8", "replace")


def _tools() -> dict[str, str]:
    return {
        "talkies": version("talkies"),
        "av": av.__version__,
        "ffmpeg": ".".join(map(str, av.library_versions["libavcodec"])),
        "scenedetect": version("scenedetect-headless"),
    }


def threads_for(workers: int) -> int:
    """Return how many threads each of `workers` may decode with, so that together they are no more than the cores."""
    return max(1, len(os.sched_getaffinity(0)) // workers)
