"""Read requested clips from a library, with a bounded number of open files."""

import shlex
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import torch

from talkies.clips.framing import find_part, fit_square
from talkies.clips.held_films import HeldFilm, HeldFilms
from talkies.core import (
    Bars,
    BarSpan,
    Clip,
    ClipBatch,
    ClipRequest,
    ClipShape,
    FilmId,
    Framing,
    Int16s,
    LibraryError,
    MediaError,
    Span,
    UInt8s,
    find_largest_bars,
    quote_path,
    yuv_rows,
)
from talkies.library import FilmRecord, Library
from talkies.media import INGEST_AGAIN, AudioReader, ProxyReader, VideoReader
from talkies.media.cuda_reader import CudaVideoReader

MOST_OPEN_FILMS = 8


@dataclass(frozen=True, slots=True)
class _OpenFilm:
    """A film's readers and the bars burnt into its pictures."""

    video: ProxyReader
    sound: AudioReader
    bars: tuple[BarSpan, ...]


def _find_moment(request: ClipRequest) -> tuple[FilmId, Span, int]:
    return request.film_id, request.window, request.audio_shift_frames


class ClipSource:
    """Reads clips of a library's films; pictures are cropped to squares, without the bars burnt into them.

    `framing` `whole` scales all of a picture into the square instead. A film that was ingested before bars were looked
    for is taken to have none.

    It can be sent to other processes, which open the films themselves. An error names the film's source file and the
    command that repairs the film.
    """

    def __init__(self, library: Library, shape: ClipShape, framing: Framing = "centre") -> None:
        self._library, self._shape, self._framing = library, shape, framing
        self._open: OrderedDict[FilmId, _OpenFilm] = OrderedDict()
        self._held = HeldFilms()
        self._device = "cpu"

    def __getstate__(self) -> dict[str, Any]:
        """Return the state that another process gets: without the films that are open here."""
        return {**self.__dict__, "_open": OrderedDict()}

    @property
    def library(self) -> Library:
        """The library that clips are read from."""
        return self._library

    @property
    def shape(self) -> ClipShape:
        """What a clip is made of: how many pictures and samples."""
        return self._shape

    def read(self, request: ClipRequest) -> Clip:
        """Return one clip.

        Raises:
            MediaError: if the film's files are missing, damaged, too short, or decode to other times than requested.
        """
        video_TPW, audio_S = self.empty_batch()
        self._read_moment([request], [video_TPW], [audio_S])
        return Clip(request, video_TPW, audio_S)

    def read_all(self, requests: Iterable[ClipRequest]) -> list[Clip]:
        """Return clips in the order of `requests`; they are read film by film, in the order of time.

        Raises:
            MediaError: as `read`.
        """
        requests = list(requests)
        clips = {request: self.read(request) for request in sorted(set(requests))}
        return [clips[request] for request in requests]

    def read_batch(self, requests: Sequence[ClipRequest]) -> ClipBatch:
        """Return the clips of `requests` as one batch; the films are numbered in the order in which they come.

        Raises:
            MediaError: as `read`.
        """
        video_BTPW, audio_BS = self.empty_batch(len(requests))
        self.read_into(requests, video_BTPW, audio_BS)
        return _build_batch(requests, video_BTPW, audio_BS)

    def read_into(self, requests: Sequence[ClipRequest], video_BTPW: UInt8s, audio_BS: Int16s) -> None:
        """Read the clips of `requests` into arrays of `empty_batch`, film by film in the order of time.

        Args:
            requests: `B` clips, in any order; one that comes twice is read once, and several squares of the same
                moment are decoded once.
            video_BTPW: Receives the pictures of each clip.
            audio_BS: Receives the samples of each clip.

        Raises:
            MediaError: as `read`.
        """
        first_rows: dict[ClipRequest, int] = {}
        repeated: list[tuple[int, int]] = []
        for row in sorted(range(len(requests)), key=requests.__getitem__):
            first = first_rows.setdefault(requests[row], row)
            if first != row:
                repeated.append((row, first))

        for _, moment in groupby(first_rows, key=_find_moment):
            rows = [first_rows[request] for request in moment]
            self._read_moment([requests[r] for r in rows], [video_BTPW[r] for r in rows], [audio_BS[r] for r in rows])
        for row, first in repeated:
            video_BTPW[row], audio_BS[row] = video_BTPW[first], audio_BS[first]

    def hold_films(self, memory_mib: int) -> None:
        """Let each process that reads hold decoded films of so many MiB; with another number, those held are let go.

        A film that is requested and still fits is decoded whole, and its clips are cut from memory from then on; the
        others are read from their files. Clips and errors are the same. A film takes 1.5 bytes for each pixel of its
        proxy's frames, and 2 for each sample.
        """
        if memory_mib != self._held.memory_mib:
            self._held = HeldFilms(memory_mib)

    def decode_on(self, device: str) -> None:
        """Let a device decode pictures from now on: `cpu`, or the name of a CUDA device. Clips are the same."""
        if device != self._device:
            self.close()
            self._device = device

    def close(self) -> None:
        """Close every open film, and let go of those that are held in memory."""
        for film_id in list(self._open):
            self._close(film_id)
        self._held = HeldFilms(self._held.memory_mib)

    def empty_batch(self, *clips: int) -> tuple[UInt8s, Int16s]:
        """Return uninitialised arrays for the pictures and samples of one clip, or of batches of the given sizes."""
        profile, shape = self._library.profile, self._shape
        side = profile.short_side
        samples = shape.audio_frames * profile.grid.samples_per_frame
        video = np.empty((*clips, shape.frames, yuv_rows(side), side), np.uint8)
        return video, np.empty((*clips, samples), np.int16)

    def _read_moment(self, requests: Sequence[ClipRequest], videos: Sequence[UInt8s], audios: Sequence[Int16s]) -> None:
        """Read the clips of one moment of a film, which differ only in the place of their squares."""
        request = requests[0]
        try:
            film = self._find_film(request)
            self._read_pictures(film, requests, videos)
            film.sound.read_into(self._shape.select_audio_span(request.audio_window), audios[0])
            for audio_S in audios[1:]:
                audio_S[:] = audios[0]
        except MediaError as error:
            self._close(request.film_id)  # it is opened again once it is repaired
            raise MediaError(error.code, self._describe(request, error)) from error

    def _find_film(self, request: ClipRequest) -> _OpenFilm | HeldFilm:
        """Return the film in memory if it is held or can be, and has the clip; its open files otherwise."""
        film_id, grid = request.film_id, self._library.profile.grid
        held = self._held.find(film_id)
        if held is None:
            film = self._open_film(film_id)
            if min(film.video.width, film.video.height) == self._library.profile.short_side:
                held = self._held.hold(film_id, film.video, film.sound, film.bars)
            if held is None:
                return film
            self._close(film_id)
        frames = self._shape.select_video_frames(request.window)
        samples = self._shape.select_audio_span(request.audio_window).end_frame * grid.samples_per_frame
        return held if held.has(frames, samples) else self._open_film(film_id)

    def _read_pictures(
        self, film: _OpenFilm | HeldFilm, requests: Sequence[ClipRequest], videos: Sequence[UInt8s]
    ) -> None:
        frames = self._shape.select_video_frames(requests[0].window)
        bars = find_largest_bars(film.bars, Span(frames[0], frames[-1] + 1)) if film.bars else Bars()
        size, side = (film.video.width, film.video.height), videos[0].shape[-1]
        parts = [find_part(bars, size, self._framing, request.place) for request in requests]
        if not bars and self._framing != "whole":  # a proxy of another size is refused
            parts = [replace(part, width=side, height=side) for part in parts]

        # Read straight into the batch what has its size already.
        buffers = [
            video_TPW
            if (part.width, part.height) == (side, side)
            else np.empty((len(frames), yuv_rows(part.height), part.width), np.uint8)
            for part, video_TPW in zip(parts, videos, strict=True)
        ]
        film.video.read_parts(frames, list(zip(parts, buffers, strict=True)))
        for buffer, video_TPW in zip(buffers, videos, strict=True):
            if buffer is not video_TPW:
                video_TPW[:] = fit_square(buffer, side)

    def _open_film(self, film_id: FilmId) -> _OpenFilm:
        if film_id in self._open:
            self._open.move_to_end(film_id)
            return self._open[film_id]
        while len(self._open) >= MOST_OPEN_FILMS:
            self._close(next(iter(self._open)))
        path, fps = self._library.proxy_path(film_id), self._library.profile.fps
        video = VideoReader(path, fps) if self._device == "cpu" else CudaVideoReader(path, fps, self._device)
        sound = AudioReader(self._library.audio_path(film_id))
        record = _find_record(self._library, film_id)
        self._open[film_id] = _OpenFilm(video, sound, (record.bars if record else None) or ())
        return self._open[film_id]

    def _close(self, film_id: FilmId) -> None:
        film = self._open.pop(film_id, None)
        if film is not None:
            film.video.close()
            film.sound.close()

    def _describe(self, request: ClipRequest, error: MediaError) -> str:
        """Return a sentence that says which film is wrong, how, and which command repairs it."""
        film_id, library, fps = request.film_id, self._library, self._library.profile.fps
        problem = str(error).removesuffix(INGEST_AGAIN)
        record = _find_record(library, film_id)
        if record is None:
            return f"film {film_id}: {problem}; ingest its source again into {library.location}"
        end = max(request.window.end_frame, request.audio_window.end_frame)
        is_complete = library.is_complete(film_id)
        if error.code == "truncated" and is_complete and end > record.frames:
            return (
                f"{record.printable_name} ends at {record.frames / fps} s, and a clip up to {end / fps} s was requested"
            )
        command = f"talkies ingest {quote_path(record.source)} --library {shlex.quote(library.location)}"
        if is_complete:  # by its size: ingest would not rebuild it
            command = f"{shlex.join(['rm', str(library.film_folder(film_id) / 'proxy.mp4')])} && {command}"
        return f"{record.printable_name}: {problem}; repair it with: {command}"


def _find_record(library: Library, film_id: FilmId) -> FilmRecord | None:
    try:
        return library.record_of(film_id)
    except LibraryError:  # the record is damaged too
        return None


def collate(clips: Sequence[Clip]) -> ClipBatch:
    """Return clips as one batch; the films are numbered in the order in which they come."""
    return _build_batch(
        [clip.request for clip in clips],
        np.stack([clip.video_TPW for clip in clips]),
        np.stack([clip.audio_S for clip in clips]),
    )


def _build_batch(requests: Sequence[ClipRequest], video_BTPW: UInt8s, audio_BS: Int16s) -> ClipBatch:
    film_ids = dict.fromkeys(request.film_id for request in requests)
    numbers = {film_id: number for number, film_id in enumerate(film_ids)}
    return ClipBatch(
        requests=tuple(requests),
        video_BTPW=torch.from_numpy(video_BTPW),
        audio_BS=torch.from_numpy(audio_BS),
        film_B=torch.tensor([numbers[request.film_id] for request in requests], dtype=torch.int64),
    )
