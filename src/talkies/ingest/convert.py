"""One pass over a film: proxy, training audio, shots, marked spans and a strip of thumbnails, all at once.

This is what runs in an isolated process: it reads the source, writes files into one folder, and touches nothing else.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from talkies.core import MediaError, Span, UInt8s
from talkies.ingest.annotations import AnnotationFinder
from talkies.ingest.config import IngestConfig
from talkies.ingest.judge import judge_film
from talkies.ingest.shots import ShotFinder
from talkies.ingest.strip import Strip, first_picture
from talkies.library import SHOT, Measures, Profile, Reason, write_annotations
from talkies.media import (
    FilmResampler,
    FilmWriter,
    MediaInfo,
    ResampledAudio,
    ResampledFrame,
    ResampleReport,
    X264Settings,
    open_wav_writer,
    probe,
)
from talkies.runtime import ProgressCallback, peak_memory_bytes, prefetch

_AHEAD = 24  # pictures and pieces of sound that decoding may be ahead of encoding


@dataclass(frozen=True, slots=True)
class ConvertTask:
    """One film to convert: its file, the folder for what is made of it, how, and the threads that it may keep busy."""

    source: Path
    folder: Path
    profile: Profile
    config: IngestConfig
    threads: int


@dataclass(frozen=True, slots=True)
class ConvertedFilm:
    """What a film is and what became of it: reasons (it is rejected if one of them rejects), size, shots, measures."""

    reasons: tuple[Reason, ...]
    info: MediaInfo | None = None
    measures: Measures | None = None
    frames: int = 0
    size: tuple[int, int] = (0, 0)
    shots: int = 0
    peak_memory_bytes: int = 0

    @property
    def rejected(self) -> bool:
        """Whether the film cannot be used."""
        return any(reason.rejects for reason in self.reasons)


def convert(task: ConvertTask, report: ProgressCallback) -> ConvertedFilm:
    """Probe, judge and convert a film; `report` is told the seconds of film done so far.

    Raises:
        SourceError: if the system does not let the source be read.
        WorkError, OSError: if the folder cannot be written.
    """
    try:
        info = probe(task.source, task.config.audio, lambda: report(0.0))
    except MediaError as error:
        return ConvertedFilm((Reason(code=error.code, text=str(error), rejects=True),))
    reasons = judge_film(info, task.config.judge)
    if any(reason.rejects for reason in reasons):
        first_picture(task.source, info, task.folder / "strip.jpg", task.profile.short_side)
        return ConvertedFilm(reasons, info, peak_memory_bytes=peak_memory_bytes())
    try:
        first = _Pass(task, info, task.threads)
        converted = first.run(report)
        # What a decoder makes of damage depends on its threads; a verdict must not.
        threads = 1 if first.met.damaged_packets else task.threads
        if threads != task.threads or first.met.audio_timestamps_are_broken:
            converted = _Pass(task, info, threads, sound_end_to_end=first.met.audio_timestamps_are_broken).run(report)
    except MediaError as error:
        return ConvertedFilm((Reason(code=error.code, text=str(error), rejects=True), *reasons), info)
    return converted


class _Pass:
    """The one pass: every picture and sound goes to all that want it, then the film is judged again."""

    def __init__(self, task: ConvertTask, info: MediaInfo, threads: int, *, sound_end_to_end: bool = False) -> None:
        self._task, self._info, self._threads, self._end_to_end = task, info, threads, sound_end_to_end
        grid, config = task.profile.grid, task.config
        self._conformer = FilmResampler(
            task.source,
            info,
            grid,
            task.profile.short_side,
            threads,
            max_aspect_ratio=config.judge.most_aspect,
            ignore_audio_timestamps=sound_end_to_end,
        )
        self.met = self._conformer.report
        self._shots = ShotFinder(grid.fps)
        self._marks = AnnotationFinder(config.mark, config.judge.silent_dbfs, grid.fps, grid.samples_per_frame)
        seconds = info.video.times.duration_seconds if info.video else 0.0
        self._strip = Strip(round(seconds * grid.fps))
        self._writer: FilmWriter | None = None
        self._size = (0, 0)

    def run(self, report: ProgressCallback) -> ConvertedFilm:
        task, profile = self._task, self._task.profile
        with ExitStack() as files:
            wav = files.enter_context(open_wav_writer(task.folder / "audio.wav", profile.audio_rate_hz))
            parts: Iterator[ResampledFrame | ResampledAudio] = iter(self._conformer)
            if self._threads > 1:
                parts = files.enter_context(prefetch(parts, _AHEAD))
            for part in parts:
                if isinstance(part, ResampledFrame):
                    self._take_picture(part, files)
                    report(part.index / profile.fps)
                else:
                    report(self.met.frames / profile.fps)
                    assert self._writer is not None, "sound comes after its picture"
                    wav.writeframes(part.samples_S.astype("<i2").tobytes())
                    self._writer.write_audio(part.samples_S)
                    self._marks.push_sound(part.samples_S)
        self._strip.save(task.folder / "strip.jpg")
        return self._judged(self.met)

    def _take_picture(self, picture: ResampledFrame, files: ExitStack) -> None:
        if self._writer is None:
            profile, self._size = self._task.profile, picture.size
            coding = X264Settings(gop=profile.gop)
            path = self._task.folder / "proxy.mp4"
            writer = FilmWriter(path, picture.size, profile.fps, profile.audio_rate_hz, coding)
            self._writer = files.enter_context(writer)
        self._writer.write_frame(picture.frame)
        self._marks.push_picture(_luma(picture), picture.repeated)
        bgr_HWC = picture.to_bgr()
        self._shots.push(bgr_HWC)
        self._strip.push(picture.index, bgr_HWC)

    def _judged(self, report: ResampleReport) -> ConvertedFilm:
        shots = self._shots.finish()
        marks: dict[str, list[Span]] = {SHOT: shots, "damaged": report.damaged_spans, **self._marks.finish()}
        write_annotations(self._task.folder / "shots.parquet", marks)
        measures = Measures(
            video_packets=report.video_packets,
            audio_packets=report.audio_packets,
            damaged_video_packets=report.damaged_video_packets,
            damaged_audio_packets=report.damaged_audio_packets,
            origin_seconds=report.origin_seconds,
            sound_start_seconds=report.audio_start_seconds,
            sound_end_seconds=report.audio_end_seconds,
            sound_gaps=report.audio_gaps,
            sound_laid_end_to_end=self._end_to_end,
            peak_dbfs=self._marks.peak_dbfs,
            black_frames=self._marks.black.frames,
            still_frames=self._marks.still.frames,
            silent_frames=self._marks.silent.frames,
            damaged_frames=sum(len(span) for span in report.damaged_spans),
        )
        fps = self._task.profile.fps
        reasons = judge_film(self._info, self._task.config.judge, measures, report.frames, fps)
        return ConvertedFilm(reasons, self._info, measures, report.frames, self._size, len(shots), peak_memory_bytes())


def _luma(picture: ResampledFrame) -> UInt8s:
    """Return the luma plane `[H, W]`."""
    return picture.to_yuv()[: picture.size[1]]
