"""Read the clips that are asked for from a library, with a bounded number of open files."""

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
    yuv_rows,
)
from talkies.library import FilmRecord, Library
from talkies.media import INGEST_AGAIN, AudioReader, VideoReader

MOST_OPEN_FILMS = 8


class ClipSource:
    """Reads clips of a library's films; pictures are cut to the square in their middle.

    It may be handed to other processes, which open the films for themselves. An error names the film's source
    file and the command that repairs the film.
    """

    def __init__(self, library: Library, shape: ClipShape) -> None:
        self._library, self._shape = library, shape
        self._open: OrderedDict[FilmId, tuple[VideoReader, AudioReader]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process is given: not the films that are open here."""
        return {**self.__dict__, "_open": OrderedDict()}

    @property
    def shape(self) -> ClipShape:
        """What a clip is made of."""
        return self._shape

    def read(self, request: ClipRequest) -> Clip:
        """Return one clip.

        Raises:
            MediaError: if the film's files are missing, damaged, too short, or give another time than asked for.
        """
        video_TPW, audio_S = self.empty_batch()
        self._read_into(request, video_TPW, audio_S)
        return Clip(request, video_TPW, audio_S)

    def read_all(self, requests: Iterable[ClipRequest]) -> list[Clip]:
        """Return clips in the order of `requests`, read film by film in the order of time.

        Raises:
            MediaError: as `read`.
        """
        wanted = list(requests)
        clips = {request: self.read(request) for request in sorted(set(wanted))}
        return [clips[request] for request in wanted]

    def batch(self, requests: Sequence[ClipRequest], film_numbers: dict[FilmId, int]) -> ClipBatch:
        """Return the clips of `requests` as one batch, read in its place; `film_numbers` numbers the films.

        Raises:
            MediaError: as `read`.
        """
        video_BTPW, audio_BS = self.empty_batch(len(requests))
        self.read_into(requests, video_BTPW, audio_BS)
        return _batch(requests, video_BTPW, audio_BS, film_numbers)

    def read_into(self, requests: Sequence[ClipRequest], video_BTPW: UInt8s, audio_BS: Int16s) -> None:
        """Read the clips of `requests` into arrays that `empty_batch` gave, film by film in the order of time.

        Raises:
            MediaError: as `read`.
        """
        first: dict[ClipRequest, int] = {}
        for place in sorted(range(len(requests)), key=requests.__getitem__):
            known = first.setdefault(requests[place], place)
            if known == place:
                self._read_into(requests[place], video_BTPW[place], audio_BS[place])
            else:
                video_BTPW[place], audio_BS[place] = video_BTPW[known], audio_BS[known]

    def close(self) -> None:
        """Close every open film."""
        for film_id in list(self._open):
            self._close(film_id)

    def empty_batch(self, *clips: int) -> tuple[UInt8s, Int16s]:
        """Return room for the pictures and the sound of one clip, or of so many."""
        profile, shape = self._library.profile, self._shape
        side = profile.short_side
        samples = shape.audio_frames * profile.grid.samples_per_frame
        video = np.empty((*clips, shape.frames, yuv_rows(side), side), np.uint8)
        return video, np.empty((*clips, samples), np.int16)

    def _read_into(self, request: ClipRequest, video_TPW: UInt8s, audio_S: Int16s) -> None:
        try:
            video, sound = self._readers(request.film_id)
            video.read_into(self._shape.select_video_frames(request.window), video_TPW)
            sound.read_into(self._shape.select_audio_span(request.audio_window), audio_S)
        except MediaError as error:
            self._close(request.film_id)  # so that it is opened anew when it is repaired
            raise MediaError(error.code, self._sentence(request, error)) from error

    def _readers(self, film_id: FilmId) -> tuple[VideoReader, AudioReader]:
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

    def _sentence(self, request: ClipRequest, error: MediaError) -> str:
        """Return what is wrong with which film, and what repairs it."""
        film_id, library, fps = request.film_id, self._library, self._library.profile.fps
        fault = str(error).removesuffix(INGEST_AGAIN)
        record = _record_of(library, film_id)
        if record is None:
            return f"film {film_id}: {fault}; ingest its source again into {library.location}"
        end = max(request.window.end_frame, request.audio_window.end_frame)
        whole = library.is_complete(film_id)
        if error.code == "truncated" and whole and end > record.frames:
            return f"{record.name} ends at {record.frames / fps} s, and a clip that ends at {end / fps} s was asked for"
        command = shlex.join(["talkies", "ingest", record.source, "--library", library.location])
        if whole:  # by its size: an ingest would leave it as it is
            command = f"{shlex.join(['rm', str(library.film_folder(film_id) / 'proxy.mp4')])} && {command}"
        return f"{record.name}: {fault}; repair it with: {command}"


def _record_of(library: Library, film_id: FilmId) -> FilmRecord | None:
    try:
        return library.record_of(film_id)
    except LibraryError:  # damaged as well
        return None


def collate(clips: Sequence[Clip], film_numbers: dict[FilmId, int]) -> ClipBatch:
    """Return clips as one batch; `film_numbers` numbers the films."""
    return _batch(
        [clip.request for clip in clips],
        np.stack([clip.video_TPW for clip in clips]),
        np.stack([clip.audio_S for clip in clips]),
        film_numbers,
    )


def _batch(
    requests: Sequence[ClipRequest],
    video_BTPW: UInt8s,
    audio_BS: Int16s,
    film_numbers: dict[FilmId, int],
) -> ClipBatch:
    return ClipBatch(
        requests=tuple(requests),
        video_BTPW=torch.from_numpy(video_BTPW),
        audio_BS=torch.from_numpy(audio_BS),
        film_B=torch.tensor([film_numbers[request.film_id] for request in requests], dtype=torch.int64),
    )
