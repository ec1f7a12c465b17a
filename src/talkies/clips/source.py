"""Read the clips that are asked for from a library, with a bounded number of open files."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from talkies.core import Clip, ClipBatch, ClipRequest, ClipShape, FilmId
from talkies.library import Library
from talkies.media import SoundReader, VideoReader

MOST_OPEN_FILMS = 8


class ClipSource:
    """Reads clips of a library's films; pictures are cut to the square in their middle.

    It opens nothing before the first read, so it may be handed to worker processes.
    """

    def __init__(self, library: Library, shape: ClipShape) -> None:
        self._library, self._shape = library, shape
        self._open: OrderedDict[FilmId, tuple[VideoReader, SoundReader]] = OrderedDict()

    @property
    def shape(self) -> ClipShape:
        """What a clip is made of."""
        return self._shape

    def read(self, request: ClipRequest) -> Clip:
        """Return one clip.

        Raises:
            MediaError: if the film's files are missing, damaged, too short, or give another time than asked for.
        """
        video, sound = self._readers(request.film_id)
        pictures = video.read(self._shape.picture_of(request.window))
        samples = sound.read(self._shape.sound_of(request.window), self._library.profile.grid.samples_per_frame)
        return Clip(request, middle_square(pictures, video.height), samples)

    def read_all(self, requests: Iterable[ClipRequest]) -> list[Clip]:
        """Return clips in the order of `requests`, read film by film in the order of time."""
        wanted = list(requests)
        clips = {request: self.read(request) for request in sorted(set(wanted))}
        return [clips[request] for request in wanted]

    def close(self) -> None:
        """Close every open film."""
        for video, _ in self._open.values():
            video.close()
        self._open.clear()

    def _readers(self, film_id: FilmId) -> tuple[VideoReader, SoundReader]:
        if film_id in self._open:
            self._open.move_to_end(film_id)
            return self._open[film_id]
        while len(self._open) >= MOST_OPEN_FILMS:
            self._open.popitem(last=False)[1][0].close()
        profile = self._library.profile
        sound = SoundReader(self._library.audio_path(film_id))
        self._open[film_id] = VideoReader(self._library.proxy_path(film_id), profile.fps, profile.gop), sound
        return self._open[film_id]


def middle_square(video_TPW: npt.NDArray[np.uint8], height: int) -> npt.NDArray[np.uint8]:
    """Return the middle square `[T, 3/2·Z, Z]` of planar YUV 4:2:0 pictures `[T, P, W]` of that height."""
    frames, _, width = video_TPW.shape
    side = min(height, width)
    if height == width:
        return video_TPW
    top, left = (height - side) // 4 * 2, (width - side) // 4 * 2  # even, for chroma has half the pixels
    luma = video_TPW[:, :height][:, top : top + side, left : left + side]
    chroma = video_TPW[:, height:].reshape(frames, 2, height // 2, width // 2)
    chroma = chroma[:, :, top // 2 : (top + side) // 2, left // 2 : (left + side) // 2]
    return np.concatenate([luma, chroma.reshape(frames, side // 2, side)], axis=1)


def collate(clips: Sequence[Clip], film_numbers: dict[FilmId, int]) -> ClipBatch:
    """Return clips as one batch; `film_numbers` numbers the films."""
    return ClipBatch(
        requests=tuple(clip.request for clip in clips),
        video_BTPW=torch.from_numpy(np.stack([clip.video_TPW for clip in clips])),
        audio_BS=torch.from_numpy(np.stack([clip.audio_S for clip in clips])),
        film_B=torch.tensor([film_numbers[clip.request.film_id] for clip in clips], dtype=torch.int64),
    )
