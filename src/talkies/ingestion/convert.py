"""Convert a film in one pass: write its proxy, training audio, shots, annotated spans and thumbnails.

This code runs in an isolated process: it reads the source, writes files into one folder, and touches nothing else.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from talkies.core import BarSpan, MediaError, average_blocks, choose_block_side
from talkies.ingestion.annotations import AnnotationFinder
from talkies.ingestion.config import IngestConfig
from talkies.ingestion.judge import judge_film, make_rejection
from talkies.ingestion.shots import ShotFinder
from talkies.ingestion.strip import ThumbnailStrip, save_first_picture
from talkies.library import SHOT, Annotations, Measures, Profile, Reason, write_annotations
from talkies.media import (
    BarFinder,
    FilmResampler,
    FilmWriter,
    MediaInfo,
    ResampledAudio,
    ResampledFrame,
    X264Settings,
    open_wav_writer,
    probe,
)
from talkies.runtime import ProgressCallback, prefetch, read_peak_memory

_PREFETCH = 24  # how many frames and blocks of audio are decoded ahead of encoding


@dataclass(frozen=True, slots=True)
class ConvertTask:
    """One film to convert: its file, the folder for the results, the settings, and how many threads to use."""

    source: Path
    folder: Path
    profile: Profile
    config: IngestConfig
    threads: int


@dataclass(frozen=True, slots=True)
class ConvertedFilm:
    """The result for one film: the reasons against it, what its packets and decoding showed, and the proxy's size."""

    reasons: tuple[Reason, ...]
    info: MediaInfo | None = None
    measures: Measures | None = None
    frames: int = 0
    size: tuple[int, int] = (0, 0)
    shots: int = 0
    bars: tuple[BarSpan, ...] | None = None
    peak_memory_bytes: int = 0

    @property
    def rejected(self) -> bool:
        """Whether the film cannot be used."""
        return any(reason.rejects for reason in self.reasons)


def convert(task: ConvertTask, report: ProgressCallback) -> ConvertedFilm:
    """Probe, judge and convert a film.

    Args:
        task: The film and the settings.
        report: Called with the seconds of film done so far.

    Raises:
        SourceError: if the system does not allow reading the source.
        WorkError, OSError: if the folder cannot be written.
    """
    # Judge the film by its packets, without decoding it.
    try:
        info = probe(task.source, task.config.audio, lambda: report(0.0))
    except MediaError as error:
        return ConvertedFilm((make_rejection(error.code, str(error)),))
    reasons = judge_film(info, task.config.judge)
    if any(reason.rejects for reason in reasons):
        save_first_picture(task.source, info, task.folder / "strip.jpg", task.profile.short_side)
        return ConvertedFilm(reasons, info, peak_memory_bytes=read_peak_memory())

    # Decode it and judge again. The result of decoding damage depends on the number of threads, and a verdict must not:
    # a damaged film is decoded again with one thread, one with broken audio timestamps without them, and one whose
    # sound is in a few of many channels from those channels.
    try:
        first = _ConversionPass(task, info, task.threads)
        converted = first.run(report)
        threads = 1 if first.report.damaged_packets else task.threads
        ignore_timestamps = first.report.audio_timestamps_are_broken
        channels = first.report.dominant_channels
        if threads != task.threads or ignore_timestamps or channels:
            second = _ConversionPass(
                task, info, threads, ignore_audio_timestamps=ignore_timestamps, sound_channels=channels
            )
            converted = second.run(report)
    except MediaError as error:
        return ConvertedFilm((make_rejection(error.code, str(error)), *reasons), info)
    return converted


