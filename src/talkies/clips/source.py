"""Read requested clips from a library, with a bounded number of open files."""

import shlex
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from talkies.core import (
    Clip,
    ClipBatch,
    ClipRequest,
    ClipShape,
    FilmId,
    Int16s,
    LibraryError,
    MediaError,
    UInt8s,
    quote_path,
    yuv_rows,
)
from talkies.library import FilmRecord, Library
from talkies.media import INGEST_AGAIN, AudioReader, VideoReader

MOST_OPEN_FILMS = 8


class ClipSource:
    """Reads clips of a library's films; pictures are cropped to the square in their middle.

    It can be sent to other processes, which open the films themselves. An error names the film's source file and the
    command that repairs the film.
    """

    def __init__(self, library: Library, shape: ClipShape) -> None:
        self._library, self._shape = library, shape
        self._open: OrderedDict[FilmId, tuple[VideoReader, AudioReader]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state that another process gets: without the films that are open here."""
        return {**self.__dict__, "_open": OrderedDict()}

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
        self._read_into(request, video_TPW, audio_S)
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
            requests: `B` clips, in any order; one that comes twice is read once.
            video_BTPW: Receives the pictures of each clip.
            audio_BS: Receives the samples of each clip.

        Raises:
            MediaError: as `read`.
        """
        first_places: dict[ClipRequest, int] = {}
        for place in sorted(range(len(requests)), key=requests.__getitem__):
            first = first_places.setdefault(requests[place], place)
            if first == place:
                self._read_into(requests[place], video_BTPW[place], audio_BS[place])
            else:
                video_BTPW[place], audio_BS[place] = video_BTPW[first], audio_BS[first]

    def close(self) -> None:
        """Close every open film."""
        for film_id in list(self._open):
            self._close(film_id)

    def empty_batch(self, *clips: int) -> tuple[UInt8s, Int16s]:
        """Return uninitialised arrays for the pictures and samples of one clip, or of batches of the given sizes."""
        profile, shape = self._library.profile, self._shape
        side = profile.short_side
        samples = shape.audio_frames * profile.grid.samples_per_frame
        video = np.empty((*clips, shape.frames, yuv_rows(side), side), np.uint8)
        return video, np.empty((*clips, samples), np.int16)

    def _read_into(self, request: ClipRequest, video_TPW: UInt8s, audio_S: Int16s) -> None:
        try:
            video, sound = self._open_readers(request.film_id)
            video.read_into(self._shape.select_video_frames(request.window), video_TPW)
            sound.read_into(self._shape.select_audio_span(request.audio_window), audio_S)
        except MediaError as error:
            self._close(request.film_id)  # it is opened again once it is repaired
            raise MediaError(error.code, self._describe(request, error)) from error

    def _open_readers(self, film_id: FilmId) -> tuple[VideoReader, AudioReader]:
        if film_id in self._open:
            self._open.move_to_end(film_id)
            return self._open[film_id]
        while len(self._open) >= MOST_OPEN_FILMS:
            self._close(next(iter(self._open)))
        video = VideoReader(self._library.proxy_path(film_id), self._library.profile.fps)
        self._open[film_id] = video, AudioReader(self._library.audio_path(film_id))
        return self._open[film_id]

    def _close(self, film_id: FilmId) -> None:
        for reader in self._open.pop(film_id, ()):
            reader.close()

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