class _ConversionPass:
    """One pass over a film: every frame and block of audio goes to all writers and finders."""

    def __init__(
        self,
        task: ConvertTask,
        info: MediaInfo,
        threads: int,
        *,
        ignore_audio_timestamps: bool = False,
        sound_channels: tuple[int, ...] = (),
    ) -> None:
        self._task, self._info, self._threads = task, info, threads
        self._ignore_audio_timestamps = ignore_audio_timestamps
        self._sound_channels = sound_channels
        grid, config = task.profile.grid, task.config
        self._resampler = FilmResampler(
            task.source,
            info,
            grid,
            task.profile.short_side,
            threads,
            max_aspect_ratio=config.judge.most_aspect,
            ignore_audio_timestamps=ignore_audio_timestamps,
            channels=sound_channels,
        )
        self.report = self._resampler.report

        self._shots = ShotFinder(grid.fps, config.shots.detector, threads)
        self._bars = BarFinder(grid.fps)
        self._annotations = AnnotationFinder(config.mark, config.judge.silent_dbfs, grid.fps, grid.samples_per_frame)
        seconds = info.video.times.duration_seconds if info.video else 0.0
        self._strip = ThumbnailStrip(round(seconds * grid.fps))
        self._writer: FilmWriter | None = None  # opened with the first frame, which gives the size
        self._size = (0, 0)

    def run(self, report: ProgressCallback) -> ConvertedFilm:
        """Convert the film and return the result; `report` is called with the seconds of film done so far."""
        task, profile = self._task, self._task.profile
        with ExitStack() as files:
            wav = files.enter_context(open_wav_writer(task.folder / "audio.wav", profile.audio_rate_hz))
            parts: Iterator[ResampledFrame | ResampledAudio] = iter(self._resampler)
            if self._threads > 1:
                parts = files.enter_context(prefetch(parts, _PREFETCH))
            for part in parts:
                if isinstance(part, ResampledFrame):
                    self._push_frame(part, files)
                    report(part.index / profile.fps)
                else:
                    report(self.report.frames / profile.fps)
                    assert self._writer is not None, "audio comes after its frame"
                    wav.writeframes(part.samples_S.astype("<i2").tobytes())
                    self._writer.write_audio(part.samples_S)
                    self._annotations.push_audio(part.samples_S)
        self._strip.save(task.folder / "strip.jpg")
        return self._finish()

    def _push_frame(self, frame: ResampledFrame, files: ExitStack) -> None:
        if self._writer is None:
            profile, self._size = self._task.profile, frame.size
            settings = X264Settings(gop=profile.gop)
            path = self._task.folder / "proxy.mp4"
            writer = FilmWriter(path, frame.size, profile.fps, profile.audio_rate_hz, settings)
            self._writer = files.enter_context(writer)

        self._writer.write_frame(frame.frame)
        luma_HW = frame.to_yuv()[: frame.size[1]]
        self._annotations.push_frame(average_blocks(luma_HW, choose_block_side(luma_HW)), frame.repeated)
        self._bars.push(luma_HW, frame.repeated)
        bgr_HWC = frame.to_bgr()
        self._shots.push(bgr_HWC)
        self._strip.push(frame.index, bgr_HWC)

    def _finish(self) -> ConvertedFilm:
        """Write the annotations and judge the film by what decoding it showed."""
        report, found = self.report, self._annotations
        shots = self._shots.finish()
        annotations: Annotations = {SHOT: shots, "damaged": report.damaged_spans, **found.finish()}
        write_annotations(self._task.folder / "shots.parquet", annotations)

        measures = Measures(
            video_packets=report.video_packets,
            audio_packets=report.audio_packets,
            damaged_video_packets=report.damaged_video_packets,
            damaged_start_packets=report.damaged_start_packets,
            damaged_audio_packets=report.damaged_audio_packets,
            origin_seconds=report.origin_seconds,
            sound_start_seconds=report.audio_start_seconds,
            sound_end_seconds=report.audio_end_seconds,
            sound_gaps=report.audio_gaps,
            sound_laid_end_to_end=self._ignore_audio_timestamps,
            sound_lost_in_mix_seconds=report.lost_audio_seconds,
            sound_channels=self._sound_channels,
            peak_dbfs=found.peak_dbfs,
            black_frames=found.black.frames,
            still_frames=found.still.frames,
            silent_frames=found.silent.frames,
            damaged_frames=sum(len(span) for span in report.damaged_spans),
            changes=found.changes,
        )
        fps = self._task.profile.fps
        reasons = judge_film(self._info, self._task.config.judge, measures, report.frames, fps)
        return ConvertedFilm(
            reasons,
            self._info,
            measures,
            report.frames,
            self._size,
            len(shots),
            self._bars.finish([shot.start_frame for shot in shots]),
            read_peak_memory(),
        )
